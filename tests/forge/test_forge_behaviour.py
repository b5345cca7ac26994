"""One comment for each pipeline and environment, on every forge alike. Asserted by state."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.forge_benches import KINDS, NEW, NEWEST, OLD, PR, Bench, dressed, open_bench
from support.reports import REPORTS

from ci.forge.comments import find_comments, post_comment, upsert_comment
from ci.forge.form import form_of
from ci.forge.model import CommentAction, PermissionMissing
from ci.project.model import CommentPolicy
from ci.report.fit import size
from ci.report.markdown import render_comment
from ci.report.marker import Marker, parse_marker, render_marker
from ci.report.model import State


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with open_bench(request.param) as opened:
        yield opened


MARKER = Marker(
    pipeline="abalone",
    environment="main",
    commit=NEW,
    execution="arn:1",
    digest=None,
    state=State.FINAL,
)


def body(commit: str = NEW, text: str = "report", **more: object) -> str:
    return f"{render_marker(replace(MARKER, commit=commit, **more))}\n{text}\n"  # type: ignore[arg-type]


def test_create_update_unchanged(bench: Bench) -> None:
    forge = bench.forge()
    first = upsert_comment(forge, PR, body(text="running"))
    assert first.action is CommentAction.CREATED
    assert upsert_comment(forge, PR, body(text="running")).action is CommentAction.UNCHANGED
    assert len(bench.writes()) == 1
    assert upsert_comment(forge, PR, body(text="done")).action is CommentAction.UPDATED
    assert bench.bodies() == [dressed(bench, body(text="done"))]
    assert first.url


def test_found_on_a_later_page_by_marker_and_author(bench: Bench) -> None:
    for number in range(5):
        bench.add("someone", f"talk {number}")
    bench.add("mallory", dressed(bench, body(text="forged")))
    bench.add(bench.me, dressed(bench, body(OLD, text="old")))
    bench.add(bench.me, dressed(bench, body(pipeline="other")))
    assert upsert_comment(bench.forge(), PR, body(text="new")).action is CommentAction.UPDATED
    left = bench.bodies()
    assert dressed(bench, body(text="new")) in left
    assert dressed(bench, body(text="forged")) in left
    assert dressed(bench, body(pipeline="other")) in left
    assert len(left) == 8


def test_never_over_a_newer_commit(bench: Bench) -> None:
    forge = bench.forge()
    upsert_comment(forge, PR, body(NEWEST, "newest"))
    for policy in CommentPolicy:
        result = upsert_comment(forge, PR, body(NEW, "late"), policy=policy)
        assert result.action is CommentAction.KEPT_NEWER
    assert bench.bodies() == [dressed(bench, body(NEWEST, "newest"))]
    assert upsert_comment(forge, PR, body(NEWEST, "again")).action is CommentAction.UPDATED


def test_a_force_push_leaves_the_old_commit_behind(bench: Bench) -> None:
    forge = bench.forge()
    upsert_comment(forge, PR, body("d" * 40, "gone"))
    assert upsert_comment(forge, PR, body(OLD, "here")).action is CommentAction.UPDATED
    assert upsert_comment(forge, PR, body("d" * 40, "x")).action is CommentAction.KEPT_NEWER


def test_two_runners_end_with_one_comment(bench: Bench) -> None:
    forges = [bench.forge() for _ in range(3)]
    barrier = threading.Barrier(len(forges))

    def run(index: int) -> None:
        barrier.wait()
        upsert_comment(forges[index], PR, body(text=f"run {index}"))

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(forges))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bench.bodies()) == 1


def test_a_create_that_lost_the_race(bench: Bench) -> None:
    bench.after("list", lambda: bench.add(bench.me, dressed(bench, body(text="rival"))))
    result = upsert_comment(bench.forge(), PR, body(text="mine"))
    assert bench.bodies() == [dressed(bench, body(text="mine"))]
    assert result.action is CommentAction.UPDATED


def test_what_a_killed_run_left_is_cleared(bench: Bench) -> None:
    for text in ("one", "two", "three"):
        bench.add(bench.me, dressed(bench, body(text=text)))
    upsert_comment(bench.forge(), PR, body(text="new"))
    assert bench.bodies() == [dressed(bench, body(text="new"))]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("status", [502, 0])
def test_a_post_without_an_answer_is_looked_after(bench: Bench, status: int, after: bool) -> None:
    bench.fail("create", status, after=after)
    assert upsert_comment(bench.forge(), PR, body()).action is CommentAction.CREATED
    assert bench.bodies() == [dressed(bench, body())]


@pytest.mark.parametrize("what", ["list", "create", "update"])
def test_an_outage_is_told_and_ends_nothing(bench: Bench, what: str) -> None:
    bench.add(bench.me, dressed(bench, body(text="old"))) if what == "update" else None
    bench.fail(what, 503, count=99)
    result = post_comment(bench.forge(), PR, lambda _: body())
    assert result.action is CommentAction.FAILED
    assert "503" in (result.problem or "") or "InternalFailure" in (result.problem or "")


def test_a_missing_permission_is_told_with_the_way_out(bench: Bench) -> None:
    bench.forbid()
    result = post_comment(bench.forge(), PR, lambda _: body())
    assert result.action is CommentAction.FAILED
    assert result.problem is not None
    ways = ("pull-requests: write", "scope `api`", "pullrequest:write", '"Effect": "Allow"')
    assert sum(way in result.problem for way in ways) == 1
    assert "t0ken" not in result.problem


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        (CommentPolicy.NEW, [OLD, NEW]),
        (CommentPolicy.HIDE_AND_NEW, [OLD, NEW]),
        (CommentPolicy.DELETE_AND_NEW, [NEW]),
        (CommentPolicy.UPDATE, [NEW]),
    ],
)
def test_policies(bench: Bench, policy: CommentPolicy, left: list[str]) -> None:
    forge = bench.forge()
    for commit in (OLD, NEW, NEW):
        upsert_comment(forge, PR, body(commit), policy=policy)
    found = [parse_marker(each) for each in bench.bodies()]
    assert [marker.commit for marker in found if marker] == left


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "github"])
def test_what_cannot_be_hidden_is_folded_once(kind: str) -> None:
    with open_bench(kind) as bench:
        forge = bench.forge()
        for commit in (OLD, NEW, NEWEST):
            text = body(commit, "### Verdict\n\ndetails")
            upsert_comment(forge, PR, text, policy=CommentPolicy.HIDE_AND_NEW)
        first, second, last = bench.bodies()
        assert "Outdated" not in last
        assert [each.count("Outdated: a newer commit") for each in (first, second)] == [1, 1]
        assert "Verdict" in first
        assert len(bench.writes()) == 5


@pytest.mark.parametrize("name", ["hostile", "many-steps", "success"])
def test_every_report_fits(bench: Bench, name: str) -> None:
    report = replace(REPORTS[name], trigger=replace(REPORTS[name].trigger, commit=NEW))
    result = post_comment(bench.forge(), PR, lambda limit: render_comment(report, limit=limit))
    assert result.action is CommentAction.CREATED, result.problem
    [posted] = bench.bodies()
    assert size(posted) <= form_of(bench.forge()).largest
    again = post_comment(bench.forge(), PR, lambda limit: render_comment(report, limit=limit))
    assert again.action is CommentAction.UNCHANGED


def test_too_long_at_any_size_is_told(bench: Bench) -> None:
    result = post_comment(bench.forge(), PR, lambda _: body(text="y" * 1_100_000))
    assert result.action is CommentAction.FAILED
    assert bench.bodies() == []


def test_deleting_twice_is_done_once_and_forbidden_is_told(bench: Bench) -> None:
    forge = bench.forge()
    upsert_comment(forge, PR, body())
    [(comment, marker)] = find_comments(forge, PR, MARKER)
    assert marker == MARKER
    forge.delete_comment(comment)
    forge.delete_comment(comment)
    assert bench.bodies() == []
    upsert_comment(forge, PR, body())
    [(comment, _)] = find_comments(forge, PR, MARKER)
    bench.forbid()
    with pytest.raises(PermissionMissing):
        forge.delete_comment(comment)


def test_commits_are_told_oldest_first(bench: Bench) -> None:
    assert bench.forge().commit_order(PR) == (OLD, NEW, NEWEST)


def test_no_repr_tells_the_token(bench: Bench) -> None:
    forge = bench.forge()
    upsert_comment(forge, PR, body())
    assert "t0ken" not in repr(forge) + repr(vars(forge))
