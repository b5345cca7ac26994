"""One comment per pipeline and environment, whatever happens around it. Asserted by state."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.github import PAGE, REPOSITORY, FakeGitHub, Fault, serve_github

from ci.errors import ForgeError
from ci.forge.comments import amend_comment, is_newer, post_comment, upsert_comment
from ci.forge.github import PERMISSIONS, GitHub, github_from_environment
from ci.forge.http import Client
from ci.forge.model import CommentAction, PermissionMissing
from ci.project.model import CommentPolicy
from ci.report.marker import Marker, parse_marker, render_marker, restate
from ci.report.model import State

OLD, NEW, NEWEST = "a" * 40, "b" * 40, "c" * 40
PR = 42


class Bench:
    """A fake GitHub, a forge that speaks to it, and the waits the forge would have made."""

    def __init__(self, github: FakeGitHub) -> None:
        self.github = github
        self.waits: list[float] = []

    def forge(self, token: str = "t0ken") -> GitHub:
        client = Client(
            self.github.address,
            token,
            sleep=self.waits.append,
            clock=lambda: 1_000.0,
            jitter=lambda: 0.0,
            permissions=PERMISSIONS,
        )
        return GitHub(client, REPOSITORY)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with serve_github() as github:
        github.commits[PR] = [OLD, NEW, NEWEST]
        yield Bench(github)


def body(
    commit: str = NEW,
    text: str = "report",
    *,
    state: State = State.FINAL,
    pipeline: str = "abalone",
    execution: str | None = "arn:1",
) -> str:
    marker = Marker(
        pipeline=pipeline,
        environment="main",
        commit=commit,
        execution=execution,
        digest=None,
        state=state,
    )
    return f"{render_marker(marker)}\n{text}"


def test_create_update_unchanged(bench: Bench) -> None:
    forge, github = bench.forge(), bench.github
    first = upsert_comment(forge, PR, body(text="running"))
    assert first.action is CommentAction.CREATED
    assert upsert_comment(forge, PR, body(text="running")).action is CommentAction.UNCHANGED
    assert github.writes() == ["POST"]
    assert upsert_comment(forge, PR, body(text="done")).action is CommentAction.UPDATED
    assert github.bodies() == [body(text="done")]
    assert first.url


def test_unchanged_though_the_forge_trims_and_changes_line_ends(bench: Bench) -> None:
    bench.github.add_comment(PR, "github-actions[bot]", body(text="a\n\nb").replace("\n", "\r\n"))
    result = upsert_comment(bench.forge(), PR, body(text="a\n\nb\n"))
    assert result.action is CommentAction.UNCHANGED
    assert bench.github.writes() == []


def test_found_on_a_later_page_and_by_author(bench: Bench) -> None:
    github = bench.github
    for number in range(PAGE * 3):
        github.add_comment(PR, "someone", f"talk {number}")
    forged = github.add_comment(PR, "mallory", body(text="forged"))
    mine = github.add_comment(PR, "github-actions[bot]", body(OLD, text="old"))
    other = github.add_comment(PR, "github-actions[bot]", body(pipeline="other"))
    assert upsert_comment(bench.forge(), PR, body(text="new")).action is CommentAction.UPDATED
    assert github.comments[mine]["body"] == body(text="new")
    assert github.comments[forged]["body"] == body(text="forged")
    assert github.comments[other]["body"] == body(pipeline="other")


def test_a_user_token_finds_its_own(bench: Bench) -> None:
    bench.github.tokens["ghp"] = "Release-Bot"
    mine = bench.github.add_comment(PR, "release-bot", body(text="old"))
    bench.github.add_comment(PR, "github-actions[bot]", body(text="another's"))
    upsert_comment(bench.forge("ghp"), PR, body(text="new"))
    assert bench.github.comments[mine]["body"] == body(text="new")
    assert len(bench.github.comments) == 2


def test_an_app_of_ones_own(bench: Bench) -> None:
    bench.github.tokens["app"] = "acme-ml[bot]"
    bench.github.apps.add("acme-ml[bot]")
    assert bench.forge("app").whoami() == "acme-ml[bot]"


def test_never_over_a_newer_commit(bench: Bench) -> None:
    forge = bench.forge()
    upsert_comment(forge, PR, body(NEWEST, "newest"))
    for policy in CommentPolicy:
        result = upsert_comment(forge, PR, body(NEW, "late"), policy=policy)
        assert result.action is CommentAction.KEPT_NEWER
    assert bench.github.bodies() == [body(NEWEST, "newest")]
    assert upsert_comment(forge, PR, body(NEWEST, "again")).action is CommentAction.UPDATED


def test_a_force_push_leaves_the_old_commit_behind(bench: Bench) -> None:
    forge = bench.forge()
    upsert_comment(forge, PR, body("d" * 40, "gone"))
    assert upsert_comment(forge, PR, body(OLD, "here")).action is CommentAction.UPDATED
    assert upsert_comment(forge, PR, body("d" * 40, "x")).action is CommentAction.KEPT_NEWER


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


def test_two_runners_end_with_one_comment(bench: Bench) -> None:
    forges = [bench.forge() for _ in range(4)]
    barrier = threading.Barrier(len(forges))

    def run(index: int) -> None:
        barrier.wait()
        upsert_comment(forges[index], PR, body(text=f"run {index}"))

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(forges))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bench.github.bodies()) == 1


def test_a_create_that_lost_the_race(bench: Bench) -> None:
    github = bench.github
    path = f"/repos/{REPOSITORY}/issues/{PR}/comments"

    def rival() -> None:
        """Appears between this run's look and its create."""
        github.add_comment(PR, "github-actions[bot]", body(text="rival"))

    github.hooks[f"GET {path}"] = rival
    result = upsert_comment(bench.forge(), PR, body(text="mine"))
    assert github.bodies() == [body(text="mine")]
    assert result.action is CommentAction.UPDATED


