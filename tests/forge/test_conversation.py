"""Orders by comment: who may give them, on what, and how they are answered. Asserted by state."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from support.github import REPOSITORY, FakeGitHub, Fault, serve_github

from ci.errors import ForgeError
from ci.forge.github import GitHub
from ci.forge.http import Client
from ci.forge.model import Conversation, PermissionMissing

HEAD = "a" * 40


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with serve_github() as found:
        yield found


@pytest.fixture
def forge(github: FakeGitHub) -> GitHub:
    client = Client(github.address, "t0ken", sleep=lambda _seconds: None)
    return GitHub(client, REPOSITORY)


def test_it_is_a_conversation(forge: GitHub) -> None:
    assert isinstance(forge, Conversation)


@pytest.mark.parametrize("role", ["admin", "maintain", "write", "triage", "read", "none"])
def test_roles(github: FakeGitHub, forge: GitHub, role: str) -> None:
    github.roles["Some-One"] = role
    assert forge.permission_of("Some-One") == role


def test_a_role_of_the_organisations_own_counts_as_its_base(
    github: FakeGitHub, forge: GitHub
) -> None:
    answer = {"permission": "write", "role_name": "release engineer"}
    github.faults = [Fault("GET", "permission", 200, body=answer)]
    assert forge.permission_of("someone") == "write"


@pytest.mark.parametrize("login", ["nobody", "dependabot[bot]", "../..", "a/b?c=d", "\u00e9"])
def test_who_is_not_known_may_nothing(forge: GitHub, login: str) -> None:
    assert forge.permission_of(login) == "none"


def test_a_token_that_may_not_ask_is_no_answer(github: FakeGitHub, forge: GitHub) -> None:
    refused = {"message": "Resource not accessible by integration"}
    github.faults = [Fault("GET", "permission", 403, body=refused)]
    with pytest.raises(PermissionMissing):
        forge.permission_of("octocat")
    github.faults = [Fault("GET", "permission", 502, count=99)]
    with pytest.raises(ForgeError, match="502"):
        forge.permission_of("octocat")
    odd = {"permission": ["admin"], "role_name": 7}
    github.faults = [Fault("GET", "permission", 200, body=odd)]
    assert forge.permission_of("octocat") == "none"


def test_a_pull_request(github: FakeGitHub, forge: GitHub) -> None:
    github.add_pull(7, HEAD)
    found = forge.pull_request(7)
    assert (found.number, found.head, found.branch) == (7, HEAD, "topic-7")
    assert (found.open, found.merged, found.from_fork) == (True, False, False)


def test_whose_code_it_is(github: FakeGitHub, forge: GitHub) -> None:
    github.add_pull(7, HEAD, fork="stranger/mlops")
    assert forge.pull_request(7).from_fork
    github.add_pull(8, HEAD, author="dependabot[bot]")
    assert forge.pull_request(8).from_fork


def test_a_fork_and_an_author_that_are_gone(github: FakeGitHub, forge: GitHub) -> None:
    """GitHub says null, which its description knows nothing of."""
    github.add_pull(7, HEAD)
    known = github.requested[7]
    gone = {**known, "user": None, "head": {**known["head"], "repo": None}}
    github.faults = [Fault("GET", "pulls/7$", 200, body=gone)]
    assert forge.pull_request(7).from_fork


def test_closed_and_merged(github: FakeGitHub, forge: GitHub) -> None:
    github.add_pull(7, HEAD)
    github.requested[7] |= {"state": "closed", "merged_at": "2026-03-02T09:00:00Z"}
    found = forge.pull_request(7)
    assert (found.open, found.merged) == (False, True)


def test_no_pull_request(github: FakeGitHub, forge: GitHub) -> None:
    with pytest.raises(PermissionMissing):
        forge.pull_request(9)
    github.faults = [Fault("GET", "pulls", 200, body={"number": 9})]
    with pytest.raises(ForgeError, match="holds no pull request"):
        forge.pull_request(9)


@pytest.mark.parametrize("fault", [None, 502, 0])
@pytest.mark.parametrize("after", [False, True])
def test_a_reaction_is_put_once(
    github: FakeGitHub, forge: GitHub, fault: int | None, *, after: bool
) -> None:
    comment = github.add_comment(7, "octocat", "/sagemaker run")
    if fault is not None:
        github.faults = [Fault("POST", "reactions", fault, after_effect=after)]
    forge.react(comment, "eyes")
    forge.react(comment, "eyes")
    assert github.reactions == {comment: [("github-actions[bot]", "eyes")]}


def test_the_newest_of_many_commits(github: FakeGitHub, forge: GitHub) -> None:
    github.page = 100
    many = [f"{number:040x}" for number in range(1, 302)]
    github.commits[7] = many
    github.add_pull(7, many[-1])
    assert forge.commit_order(7) == tuple(many)
    github.commits[7] = many[:249]
    assert forge.commit_order(7) == tuple(many[:249])


def test_the_time_of_a_push_is_the_forges_own(github: FakeGitHub, forge: GitHub) -> None:
    github.push("topic/é?x", "b" * 40, "2026-03-02T08:00:00Z")
    github.push("topic/é?x", HEAD, "2026-03-02T09:00:00Z")
    github.push("other", "c" * 40, "2026-03-02T10:00:00Z")
    assert forge.pushed_at("topic/é?x", HEAD) == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert forge.pushed_at("topic/é?x", "c" * 40) is None
    assert forge.pushed_at("nowhere", HEAD) is None
    odd = [{"after": HEAD, "timestamp": 7}]
    github.faults = [Fault("GET", "activity", 200, body=odd)]
    assert forge.pushed_at("other", HEAD) is None
    github.faults = [Fault("GET", "activity", 403, body={"message": "no"})]
    with pytest.raises(PermissionMissing, match="could not read when other was pushed"):
        forge.pushed_at("other", HEAD)


def test_who_let_a_run_go_on(github: FakeGitHub, forge: GitHub) -> None:
    assert forge.approvers_of("77") == ()
    github.page = 20
    github.reviews[77] = [("mallory", "rejected"), ("anna", "approved"), ("anna", "approved")]
    assert forge.approvers_of("77") == ("anna",)
    github.faults = [Fault("GET", "approvals", 200, body=[{"state": "approved", "user": None}, 7])]
    assert forge.approvers_of("77") == ()
    with pytest.raises(ForgeError):
        forge.approvers_of("../../x")


def test_who_let_a_run_into_another_environment_let_it_not_into_this(
    github: FakeGitHub, forge: GitHub
) -> None:
    github.page = 20
    github.reviews[77] = [
        ("sam", "approved", "Staging"),
        ("pat", "approved", "production"),
        ("mallory", "rejected", "production"),
        ("kim", "approved", "staging", "production"),
    ]
    assert forge.approvers_of("77", "Production") == ("pat", "kim")
    assert forge.approvers_of("77", "staging") == ("sam", "kim")
    assert forge.approvers_of("77", "other") == ()
    assert forge.approvers_of("77") == (), "nobody knows which of them this job waited for"
