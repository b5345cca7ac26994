"""How GitHub is talked to: what is repeated and waited for, who one is, where a token goes."""

from collections.abc import Iterator

import pytest
from support.forge_benches import PR
from support.github import REPOSITORY, Fault
from support.github_bench import Bench, body, github_bench

from ci.errors import ForgeError
from ci.forge.comments import post_comment, upsert_comment
from ci.forge.github import GitHub, github_from_environment
from ci.forge.model import CommentAction, PermissionMissing


@pytest.fixture
def bench() -> Iterator[Bench]:
    with github_bench() as opened:
        yield opened


def test_an_app_of_ones_own(bench: Bench) -> None:
    bench.github.tokens["app"] = "acme-ml[bot]"
    bench.github.apps.add("acme-ml[bot]")
    assert bench.forge("app").whoami() == "acme-ml[bot]"


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
            60.0,
        ),
        (
            Fault("POST", "comments$", 403,
                  body={"message": "You have triggered an abuse detection mechanism."}),
            60.0,
        ),
    ],
)  # fmt: skip
def test_rate_limits_are_waited_for(bench: Bench, fault: Fault, wait: float) -> None:
    bench.github.faults = [fault]
    assert upsert_comment(bench.forge(), PR, body()).action is CommentAction.CREATED
    assert bench.waits == [wait]


@pytest.mark.parametrize(
    "said",
    [
        "Unable to create comment because issue is locked.",
        "Commenting is disabled on issues with more than 2500 comments",
        "Repository was archived so is read-only.",
    ],
)
def test_what_nobody_may_do_is_no_missing_permission(bench: Bench, said: str) -> None:
    bench.github.faults = [Fault("POST", "comments$", 403, body={"message": said})]
    result = post_comment(bench.forge(), PR, lambda _: body())
    assert not isinstance(result.refused, PermissionMissing)
    assert said in (result.problem or "")
    assert "permission" not in (result.problem or "")


def test_a_limit_without_an_end_is_waited_for_ever_longer(bench: Bench) -> None:
    """Whoever goes on asking may be shut out."""
    bench.github.faults = [Fault("POST", "comments$", 429, count=99)]
    result = post_comment(bench.forge(), PR, lambda _: body())
    assert "rate limit is used up" in (result.problem or "")
    assert bench.waits == [60.0, 120.0]


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


@pytest.mark.parametrize("kind", ["RATE_LIMIT", "RATE_LIMITED"])
def test_an_app_beyond_its_limit_is_not_taken_for_another(bench: Bench, kind: str) -> None:
    """Under a wrong name its own comment is not found, and another is posted beside it."""
    bench.github.tokens["app"] = "acme-ml[bot]"
    bench.github.apps.add("acme-ml[bot]")
    bench.github.add_comment(PR, "acme-ml[bot]", body(text="old"))
    spent = {"errors": [{"type": kind, "message": "API rate limit already exceeded"}]}
    bench.github.faults = [Fault("POST", "graphql", 200, body=spent, count=9)]
    result = post_comment(bench.forge("app"), PR, lambda _: body(text="new"))
    assert "rate limit is used up" in (result.problem or "")
    assert bench.github.bodies() == [body(text="old")]


def test_from_the_environment(bench: Bench) -> None:
    assert github_from_environment({}, REPOSITORY) is None
    environ = {"GITHUB_TOKEN": "t0ken", "GITHUB_API_URL": bench.github.address}
    forge = github_from_environment(environ, REPOSITORY)
    assert forge is not None
    assert forge.whoami() == "github-actions[bot]"
    with pytest.raises(ForgeError, match="not a repository"):
        github_from_environment(environ, "nonsense")