def test_what_a_killed_run_left_is_cleared(bench: Bench) -> None:
    for text in ("one", "two", "three"):
        bench.github.add_comment(PR, "github-actions[bot]", body(text=text))
    upsert_comment(bench.forge(), PR, body(text="new"))
    assert bench.github.bodies() == [body(text="new")]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("status", [502, 0])
def test_a_post_without_an_answer_is_looked_after(bench: Bench, status: int, after: bool) -> None:
    bench.github.faults = [Fault("POST", "comments$", status, after_effect=after)]
    result = upsert_comment(bench.forge(), PR, body())
    assert result.action is CommentAction.CREATED
    assert bench.github.bodies() == [body()]


@pytest.mark.parametrize("method", ["GET", "PATCH"])
@pytest.mark.parametrize("status", [500, 502, 503, 504, 0])
def test_what_may_be_repeated_is(bench: Bench, method: str, status: int) -> None:
    bench.github.add_comment(PR, "github-actions[bot]", body(text="old"))
    bench.github.faults = [Fault(method, "comments", status, count=3)]
    assert upsert_comment(bench.forge(), PR, body()).action is CommentAction.UPDATED
    assert bench.github.bodies() == [body()]
    assert bench.waits == [0.5, 1.0, 2.0]


def test_an_outage_ends_in_time_and_breaks_nothing(bench: Bench) -> None:
    bench.github.faults = [Fault("GET", "comments", 503, count=99)]
    result = post_comment(bench.forge(), PR, lambda _: body())
    assert result.action is CommentAction.FAILED
    assert "HTTP 503" in (result.problem or "")
    assert sum(bench.waits) < 180


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        (Fault("POST", "comments$", 403, headers={"Retry-After": "7"}), 7.0),
        (Fault("POST", "comments$", 429, headers={"Retry-After": "7"}), 7.0),
        (
            Fault("POST", "comments$", 403,
                  headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1030"}),
            31.0,
        ),
        (
            Fault("POST", "comments$", 403,
                  body={"message": "You have exceeded a secondary rate limit."}),
            4.0,
        ),
    ],
)  # fmt: skip
def test_rate_limits_are_waited_for(bench: Bench, fault: Fault, wait: float) -> None:
    bench.github.faults = [fault]
    assert upsert_comment(bench.forge(), PR, body()).action is CommentAction.CREATED
    assert bench.waits == [wait]


def test_a_limit_that_ends_too_late_is_told(bench: Bench) -> None:
    late = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9999"}
    bench.github.faults = [Fault("GET", "comments", 403, headers=late)]
    result = post_comment(bench.forge(), PR, lambda _: body())
    assert "rate limit is used up" in (result.problem or "")
    assert bench.waits == []


def test_a_missing_permission_is_told_with_its_yaml(bench: Bench) -> None:
    bench.github.readers.add("github-actions[bot]")
    result = post_comment(bench.forge(), PR, lambda _: body())
    assert result.action is CommentAction.FAILED
    assert result.problem is not None
    assert (
        "permissions:\n           contents: read\n           pull-requests: write" in result.problem
    )
    assert "t0ken" not in result.problem
    with pytest.raises(PermissionMissing, match="not valid"):
        bench.forge("wrong").comments(PR)


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


def test_deleting_twice_is_done_once_and_forbidden_is_told(bench: Bench) -> None:
    forge = bench.forge()
    upsert_comment(forge, PR, body())
    (comment,) = forge.comments(PR)
    bench.github.readers.add("github-actions[bot]")
    with pytest.raises(PermissionMissing):
        forge.delete_comment(comment)
    bench.github.readers.clear()
    forge.delete_comment(comment)
    forge.delete_comment(comment)
    assert bench.github.bodies() == []


