"""GitHub Actions: payloads of every event, honest and hostile."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.errors import TriggerError
from ci.trigger.detect import detect_trigger
from ci.trigger.github import parse_github
from ci.trigger.model import Door, Event

HEAD, MERGE, BASE, OLD = "a" * 40, "b" * 40, "c" * 40, "d" * 40
REPOSITORY = {"id": 1, "full_name": "acme/mlops", "default_branch": "main"}


def environ(event: str, **more: str) -> dict[str, str]:
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": event,
        "GITHUB_SHA": MERGE,
        "GITHUB_REF": "refs/pull/12/merge",
        "GITHUB_REPOSITORY": "acme/mlops",
        "GITHUB_ACTOR": "octocat",
        "GITHUB_RUN_ID": "77",
        "GITHUB_RUN_ATTEMPT": "2",
        **more,
    }


def pull_request(action: str = "opened", **head: Any) -> dict[str, Any]:
    return {
        "action": action,
        "repository": REPOSITORY,
        "pull_request": {
            "number": 12,
            "title": "Better trees",
            "user": {"login": "octocat"},
            "head": {"sha": HEAD, "ref": "topic", "repo": {"id": 1}, **head},
            "base": {"sha": BASE, "ref": "main", "repo": {"id": 1}},
        },
    }


@pytest.mark.parametrize("action", ["opened", "synchronize", "reopened", "labeled"])
def test_a_pull_request_is_its_head_never_the_merge_commit(action: str) -> None:
    trigger = parse_github(environ("pull_request"), pull_request(action))
    assert trigger.event is Event.PULL_REQUEST
    assert (trigger.commit, trigger.base, trigger.branch) == (HEAD, BASE, "topic")
    assert (trigger.pull_request, trigger.subject) == (12, "Better trees")
    assert not trigger.from_fork
    assert not trigger.is_default_branch
    assert trigger.run_url == "https://github.com/acme/mlops/actions/runs/77/attempts/2"
    assert trigger.repository == "acme/mlops"
    assert trigger.door is Door.GITHUB_ACTIONS


def test_a_closed_pull_request_says_so() -> None:
    trigger = parse_github(environ("pull_request"), pull_request("closed"))
    assert trigger.event is Event.PULL_REQUEST_CLOSED


@pytest.mark.parametrize(
    ("head", "actor"),
    [({"repo": {"id": 2}}, "octocat"), ({"repo": None}, "octocat"), ({}, "dependabot[bot]")],
)
def test_forks_gone_forks_and_dependabot_are_foreign(head: dict[str, Any], actor: str) -> None:
    for name in ("pull_request", "pull_request_target"):
        trigger = parse_github(environ(name, GITHUB_ACTOR=actor), pull_request(**head))
        assert trigger.from_fork


def test_a_fork_with_a_branch_called_main_is_not_the_default_branch() -> None:
    head = {"ref": "main", "repo": {"id": 2}}
    assert not parse_github(environ("pull_request"), pull_request(**head)).is_default_branch


@pytest.mark.parametrize(
    ("reference", "branch", "default"),
    [
        ("refs/heads/main", "main", True),
        ("refs/heads/feature/$(id)", "feature/$(id)", False),
        ("refs/tags/main", None, False),
    ],
)
def test_a_push(reference: str, branch: str | None, default: bool) -> None:
    event = {
        "ref": reference,
        "before": OLD,
        "after": HEAD,
        "repository": REPOSITORY,
        "head_commit": {"message": "First line\n\nmore"},
    }
    trigger = parse_github(environ("push", GITHUB_REF=reference), event)
    assert (trigger.commit, trigger.base) == (HEAD, OLD)
    assert (trigger.branch, trigger.is_default_branch) == (branch, default)
    assert trigger.subject == "First line"
    assert trigger.pull_request is None


def test_a_push_of_a_new_branch_has_no_base() -> None:
    event = {"ref": "refs/heads/x", "before": "0" * 40, "after": HEAD, "repository": REPOSITORY}
    assert parse_github(environ("push"), event).base is None


def test_a_deleted_branch_is_about_no_commit() -> None:
    event = {"ref": "refs/heads/x", "deleted": True, "after": "0" * 40, "repository": REPOSITORY}
    trigger = parse_github(environ("push"), event)
    assert (trigger.event, trigger.commit, trigger.branch) == (Event.DELETION, MERGE, None)
    assert not trigger.is_default_branch


def comment(action: str = "created", **more: object) -> dict[str, Any]:
    return {
        "action": action,
        "issue": {"number": 12, "title": "Better trees", "pull_request": {"url": "x"}},
        "comment": {
            "id": 5,
            "body": "/sagemaker run",
            "user": {"login": "mallory", "type": "User"},
            "created_at": "2026-03-02T09:25:00Z",
            **more,
        },
        "repository": REPOSITORY,
    }


def test_a_comment_is_not_trusted_until_the_forge_was_asked() -> None:
    event = comment()
    trigger = parse_github(environ("issue_comment"), event)
    assert trigger.event is Event.COMMENT
    assert (trigger.pull_request, trigger.actor, trigger.from_fork) == (12, "mallory", True)
    assert trigger.comment is not None
    assert (trigger.comment.id, trigger.comment.body) == (5, "/sagemaker run")
    assert trigger.comment.author == "mallory"
    assert trigger.comment.written == datetime(2026, 3, 2, 9, 25, tzinfo=UTC)
    assert not trigger.comment.automated
    del event["issue"]["pull_request"]
    on_issue = parse_github(environ("issue_comment"), event)
    assert (on_issue.pull_request, on_issue.comment) == (None, None)


@pytest.mark.parametrize("action", ["edited", "deleted", "", None])
def test_only_a_comment_that_was_just_written_may_order_something(action: str) -> None:
    assert parse_github(environ("issue_comment"), comment(action)).comment is None


def test_a_comment_of_a_bot_says_so_and_one_of_nobody_orders_nothing() -> None:
    trigger = parse_github(
        environ("issue_comment"), comment(user={"login": "github-actions[bot]", "type": "Bot"})
    )
    assert trigger.comment is not None
    assert trigger.comment.automated
    gone = parse_github(environ("issue_comment"), comment(user=None))
    assert gone.comment is None


@pytest.mark.parametrize("text", [None, 7, "yesterday", "2026-03-02T09:25:00", "9999999"])
def test_a_time_that_is_none_is_not_known(text: object) -> None:
    remark = parse_github(environ("issue_comment"), comment(created_at=text)).comment
    assert remark is not None
    assert remark.written is None


PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/abalone/7"


def dispatch(action: str = "sagemaker-approval", package: object = PACKAGE) -> dict[str, Any]:
    return {"action": action, "client_payload": {"package": package}, "repository": REPOSITORY}


def test_a_dispatch_of_an_approval_names_the_package() -> None:
    here = environ("repository_dispatch", GITHUB_REF="refs/heads/main")
    trigger = parse_github(here, dispatch())
    assert (trigger.event, trigger.package) == (Event.APPROVAL, PACKAGE)
    assert trigger.is_default_branch
    other = parse_github(here, dispatch("deploy-please"))
    assert (other.event, other.package) == (Event.MANUAL, None)


@pytest.mark.parametrize(
    "package",
    [None, 7, "", "abalone/7", PACKAGE + "\n--since", PACKAGE.rpartition("/")[0], "$(x)", ["a"]],
)
def test_a_dispatch_that_names_no_package_is_refused(package: object) -> None:
    with pytest.raises(TriggerError, match="not the ARN of a versioned model package"):
        parse_github(environ("repository_dispatch"), dispatch(package=package))


def test_a_merge_group_knows_its_pull_request() -> None:
    event = {
        "merge_group": {
            "head_sha": HEAD,
            "base_sha": BASE,
            "head_ref": f"refs/heads/gh-readonly-queue/release/1.x/pr-7-{BASE}",
        },
        "repository": REPOSITORY,
    }
    trigger = parse_github(environ("merge_group"), event)
    assert (trigger.event, trigger.pull_request, trigger.commit) == (Event.MERGE_GROUP, 7, HEAD)


OURS = {"number": 3, "base": {"repo": {"id": 1}}}


@pytest.mark.parametrize(
    ("head_id", "pulls", "foreign", "number"),
    [
        (1, [{"number": 3}], False, 3),
        (1, [{"number": 8, "base": {"repo": {"id": 9}}}], False, None),
        (1, [{"number": 8, "base": {"repo": {"id": 9}}}, OURS], False, 3),
        (2, [], True, None),
        (None, [], True, None),
    ],
)
def test_a_workflow_run(head_id: int | None, pulls: list[Any], foreign: bool, number: int) -> None:
    event = {
        "workflow_run": {
            "head_sha": HEAD,
            "head_branch": "main",
            "head_repository": {"id": head_id} if head_id else None,
            "pull_requests": pulls,
        },
        "repository": REPOSITORY,
    }
    trigger = parse_github(environ("workflow_run"), event)
    assert trigger.event is Event.WORKFLOW_RUN
    assert (trigger.from_fork, trigger.pull_request) == (foreign, number)
    assert trigger.is_default_branch is not foreign


def test_by_hand_by_the_clock_and_by_dispatch() -> None:
    on_main = {"GITHUB_REF": "refs/heads/main"}
    manual = parse_github(
        environ("workflow_dispatch", **on_main), {"repository": REPOSITORY, "inputs": None}
    )
    assert (manual.event, manual.is_default_branch, manual.commit) == (Event.MANUAL, True, MERGE)
    clock = parse_github(environ("schedule", **on_main), {"schedule": "0 3 * * *"})
    assert (clock.event, clock.is_default_branch) == (Event.SCHEDULE, True)
    dispatch = parse_github(environ("repository_dispatch", **on_main), {"client_payload": {}})
    assert (dispatch.event, dispatch.is_default_branch) == (Event.MANUAL, False)
    issue = parse_github(environ("issues", **on_main), {"repository": REPOSITORY})
    assert (issue.event, issue.is_default_branch) == (Event.OTHER, True)


@pytest.mark.parametrize("name", ["pull_request_review", "pull_request_review_comment"])
def test_a_review_is_of_the_pull_request_and_of_its_fork(name: str) -> None:
    event = pull_request("submitted", repo={"id": 999})
    trigger = parse_github(environ(name), event)
    assert (trigger.event, trigger.commit) == (Event.PULL_REQUEST, HEAD)
    assert trigger.from_fork
    event["pull_request"]["state"] = "closed"
    assert parse_github(environ(name), event).event is Event.PULL_REQUEST_CLOSED


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("pull_request", {}),
        ("pull_request", {"pull_request": {"head": {"sha": "main; rm -rf /"}, "number": 1}}),
        ("pull_request", {"pull_request": {"head": {"sha": HEAD}, "number": "1"}}),
        ("pull_request", {"pull_request": {"head": {"sha": HEAD}, "number": True}}),
        ("pull_request", {"pull_request": [1]}),
        ("merge_group", {"merge_group": None}),
        ("workflow_run", {"workflow_run": "x"}),
    ],
)
def test_payloads_that_lack_what_they_must_have(name: str, event: dict[str, Any]) -> None:
    with pytest.raises(TriggerError):
        parse_github(environ(name), event)


_KEYS = st.sampled_from(
    [
        "pull_request",
        "head",
        "sha",
        "repo",
        "id",
        "number",
        "issue",
        "comment",
        "ref",
        "workflow_run",
        "merge_group",
        "repository",
        "head_sha",
        "pull_requests",
        "body",
    ]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.just(HEAD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=25,
)
_EVENTS = st.sampled_from(
    ["pull_request", "push", "issue_comment", "merge_group", "workflow_run", "schedule", "odd"]
)


@given(_EVENTS, st.dictionaries(_KEYS, _JSON, max_size=4))
def test_any_payload_gives_a_trigger_or_a_clear_error(name: str, event: dict[str, Any]) -> None:
    try:
        trigger = parse_github(environ(name), event)
    except TriggerError:
        return
    assert len(trigger.commit) == 40


@pytest.mark.parametrize("content", ["", "[]", "{", "nul", "[" * 100_000, "\ud800"])
def test_event_files_that_are_none(tmp_path: Path, content: str) -> None:
    file = tmp_path / "event.json"
    file.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(TriggerError, match="JSON"):
        detect_trigger(environ("push", GITHUB_EVENT_PATH=str(file)), tmp_path)


def test_event_files_that_are_missing(tmp_path: Path) -> None:
    with pytest.raises(TriggerError, match="GITHUB_EVENT_PATH is not set"):
        detect_trigger(environ("push"), tmp_path)
    with pytest.raises(TriggerError, match="No such file"):
        detect_trigger(environ("push", GITHUB_EVENT_PATH=str(tmp_path / "x")), tmp_path)


def test_the_event_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(pull_request()))
    trigger = detect_trigger(environ("pull_request", GITHUB_EVENT_PATH=str(file)), tmp_path)
    assert trigger.commit == HEAD
