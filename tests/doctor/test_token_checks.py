"""What `doctor` finds of a forge's token, against forges on loopback."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from support.bitbucket import BOT, FakeBitbucket
from support.codecommit import FakeCodeCommit
from support.codecommit import pull_request as codecommit_pull
from support.doctoring import PROJECT, only, repository, site
from support.github import REPOSITORY, Fault, serve_github
from support.gitlab import PROJECT as GITLAB
from support.gitlab import FakeGitLab
from support.loopback_forge import Loopback, serve_forge

from ci.doctor.model import Finding, Site, State
from ci.doctor.tokens import Reply, judge_github, judge_gitlab
from ci.trigger.model import Door, Event, Trigger

FIX = "permissions: {}"


def here(repo: str, host: str | None, environ: dict[str, str], **more: Any) -> Site:
    trigger = Trigger(
        door=more.pop("door", Door.LAPTOP),
        event=Event.PUSH,
        commit="c" * 40,
        repository=repo,
        host=host,
    )
    return Site(
        root=Path("/"),
        environ=environ,
        repository=repo,
        trigger=trigger,
        region="eu-west-1",
        **more,
    )


def told(looked_at: Site) -> tuple[State, str]:
    found = only("token", looked_at)
    return found.state, found.what


@pytest.mark.parametrize(
    ("status", "headers", "body", "job", "state"),
    [
        (200, {}, {"permissions": {"push": True}}, False, State.OK),
        (200, {}, {"permissions": {"push": False, "pull": True}}, False, State.WARN),
        (200, {}, {"permissions": {"push": False, "pull": True}}, True, State.OK),
        (200, {"X-OAuth-Scopes": "repo, gist"}, {"permissions": {"push": True}}, False, State.OK),
        (200, {"X-OAuth-Scopes": "gist"}, {"permissions": {"push": True}}, False, State.FAIL),
        (200, {}, {}, True, State.OK),
        (401, {}, {}, False, State.FAIL),
        (404, {}, {}, False, State.FAIL),
        (301, {"Location": "/x"}, {}, False, State.WARN),
        (503, {}, {}, False, State.WARN),
        (0, {}, {"why": "ConnectionError"}, False, State.WARN),
    ],
)
def test_what_github_tells(
    status: int, headers: dict[str, str], body: Any, job: bool, state: State
) -> None:
    found = judge_github(
        Reply(where="x", status=status, headers=headers, body=body), wanted=FIX, job=job
    )
    assert found.state is state
    assert found.fix or found.state is State.OK or status in {0, 503}
    if status == 404:
        assert found.fix == FIX


def test_github() -> None:
    with serve_github() as github:
        environ = {"GITHUB_TOKEN": "t0ken", "GITHUB_API_URL": github.address}
        for status, state in ((404, State.FAIL), (503, State.WARN)):
            github.faults.append(Fault("GET", f"/repos/{REPOSITORY}$", status))
            found = only("token", here(REPOSITORY, "github.com", environ))
            assert found.state is state
            if status == 404:
                assert "  checks: write\n" in str(found.fix)
                assert "  deployments: write" in str(found.fix)
        away = {**environ, "GITHUB_API_URL": "http://127.0.0.1:9"}
        assert "cannot be reached" in told(here(REPOSITORY, "github.com", away))[1]


def test_gitlab() -> None:
    with serve_forge(FakeGitLab()) as gitlab:
        gitlab.tokens["reader"] = "project_8_bot"
        environ = {"GITLAB_TOKEN": "t0ken", "GITLAB_API_URL": f"{gitlab.address}/api/v4"}
        place = here(GITLAB, "gitlab.com", environ)
        # A token of another kind tells nothing of itself.
        assert told(place) == (State.OK, "the token reads the repository")
        gitlab.levels["project_7_bot"] = 30
        gitlab.own["project_7_bot"] = {"scopes": ["api"], "expires_at": "2999-01-01"}
        assert told(place) == (State.OK, "the token reads the repository, and may write")
        gitlab.own["project_7_bot"] |= {"expires_at": str(datetime.now(UTC).date())}
        state, said = told(place)
        assert (state, "the token ends on " in said) == (State.WARN, True)
        gitlab.levels["project_7_bot"] = 20
        assert told(place)[0] is State.WARN
        assert "role is below Developer" in told(place)[1]
        gitlab.own["project_7_bot"] |= {"scopes": ["read_api", "read_repository"]}
        assert told(place)[1] == (
            "the token's scopes are read_api, read_repository: it may not comment"
        )
        assert told(here("acme/other", "gitlab.com", environ))[0] is State.FAIL
        wrong = here(GITLAB, "gitlab.com", {**environ, "GITLAB_TOKEN": "wrong"})
        assert told(wrong) == (State.FAIL, "the token is not valid")
        assert all(method == "GET" for method, _ in gitlab.requests)


def test_a_date_that_is_none_is_none() -> None:
    body = {"scopes": ["api"], "expires_at": None}
    token = Reply(where="x", status=200, headers={}, body=body)
    project = Reply(where="x", status=200, headers={}, body={"permissions": None})
    assert judge_gitlab(token, project, today=date(2026, 1, 1)).state is State.OK


def test_bitbucket() -> None:
    with serve_forge(FakeBitbucket()) as bitbucket:
        environ = {"BITBUCKET_TOKEN": "t0ken", "BITBUCKET_API_URL": f"{bitbucket.address}/2.0"}
        place = here("acme/mlops", "bitbucket.org", environ)
        assert told(place) == (State.OK, "the token reads the repository, and may comment")
        bitbucket.scopes = "pullrequest, repository:write"
        state, said = told(place)
        assert (state, "may not comment" in said) == (State.FAIL, True)
        bitbucket.scopes = None
        assert "does not say what" in told(place)[1]
        # A token of a person goes with its account.
        bitbucket.tokens = {"jane:t0ken": BOT}
        assert told(place) == (State.FAIL, "the token is not valid")
        named = here("acme/mlops", "bitbucket.org", {**environ, "BITBUCKET_USERNAME": "jane"})
        assert told(named)[0] is State.OK
        assert all(method == "GET" for method, _ in bitbucket.requests)


def test_codecommit() -> None:
    host = "git-codecommit.eu-west-1.amazonaws.com"
    with serve_forge(FakeCodeCommit()) as codecommit:
        codecommit.pulls[1] = codecommit_pull(1)
        environ = {
            "AWS_ACCESS_KEY_ID": "AKIDBUILD1",
            "AWS_SECRET_ACCESS_KEY": "s",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        }
        found = only("token", here("mlops", host, environ))
        assert (found.state, "stands for AWS" in found.what) == (State.SKIPPED, True)
        environ["AWS_ENDPOINT_URL_CODECOMMIT"] = codecommit.address
        place = here("mlops", host, environ)
        assert told(place)[0] is State.OK
        codecommit.denied.add("ListPullRequests")
        found = only("token", place)
        assert found.state is State.FAIL
        assert "codecommit:ListPullRequests" in (found.fix or "")
        environ["AWS_ENDPOINT_URL_CODECOMMIT"] = "http://127.0.0.1:9"
        assert told(here("mlops", host, environ))[0] is State.WARN


def test_no_token_no_forge_and_no_repository() -> None:
    assert "no token" in told(here("acme/mlops", "github.com", {}))[1]
    assert "no token" in told(here("acme/mlops", "gitlab.com", {"GITHUB_TOKEN": "t"}))[1]
    found = only("token", here("acme/mlops", "git.acme.example", {"GITHUB_TOKEN": "t"}))
    assert (found.state, "git.acme.example" in found.what) == (State.WARN, True)
    nowhere = replace(here("acme/mlops", "github.com", {}), repository=None)
    assert told(nowhere)[0] is State.WARN


def test_a_token_of_the_project_file_is_read_in_ci_alone(tmp_path: Path) -> None:
    project = PROJECT + "forge: {kind: gitlab, token: {secret: sagemaker-gitops/forge}}\n"
    found = only("token", site(repository(tmp_path, project), environ={}))
    assert (found.state, "in CI alone" in found.what) == (State.SKIPPED, True)


def test_a_forge_is_only_read() -> None:
    """None of the forges' tokens stands in anything that is shown."""
    forges: tuple[tuple[Callable[[], Loopback], str, str, str], ...] = (
        (FakeGitLab, "gitlab.com", "GITLAB", "/api/v4"),
        (FakeBitbucket, "bitbucket.org", "BITBUCKET", "/2.0"),
    )
    for make, host, name, path in forges:
        with serve_forge(make()) as forge:
            forge.faults.append(Fault("GET", ".", 500, count=9, body={"message": "s3cret-token"}))
            environ = {f"{name}_TOKEN": "s3cret-token", f"{name}_API_URL": forge.address + path}
            found: Finding = only("token", here("acme/mlops", host, environ))
            assert found.state is State.WARN
            assert "s3cret-token" not in repr(found)