def test_the_token_is_shown_nowhere_and_sent_to_one_host(bench: Bench) -> None:
    forge = bench.forge("s3cret")
    assert "s3cret" not in repr(forge)
    assert "s3cret" not in repr(vars(forge._client))
    evil = {"Link": '<http://127.0.0.2:9/x>; rel="next"'}
    bench.github.faults = [Fault("GET", "comments", 200, headers=evil, body=[{"id": 1}])]
    with pytest.raises(ForgeError, match="another host"):
        bench.forge().comments(PR)


def test_answers_that_are_no_json(bench: Bench) -> None:
    bench.github.faults = [Fault("GET", "comments", 200, body=b"<html>login</html>")]
    with pytest.raises(ForgeError, match="not JSON"):
        bench.forge().comments(PR)


def test_a_renamed_repository_is_followed_on_its_host(bench: Bench) -> None:
    bench.github.add_comment(PR, "github-actions[bot]", body())
    place = f"/repos/{REPOSITORY}/issues/{PR}/comments"
    old = "/repos/old/name/issues"
    bench.github.faults = [
        Fault("GET", old, 301, headers={"Location": place}),
        Fault("POST", old, 307, headers={"Location": f"{bench.github.address}{place}"}),
        Fault("GET", "comments$", 301, headers={"Location": "https://evil.example/"}),
    ]
    renamed = GitHub(bench.forge()._client, "old/name")
    assert renamed.create_comment(PR, "hello").body == "hello"
    bench.github.faults[2].count, evil = 0, bench.github.faults[2]
    assert len(renamed.comments(PR)) == 2
    evil.count = 1
    with pytest.raises(ForgeError, match="another host"):
        bench.forge().comments(PR)


def test_redirects_end(bench: Bench) -> None:
    bench.github.faults = [
        Fault("GET", "comments", 301, count=99, headers={"Location": "/repos/x/y/comments"}),
        Fault("POST", "comments", 302, headers={"Location": "/repos/x/y/comments"}),
    ]
    with pytest.raises(ForgeError, match="redirects"):
        bench.forge().comments(PR)
    with pytest.raises(ForgeError, match="redirects"):
        bench.forge().create_comment(PR, "x")


def test_graphql_of_another_host_is_not_asked(bench: Bench) -> None:
    """A job whose API was set to another host still has GitHub's own address for GraphQL."""
    environ = {
        "GITHUB_TOKEN": "t0ken",
        "GITHUB_API_URL": bench.github.address,
        "GITHUB_GRAPHQL_URL": "https://api.github.com/graphql",
    }
    forge = github_from_environment(environ, REPOSITORY)
    assert forge is not None
    assert forge.whoami() == "github-actions[bot]"
    assert bench.github.requests == [("POST", "/graphql")]


@pytest.mark.parametrize("status", [502, 0])
def test_who_one_is_survives_a_broken_answer(bench: Bench, status: int) -> None:
    bench.github.tokens["app"] = "acme-ml[bot]"
    bench.github.apps.add("acme-ml[bot]")
    bench.github.faults = [Fault("POST", "graphql", status, count=2)]
    assert bench.forge("app").whoami() == "acme-ml[bot]"


def test_an_app_that_graphql_refuses_learns_its_name_from_its_comment(bench: Bench) -> None:
    """The first comment is posted under a guess; what it shows is the truth from then on."""
    bench.github.tokens["app"] = "acme-ml[bot]"
    bench.github.apps.add("acme-ml[bot]")
    mine = bench.github.add_comment(PR, "acme-ml[bot]", body(text="old"))
    bench.github.faults = [Fault("POST", "graphql", 403, count=9)]
    forge = bench.forge("app")
    for _ in range(2):
        upsert_comment(forge, PR, body(text="new"))
    assert bench.github.bodies() == [body(text="new")]
    assert list(bench.github.comments) == [mine]


def test_no_answer_to_who_one_is_posts_nothing(bench: Bench) -> None:
    bench.github.faults = [
        Fault("POST", "graphql", 403, count=9),
        Fault("GET", "/user", 503, count=99),
    ]
    result = post_comment(bench.forge(), PR, lambda _: body())
    assert result.action is CommentAction.FAILED
    assert bench.github.bodies() == []


def test_from_the_environment(bench: Bench) -> None:
    assert github_from_environment({}, REPOSITORY) is None
    environ = {"GITHUB_TOKEN": "t0ken", "GITHUB_API_URL": bench.github.address}
    forge = github_from_environment(environ, REPOSITORY)
    assert forge is not None
    assert forge.whoami() == "github-actions[bot]"
    with pytest.raises(ForgeError, match="not a repository"):
        github_from_environment(environ, "nonsense")
