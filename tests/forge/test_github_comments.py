"""What GitHub alone asks of the one comment per pipeline and environment. Asserted by state."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.forge_benches import NEW, NEWEST, OLD, PR
from support.github import REPOSITORY, Fault
from support.github_bench import Bench, body, github_bench

from ci.forge.comments import amend_comment, is_newer, post_comment, upsert_comment
from ci.forge.model import CommentAction
from ci.project.model import CommentPolicy
from ci.report.marker import Marker, parse_marker, render_marker, restate
from ci.report.model import State


@pytest.fixture
def bench() -> Iterator[Bench]:
    with github_bench() as opened:
        yield opened


def test_unchanged_though_the_forge_trims_and_changes_line_ends(bench: Bench) -> None:
    bench.github.add_comment(PR, "github-actions[bot]", body(text="a\n\nb").replace("\n", "\r\n"))
    result = upsert_comment(bench.forge(), PR, body(text="a\n\nb\n"))
    assert result.action is CommentAction.UNCHANGED
    assert bench.github.writes() == []


def test_a_user_token_finds_its_own(bench: Bench) -> None:
    bench.github.tokens["ghp"] = "Release-Bot"
    mine = bench.github.add_comment(PR, "release-bot", body(text="old"))
    bench.github.add_comment(PR, "github-actions[bot]", body(text="another's"))
    upsert_comment(bench.forge("ghp"), PR, body(text="new"))
    assert bench.github.comments[mine]["body"] == body(text="new")
    assert len(bench.github.comments) == 2


@pytest.mark.parametrize(
    ("found", "ours", "newer"),
    [
        ({"state": State.FINAL}, {"state": State.RUNNING}, True),
        ({"state": State.RUNNING}, {"state": State.FINAL}, False),
        ({"state": State.FINAL}, {"state": State.FINAL}, False),
        ({"state": State.FINAL, "execution": "arn:2"}, {"state": State.RUNNING}, False),
        ({"commit": NEWEST}, {}, True),
        ({"commit": OLD}, {}, False),
        ({"commit": "f" * 40}, {}, False),
    ],
)
def test_what_is_newer(found: dict[str, object], ours: dict[str, object], newer: bool) -> None:
    base = Marker(pipeline="p", environment="e", commit=NEW, execution="arn:1", digest=None,
                  state=State.FINAL)  # fmt: skip
    left = replace(base, **found)  # type: ignore[arg-type]
    right = replace(base, **ours)  # type: ignore[arg-type]
    assert is_newer(left, right, [OLD, NEW, NEWEST]) is newer


def test_too_long_is_tried_shorter(bench: Bench) -> None:
    result = post_comment(bench.forge(), PR, lambda limit: body(text="x" * (limit + 2_000)))
    assert result.action is CommentAction.CREATED
    (posted,) = bench.github.bodies()
    assert len(posted) < 40_000
    never = post_comment(bench.forge(), PR, lambda _: body(NEWEST, "y" * 70_000))
    assert "too long" in (never.problem or "")


def retired(text: str = "report") -> str:
    note = f"_Superseded: commit `{NEW[:12]}` has a report of its own._"
    return restate(body(OLD, text), State.SUPERSEDED, note=note)


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        (CommentPolicy.NEW, [retired(), body(NEW)]),
        (CommentPolicy.HIDE_AND_NEW, [retired(), body(NEW)]),
        (CommentPolicy.DELETE_AND_NEW, [body(NEW)]),
        (CommentPolicy.UPDATE, [body(NEW)]),
    ],
)
def test_policies(bench: Bench, policy: CommentPolicy, left: list[str]) -> None:
    forge = bench.forge()
    upsert_comment(forge, PR, body(OLD), policy=policy)
    upsert_comment(forge, PR, body(NEW), policy=policy)
    writes = len(bench.github.writes())
    upsert_comment(forge, PR, body(NEW), policy=policy)
    assert bench.github.bodies() == left
    assert len(bench.github.writes()) == writes
    assert bool(bench.github.minimised) is (policy is CommentPolicy.HIDE_AND_NEW)


@pytest.mark.parametrize("policy", [CommentPolicy.NEW, CommentPolicy.HIDE_AND_NEW])
def test_an_overtaken_run_has_the_last_word_on_its_own_comment(
    bench: Bench, policy: CommentPolicy
) -> None:
    forge = bench.forge()
    upsert_comment(forge, PR, body(OLD, "running", state=State.RUNNING), policy=policy)
    upsert_comment(forge, PR, body(NEW), policy=policy)
    late = upsert_comment(forge, PR, body(OLD, "ended"), policy=policy)
    assert (late.action, late.newer) == (CommentAction.KEPT_NEWER, NEW)
    last = body(OLD, "ended", state=State.SUPERSEDED)
    amended = amend_comment(forge, PR, lambda _limit: last, policy=policy)
    assert amended.action is CommentAction.UPDATED
    assert bench.github.bodies() == [last, body(NEW)]
    gone = body("d" * 40, "never posted", state=State.SUPERSEDED)
    amend_comment(forge, PR, lambda _limit: gone, policy=policy)
    assert bench.github.bodies() == [last, body(NEW)]


@pytest.mark.parametrize("policy", list(CommentPolicy))
def test_what_a_run_killed_between_new_and_old_left_is_put_right(
    bench: Bench, policy: CommentPolicy
) -> None:
    for commit in (OLD, NEW, NEW):
        bench.github.add_comment(PR, "github-actions[bot]", body(commit))
    upsert_comment(bench.forge(), PR, body(NEW, "again"), policy=policy)
    *older, last = bench.github.bodies()
    assert last == body(NEW, "again")
    assert older in ([], [retired()])


@pytest.mark.parametrize(("status", "left"), [(200, retired()), (502, body(OLD))])
def test_a_comment_that_could_not_be_hidden_is_retired_or_hidden_later(
    bench: Bench, status: int, left: str
) -> None:
    """Who may not hide says so in the comment; an outage is waited out."""
    refused = {"errors": [{"type": "FORBIDDEN", "message": "not accessible by integration"}]}
    for _ in range(2):
        bench.github.add_comment(PR, "github-actions[bot]", body(OLD))
    forge, policy = bench.forge(), CommentPolicy.HIDE_AND_NEW
    assert forge.whoami() == "github-actions[bot]"
    bench.github.faults = [Fault("POST", "graphql", status, body=refused, count=99)]
    result = post_comment(forge, PR, lambda _: body(NEW), policy=policy)
    assert "could not fold an outdated comment away" in (result.problem or "")
    assert bench.github.bodies() == [left, left, body(NEW)]
    bench.github.faults = []
    assert post_comment(forge, PR, lambda _: body(NEW), policy=policy).problem is None
    assert bench.github.bodies() == [retired(), retired(), body(NEW)]
    assert bool(bench.github.minimised) is (status == 502)


def test_a_long_comment_can_be_retired(bench: Bench) -> None:
    bench.github.add_comment(PR, "github-actions[bot]", body(OLD, "x" * 64_990))
    upsert_comment(bench.forge(), PR, body(NEW), policy=CommentPolicy.NEW)
    assert bench.github.bodies() == [retired(""), body(NEW)]


def test_two_runners_of_two_commits_under_a_policy_of_their_own_comments(bench: Bench) -> None:
    """Neither takes the other's comment for its own."""
    github = bench.github
    path = f"/repos/{REPOSITORY}/issues/{PR}/comments"

    def rival() -> None:
        github.add_comment(PR, "github-actions[bot]", body(NEWEST))

    github.hooks[f"GET {path}"] = rival
    result = upsert_comment(bench.forge(), PR, body(NEW), policy=CommentPolicy.NEW)
    assert result.action is CommentAction.CREATED
    assert github.bodies() == [body(NEWEST), body(NEW)]


