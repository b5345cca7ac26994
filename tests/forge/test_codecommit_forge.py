"""What is CodeCommit's own: IAM in place of tokens, sessions, commits to comment between."""

from collections.abc import Iterator

import pytest
from support.codecommit import REPOSITORY, ROLE, FakeCodeCommit, pull_request
from support.forge_benches import NEW, NEWEST, OLD, PR, CodeCommitBench, clients, open_bench
from support.loopback_forge import BASE, serve_forge
from support.reports import REPORTS

from ci.errors import ForgeError
from ci.forge.codecommit import CodeCommit
from ci.forge.comments import post_comment, upsert_comment
from ci.forge.model import CommentAction, PermissionMissing
from ci.report.fit import size
from ci.report.markdown import render_comment
from ci.report.marker import Marker, parse_marker, render_marker
from ci.report.model import State
from ci.sagemaker.codecommit import CodeCommit as Calls

MARKER = Marker(
    pipeline="p", environment="main", commit=NEW, execution=None, digest=None, state=State.FINAL
)
BODY = f"{render_marker(MARKER)}\nreport\n"


@pytest.fixture
def bench() -> Iterator[CodeCommitBench]:
    with open_bench("codecommit") as opened:
        assert isinstance(opened, CodeCommitBench)
        opened.fake.callers["AKIDBUILD2"] = f"{ROLE}/build-2"
        yield opened


def test_the_next_build_of_a_role_takes_its_comment_over(bench: CodeCommitBench) -> None:
    """A comment belongs to the session that wrote it, and each build is a session of its own."""
    upsert_comment(bench.forge("AKIDBUILD1"), PR, BODY)
    result = upsert_comment(bench.forge("AKIDBUILD2"), PR, BODY.replace("report", "news"))
    assert result.action is CommentAction.UPDATED
    [left] = bench.bodies()
    assert left.endswith("news\n")
    assert [c["authorArn"] for c in bench.fake.comments.values()] == [
        f"{ROLE}/build-1", f"{ROLE}/build-2",
    ]  # fmt: skip
    again = upsert_comment(bench.forge("AKIDBUILD1"), PR, BODY.replace("report", "news"))
    assert again.action is CommentAction.UNCHANGED


def test_a_take_over_that_was_killed_leaves_nothing_behind(bench: CodeCommitBench) -> None:
    """Killed between the new comment and the end of the old one: both stand."""
    for build in ("build-1", "build-2"):
        bench.fake.add_comment(PR, f"{ROLE}/{build}", bench.forge().form.dress(BODY))
    bench.fake.callers["AKIDBUILD3"] = f"{ROLE}/build-3"
    upsert_comment(bench.forge("AKIDBUILD3"), PR, BODY.replace("report", "news"))
    [left] = bench.bodies()
    assert left.endswith("news\n")


def test_another_role_s_comment_is_left_alone(bench: CodeCommitBench) -> None:
    bench.add("arn:aws:sts::000000000000:assumed-role/other/x", BODY)
    assert upsert_comment(bench.forge(), PR, BODY).action is CommentAction.CREATED
    assert len(bench.bodies()) == 2


def test_a_long_report_keeps_what_matters(bench: CodeCommitBench) -> None:
    report = REPORTS["hostile"]
    result = post_comment(bench.forge(), PR, lambda limit: render_comment(report, limit=limit))
    assert result.action is CommentAction.CREATED, result.problem
    [posted] = bench.bodies()
    assert size(posted) <= 10_240
    assert parse_marker(posted) is not None
    assert "Shortened to fit" in posted


def test_a_pull_request_without_its_commits_is_told(bench: CodeCommitBench) -> None:
    bench.fake.pulls[PR]["pullRequestTargets"][0].pop("destinationCommit")
    with pytest.raises(ForgeError, match="holds no pull request"):
        bench.forge().create_comment(PR, "x")


def test_a_comment_after_a_fast_forward_has_two_ends(bench: CodeCommitBench) -> None:
    bench.fake.pulls[PR] = pull_request(PR, "CLOSED", head=NEW, base=NEW, merge=NEW)
    assert upsert_comment(bench.forge(), PR, BODY).action is CommentAction.CREATED


@pytest.mark.parametrize(
    ("merge", "head"), [(NEWEST, NEW), (NEWEST, NEWEST)], ids=["merge or squash", "fast-forward"]
)
def test_the_pull_request_that_made_a_commit(bench: CodeCommitBench, merge: str, head: str) -> None:
    for number in range(1, 9):
        bench.fake.pulls[number] = pull_request(number, "CLOSED", head=OLD, merge="9" * 40)
    bench.fake.pulls[4] = pull_request(4, "CLOSED", head=head, merge=merge)
    bench.fake.pulls[99] = pull_request(99, "CLOSED", head=NEWEST, repository="other")
    bench.fake.pulls[10] = pull_request(10, "CLOSED", head=NEWEST)
    assert bench.forge().pull_request_of(NEWEST) == 4
    bench.fake.pulls[PR] = pull_request(PR, head="7" * 40)
    assert bench.forge().pull_request_of("7" * 40) == PR
    assert bench.forge().pull_request_of("8" * 40) is None


def test_a_pull_request_and_one_of_another_repository(bench: CodeCommitBench) -> None:
    found = bench.forge().pull_request(PR)
    assert (found.head, found.base) == (NEW, BASE)
    assert found.branch == "deeper"
    assert (found.open, found.merged, found.from_fork) == (True, False, False)
    bench.fake.pulls[7] = pull_request(7, repository="other")
    with pytest.raises(ForgeError, match="is not in mlops"):
        bench.forge().pull_request(7)
    with pytest.raises(PermissionMissing, match="PullRequestDoesNotExist"):
        bench.forge().pull_request(8)


def test_a_head_that_came_back_is_the_newest(bench: CodeCommitBench) -> None:
    bench.fake.push(PR, OLD)
    assert bench.forge().commit_order(PR) == (NEW, NEWEST, OLD)


def test_a_missing_permission_names_the_action(bench: CodeCommitBench) -> None:
    bench.fake.denied.add("GetCommentsForPullRequest")
    result = post_comment(bench.forge(), PR, lambda _: BODY)
    assert "codecommit:GetCommentsForPullRequest" in (result.problem or "")


def test_a_comment_is_posted_once_under_one_token() -> None:
    with serve_forge(FakeCodeCommit()) as fake:
        fake.pulls[PR] = pull_request(PR)
        calls = Calls(clients(fake.address), REPOSITORY)
        forge = CodeCommit(calls, REPOSITORY, fresh=lambda: "one")
        assert forge.create_comment(PR, "x").node == forge.create_comment(PR, "x").node
        assert len(fake.comments) == 1


def test_what_cannot_be_a_repository_is_refused() -> None:
    with pytest.raises(ForgeError, match="is not a repository"):
        CodeCommit(Calls(clients("http://127.0.0.1:9"), "a/b"), "a/b")
