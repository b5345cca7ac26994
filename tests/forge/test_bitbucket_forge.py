"""What is Bitbucket's own: short hashes, an index that may be off, tokens without a name."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.bitbucket import BOT, pull_request
from support.forge_benches import NEW, OLD, PR, BitbucketBench, open_bench
from support.github import Fault
from support.loopback_forge import BASE
from support.reports import REPORTS

from ci.errors import ForgeError
from ci.forge.comments import post_comment
from ci.forge.model import CommitStatus, PermissionMissing, StatusState
from ci.report.markdown import render_comment

FORK = {
    "branch": {"name": "main"},
    "commit": {"hash": "b" * 12},
    "repository": {"full_name": "mallory/mlops"},
}


@pytest.fixture
def bench() -> Iterator[BitbucketBench]:
    with open_bench("bitbucket") as opened:
        assert isinstance(opened, BitbucketBench)
        yield opened


def test_a_person_s_token_finds_that_person_s_comments(bench: BitbucketBench) -> None:
    bench.fake.tokens["me@example.com:api-token"] = "{me}"
    forge = bench.forge("me@example.com:api-token")
    assert forge.whoami() == "{me}"
    bench.add(BOT, "the bot's")
    bench.add("{me}", "mine")
    assert [each.author for each in forge.comments(PR)] == [BOT, "{me}"]


def test_a_person_s_token_that_may_not_read_the_account_posts_once(bench: BitbucketBench) -> None:
    bench.fake.tokens["me@example.com:api-token"] = "{me}"
    bench.fake.faults = [Fault("GET", "/user$", 403, count=9)]
    for text in ("first", "second"):
        report = replace(REPORTS["success"], notes=(text,))
        forge = bench.forge("me@example.com:api-token")
        post_comment(forge, PR, lambda limit, made=report: render_comment(made, limit=limit))
    [posted] = bench.bodies()
    assert "second" in posted


def test_an_access_token_knows_itself_as_an_app_user(bench: BitbucketBench) -> None:
    forge = bench.forge()
    bench.add(BOT, "mine")
    bench.add("{mlee}", "hers")
    assert forge.whoami() == "an app user"
    assert [each.author for each in forge.comments(PR)] == ["an app user", "{mlee}"]


@pytest.mark.parametrize("state", ["OPEN", "MERGED", "DECLINED"])
def test_hashes_are_told_whole(bench: BitbucketBench, state: str) -> None:
    bench.fake.pulls[PR] = pull_request(PR, state)
    found = bench.forge().pull_request(PR)
    assert (found.head, found.base) == (NEW, BASE)
    assert (found.open, found.merged) == (state == "OPEN", state == "MERGED")
    assert (found.branch, found.from_fork) == ("deeper", False)


@pytest.mark.parametrize("source", [FORK, {**FORK, "repository": None}])
def test_a_fork_and_one_that_is_gone(bench: BitbucketBench, source: dict[str, object]) -> None:
    bench.fake.pulls[PR] = pull_request(PR, source=source)
    assert bench.forge().pull_request(PR).from_fork


@pytest.mark.parametrize("indexed", [None, {}, {NEW: [3, 9]}])
def test_the_pull_request_of_a_merge(
    bench: BitbucketBench, indexed: dict[str, list[int]] | None
) -> None:
    for number in range(1, 12):
        made = {"hash": f"{number:012x}"} if number != 5 else {"hash": NEW[:12]}
        bench.fake.pulls[number] = pull_request(number, "MERGED", merge_commit=made)
    bench.fake.index = indexed
    assert bench.forge().pull_request_of(NEW) == 5


def test_the_pull_request_of_a_commit_that_is_not_merged(bench: BitbucketBench) -> None:
    assert bench.forge().pull_request_of(OLD) is None
    bench.fake.index = {OLD: [PR]}
    assert bench.forge().pull_request_of(OLD) == PR


def test_permissions_by_account_and_never_by_nickname(bench: BitbucketBench) -> None:
    for name, permission in (("a", "admin"), ("w", "write"), ("r", "read")):
        user = {"uuid": f"{{{name}}}", "account_id": f"5570:{name}", "nickname": "x"}
        bench.fake.permissions.append({"user": user, "permission": permission})
    forge = bench.forge()
    assert [forge.permission_of(each) for each in ("{a}", "5570:w", "{r}", "x", "{n}")] == [
        "admin", "write", "read", "none", "none",
    ]  # fmt: skip


def test_a_status_has_a_short_key_and_leads_somewhere(bench: BitbucketBench) -> None:
    forge = bench.forge()
    context = "sagemaker-gitops/" + "long-name/" * 10
    for state in (StatusState.PENDING, StatusState.FAILURE):
        forge.set_status(NEW, CommitStatus(context=context, state=state, description="d"))
    [status] = bench.fake.statuses[NEW]
    assert status["key"] == hashlib.sha1(context.encode()).hexdigest()
    assert (status["state"], status["name"]) == ("FAILED", context)
    assert status["url"] == f"https://bitbucket.org/acme/mlops/commits/{NEW}"


def test_a_report_is_posted_without_html(bench: BitbucketBench) -> None:
    post_comment(bench.forge(), PR, lambda limit: render_comment(REPORTS["success"], limit=limit))
    [posted] = bench.bodies()
    assert posted.startswith("[sagemaker-gitops]: #")
    assert not any(mark in posted for mark in ("<details", "<sub", "<!--", "```mermaid", "&#"))
    assert "### ✅ rmse 2.05, 4.1 % better than production v12" in posted


def test_what_is_no_repository_and_what_the_token_may_not(bench: BitbucketBench) -> None:
    with pytest.raises(PermissionMissing, match="HTTP 401") as refused:
        bench.forge("wr0ng").whoami()
    assert "Token is invalid" in str(refused.value)
    assert "BITBUCKET_TOKEN" in str(refused.value)
    bench.fake.pulls.clear()
    with pytest.raises(ForgeError, match="Pull request not found"):
        bench.forge().pull_request(PR)