def test_two_projects_of_one_repository_have_a_comment_each(bench: Bench) -> None:
    forge = bench.forge()
    marker = parse_marker(body())
    assert marker is not None
    other = f"{render_marker(replace(marker, project='teams/a'))}\nreport"
    for _ in range(2):
        upsert_comment(forge, PR, body())
        upsert_comment(forge, PR, other)
    assert bench.github.bodies() == [body(), other]


def pull(number: int, *, merged: bool, commit: str | None = None) -> dict[str, object]:
    when = "2026-03-02T09:00:00Z" if merged else None
    return {"number": number, "merged_at": when, "merge_commit_sha": commit}


@pytest.mark.parametrize(
    ("pulls", "number"),
    [
        ([pull(7, merged=True, commit=NEW)], 7),
        ([pull(9, merged=False), pull(7, merged=True)], 7),
        ([pull(7, merged=True, commit=NEW), pull(8, merged=True, commit=OLD)], 7),
        ([pull(5, merged=False), pull(6, merged=False), pull(4, merged=False)], 6),
        ([], None),
    ],
)
def test_the_pull_request_of_a_commit(
    bench: Bench, pulls: list[dict[str, object]], number: int | None
) -> None:
    bench.github.pulls[NEW] = pulls
    assert bench.forge().pull_request_of(NEW) == number


def test_an_unknown_commit_has_no_pull_request(bench: Bench) -> None:
    assert bench.forge().pull_request_of("e" * 40) is None
