"""Which forge is opened, at which address, with which token; and that no token goes astray."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from support.bitbucket import FakeBitbucket
from support.codecommit import FakeCodeCommit
from support.forge_benches import NEW, PR, open_bench
from support.gitlab import PROJECT as GITLAB_PROJECT
from support.loopback_forge import Answer, Loopback, Request, serve_forge

from ci.errors import ForgeError
from ci.forge.bitbucket import Bitbucket
from ci.forge.codecommit import CodeCommit
from ci.forge.github import GitHub
from ci.forge.gitlab import GitLab
from ci.forge.model import Forge
from ci.forge.opening import open_forge
from ci.forge.vouching import ask_where_from, is_doubtful
from ci.project.model import ForgeKind, ForgeSettings, Project, TokenSource
from ci.trigger.model import Door, Event, Trigger

TOKENS = {"GITHUB_TOKEN": "gh", "GITLAB_TOKEN": "gl", "BITBUCKET_TOKEN": "bb"}
CODECOMMIT = "git-codecommit.eu-west-1.amazonaws.com"


def trigger(door: Door = Door.CODEBUILD, **more: object) -> Trigger:
    settled = {"event": Event.PUSH, "commit": NEW, "repository": "acme/mlops", **more}
    return Trigger(door=door, **settled)  # type: ignore[arg-type]  # a trigger's own fields


def project(**settings: object) -> Project:
    forge = ForgeSettings(**settings)  # type: ignore[arg-type]  # the settings' own fields
    return Project(
        file=Path("x"), root=Path(), pipelines={}, environments={}, region="eu-west-1", forge=forge
    )


def opened(
    found: Trigger, environ: Mapping[str, str] = TOKENS, settings: Project | None = None
) -> Forge | None:
    return open_forge(found, environ, sleep=lambda _: None, project=settings)


@pytest.mark.parametrize(
    ("host", "kind", "address"),
    [
        ("github.com", GitHub, "https://api.github.com"),
        ("gitlab.com", GitLab, "https://gitlab.com/api/v4"),
        ("gitlab.acme.example", GitLab, "https://gitlab.acme.example/api/v4"),
        ("bitbucket.org", Bitbucket, "https://api.bitbucket.org/2.0"),
        (CODECOMMIT, CodeCommit, "eu-west-1"),
        ("git.acme.example", None, ""),
        ("bitbucket.acme.example", None, ""),
    ],
)
def test_the_source_s_host_decides_in_codebuild(
    host: str, kind: type[object] | None, address: str
) -> None:
    name = "mlops" if host == CODECOMMIT else "acme/mlops"
    forge = opened(trigger(host=host, repository=name))
    assert (forge is None) if kind is None else isinstance(forge, kind)
    assert address in repr(forge)


@pytest.mark.parametrize(
    ("host", "environ"),
    [
        ("gitlab.evil.example", TOKENS),
        ("github.evil.example", TOKENS),
        ("git.acme.example", TOKENS),
        ("github.com", {"GITLAB_TOKEN": "gl"}),
        ("gitlab.com", {"GITHUB_TOKEN": "gh"}),
    ],
)
def test_a_clone_on_a_laptop_draws_no_token_to_its_host(
    host: str, environ: Mapping[str, str]
) -> None:
    assert opened(trigger(Door.LAPTOP, host=host), environ) is None


def test_a_clone_s_project_file_names_no_address_and_no_secret() -> None:
    evil = project(
        kind=ForgeKind.GITLAB,
        api_url="http://127.0.0.1:9/steal",
        token=TokenSource(secret="production"),
    )
    for clone in (trigger(Door.LAPTOP, host="x.example"), trigger(from_fork=True, host="x.y")):
        assert opened(clone, {}, evil) is None
        assert opened(clone, TOKENS, evil) is None
    forge = opened(trigger(from_fork=True, host="gitlab.com"), TOKENS, evil)
    assert "https://gitlab.com/api/v4" in repr(forge)


def test_the_environment_s_token_is_not_sent_to_the_file_s_address() -> None:
    mine = project(kind=ForgeKind.GITLAB, api_url="https://gitlab.acme.example/api/v4")
    with pytest.raises(ForgeError, match="is not sent to the project file's api_url") as refused:
        opened(trigger(Door.CODEPIPELINE), TOKENS, mine)
    assert "GITLAB_API_URL=https://gitlab.acme.example/api/v4" in str(refused.value)
    named = {**TOKENS, "GITLAB_API_URL": "https://gitlab.acme.example/api/v4"}
    assert "gitlab.acme.example" in repr(opened(trigger(Door.CODEPIPELINE), named, mine))


@pytest.mark.parametrize(
    ("environ", "repository", "kind"),
    [
        ({"GITHUB_TOKEN": "t"}, "acme/mlops", GitHub),
        ({"GITLAB_TOKEN": "t"}, "acme/ml/mlops", GitLab),
        ({"BITBUCKET_TOKEN": "t"}, "acme/mlops", Bitbucket),
        (TOKENS, "acme/mlops", GitHub),
        ({"AWS_REGION": "eu-west-1"}, "mlops", CodeCommit),
        ({}, "acme/mlops", type(None)),
        (TOKENS, None, type(None)),
    ],
)
def test_a_stage_is_told_no_host(
    environ: Mapping[str, str], repository: str | None, kind: type[object]
) -> None:
    forge = opened(trigger(Door.CODEPIPELINE, repository=repository), environ)
    assert isinstance(forge, kind)


def test_the_file_names_the_repository_that_a_stage_is_not_told() -> None:
    named = project(kind=ForgeKind.BITBUCKET, repository="acme/other")
    forge = opened(trigger(Door.CODEPIPELINE, repository=None), {"BITBUCKET_TOKEN": "t"}, named)
    assert "acme/other" in repr(forge)


def test_enterprise_hosts_by_the_environment() -> None:
    for name, host, path in (
        ("GITHUB_API_URL", "ghe.acme.example", "/api/v3"),
        ("GITLAB_API_URL", "git.acme.example", "/api/v4"),
    ):
        environ = {**TOKENS, name: f"https://{host}{path}"}
        forge = opened(trigger(Door.LAPTOP, host=host), environ)
        assert f"https://{host}{path}" in repr(forge)


def test_bitbucket_s_account_goes_with_its_password() -> None:
    with serve_forge(FakeBitbucket()) as fake:
        fake.tokens["me:pass"] = "{me}"
        environ = {
            "BITBUCKET_TOKEN": "pass",
            "BITBUCKET_USERNAME": "me",
            "BITBUCKET_API_URL": f"{fake.address}/2.0",
        }
        forge = opened(trigger(host="bitbucket.org"), environ)
        assert forge is not None
        assert forge.whoami() == "{me}"


@pytest.mark.parametrize(
    ("found", "environ", "expected"),
    [
        (trigger(Door.LAPTOP, host=CODECOMMIT, repository="mlops"), {}, False),
        (trigger(Door.LAPTOP, host=CODECOMMIT, repository="mlops", pull_request=1), {}, True),
        (trigger(host=CODECOMMIT, repository="mlops"), {"AWS_ENDPOINT_URL": "http://x"}, False),
        (
            trigger(host=CODECOMMIT, repository="mlops"),
            {"AWS_ENDPOINT_URL": "http://x", "AWS_ENDPOINT_URL_CODECOMMIT": "http://y"},
            True,
        ),
    ],
)
def test_codecommit_is_asked_where_a_comment_is_wanted(
    found: Trigger, environ: Mapping[str, str], expected: bool
) -> None:
    assert (opened(found, environ) is not None) is expected


class FakeSecrets(Loopback):
    """Secrets Manager and Parameter Store of one value each."""

    values: Mapping[str, object] = {}

    def answer(self, request: Request) -> Answer:
        operation = request.headers["X-Amz-Target"].rpartition(".")[2]
        asked = request.body.get("SecretId") or request.body.get("Name")
        if asked not in self.values:
            return Answer(status=400, body={"__type": "ResourceNotFoundException"})
        value = self.values[asked]
        if operation == "GetParameter":
            assert request.body["WithDecryption"] is True
            return Answer(body={"Parameter": {"Name": asked, "Value": value}})
        return Answer(body={"Name": asked, "SecretString": value})


ARN = "arn:aws:secretsmanager:ap-south-1:000000000000:secret:forge-AbCdEf"


def keyed(address: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "AKID",
        "AWS_SECRET_ACCESS_KEY": "s" * 20,
    }


@pytest.mark.parametrize(
    "source",
    [
        TokenSource(secret="plain"),
        TokenSource(secret=ARN),
        TokenSource(secret="json", key="token"),
        TokenSource(parameter="/forge"),
    ],
)
def test_a_token_is_read_learnt_and_used(source: TokenSource) -> None:
    learnt: list[str] = []
    with serve_forge(FakeSecrets()) as aws, open_bench("gitlab") as bench:
        aws.values = {
            "plain": "t0ken\n", ARN: "t0ken", "json": '{"token": "t0ken"}', "/forge": "t0ken",
        }  # fmt: skip
        forge = open_forge(
            trigger(Door.CODEPIPELINE, repository=GITLAB_PROJECT),
            keyed(aws.address),
            sleep=lambda _: None,
            project=project(kind=ForgeKind.GITLAB, api_url=f"{bench.address}/api/v4", token=source),
            learn=learnt.append,
        )
        assert forge is not None
        assert forge.whoami() == bench.me
        assert len(aws.requests) == 1
    assert learnt == ["t0ken"]


@pytest.mark.parametrize(
    ("source", "value", "said"),
    [
        (TokenSource(secret="s"), '{"a": "s3cret", "b": "x"}', "one of: a, b"),
        (TokenSource(secret="s", key="c"), '{"a": "s3cret"}', "no text under the key 'c'"),
        (TokenSource(secret="s", key="a"), "s3cret", "it is no JSON object"),
        (TokenSource(secret="s", key="a"), '{"a": 7}', "no text under the key 'a'"),
        (TokenSource(secret="s"), "  ", "the token is empty"),
        (TokenSource(secret="s"), "s3cret\nX-Evil: 1", "not one line"),
        (TokenSource(secret="s"), "s3crét", "not one line"),
        (TokenSource(parameter="other"), "s3cret", "ResourceNotFoundException"),
    ],
)
def test_a_token_that_cannot_be_used_is_told_and_not_shown(
    source: TokenSource, value: str, said: str
) -> None:
    with serve_forge(FakeSecrets()) as aws:
        aws.values = {"s": value}
        with pytest.raises(ForgeError) as refused:
            opened(
                trigger(Door.CODEPIPELINE),
                keyed(aws.address),
                project(kind=ForgeKind.GITHUB, token=source),
            )
    assert said in str(refused.value)
    assert "s3cr" not in str(refused.value)


@pytest.mark.parametrize(
    "token", ["s3\u200bcret", "s3\ncret", "s3 cret", "s\xe9cret", "\ufeffs3cret"]
)
def test_what_was_pasted_along_with_a_token_is_told_at_once(token: str) -> None:
    """An exception of the HTTP library would tell it too late, and show it."""
    for name, host in (("GH_TOKEN", "github.com"), ("GITLAB_TOKEN", "gitlab.com")):
        with pytest.raises(ForgeError, match=f"{name} holds no token") as refused:
            opened(trigger(host=host), {name: token})
        assert "cret" not in str(refused.value)


def test_the_environment_s_token_goes_before_the_file_s() -> None:
    kept = project(kind=ForgeKind.GITHUB, token=TokenSource(secret="never-read"))
    environ = {**TOKENS, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    assert isinstance(opened(trigger(Door.CODEPIPELINE), environ, kept), GitHub)


@pytest.mark.parametrize("kind", ["github", "gitlab", "bitbucket", "codecommit"])
def test_the_forge_vouches_for_a_pull_request(kind: str) -> None:
    doubtful = trigger(pull_request=PR, from_fork=True)
    assert is_doubtful(doubtful)
    with open_bench(kind) as bench:
        found = ask_where_from(bench.forge(), doubtful)
    assert not found.from_fork
    assert found.base
    assert found.branch
    assert not is_doubtful(found)


@pytest.mark.parametrize(
    "clear",
    [
        trigger(pull_request=PR, from_fork=False, base=NEW),
        trigger(pull_request=None),
        trigger(Door.GITHUB_ACTIONS, pull_request=PR, from_fork=True),
    ],
)
def test_nobody_is_asked_where_the_door_tells(clear: Trigger) -> None:
    assert not is_doubtful(clear)


def test_codecommit_is_opened_in_its_own_region() -> None:
    with serve_forge(FakeCodeCommit()) as fake:
        fake.callers["AKID"] = "arn:aws:iam::000000000000:user/me"
        environ = {**keyed("http://127.0.0.1:9"), "AWS_ENDPOINT_URL_CODECOMMIT": fake.address}
        environ["AWS_ENDPOINT_URL_STS"] = fake.address
        forge = opened(trigger(host=CODECOMMIT, repository="mlops"), environ)
        assert forge is not None
        assert "eu-west-1" in repr(forge)
        assert forge.whoami() == "arn:aws:iam::000000000000:user/me"
