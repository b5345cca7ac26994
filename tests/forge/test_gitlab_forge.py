"""What is GitLab's own: quick actions, subgroups, roles, statuses that may not repeat."""

from collections.abc import Iterator

import pytest
from support.forge_benches import NEW, OLD, PR, GitLabBench, open_bench
from support.gitlab import PROJECT, merge_request
from support.reports import REPORTS

from ci.errors import ForgeError
from ci.forge.comments import upsert_comment
from ci.forge.gitlab import open_gitlab
from ci.forge.labels import post_label
from ci.forge.model import CommitStatus, PermissionMissing, StatusState
from ci.report.marker import Marker, render_marker
from ci.report.model import State


@pytest.fixture
def bench() -> Iterator[GitLabBench]:
    with open_bench("gitlab") as opened:
        assert isinstance(opened, GitLabBench)
        yield opened


def comment(text: str) -> str:
    marker = Marker(
        pipeline="p", environment="main", commit=NEW, execution=None, digest=None, state=State.FINAL
    )
    return f"{render_marker(marker)}\n{text}\n"


@pytest.mark.parametrize(
    "text",
    [
        "/close",
        "/merge\n/approve",
        "> /close",
        "````\n```\n/close\n```\n````",
        "  /assign @me",
    ],
)
def test_no_line_of_a_report_is_a_quick_action(bench: GitLabBench, text: str) -> None:
    upsert_comment(bench.forge(), PR, comment(text))
    assert bench.fake.obeyed == []
    [posted] = bench.bodies()
    assert "\u200b/" in posted


def test_the_loopback_obeys_what_is_not_made_inert(bench: GitLabBench) -> None:
    bench.forge().create_comment(PR, "/close\n")
    assert bench.fake.obeyed == ["close"]


def test_references_to_other_merge_requests_are_broken_and_links_are_whole(
    bench: GitLabBench,
) -> None:
    text = "see !12 and &#38;7 · [run](https://x.example/a!12) · `!12`\n\n/opt/ml/model"
    upsert_comment(bench.forge(), PR, comment(text))
    [posted] = bench.bodies()
    assert "see !\u200b12 and &#38;\u200b7" in posted
    assert "[run](https://x.example/a!12)" in posted
    assert "\n/opt/ml/model" in posted


@pytest.mark.parametrize(
    ("made", "number"),
    [
        ([merge_request(7, "merged", merge_commit_sha=NEW)], 7),
        ([merge_request(9), merge_request(7, "merged", squash_commit_sha=NEW)], 7),
        ([merge_request(9), merge_request(7, "merged"), merge_request(4)], 7),
        ([merge_request(5), merge_request(6)], 6),
        ([merge_request(5), merge_request(6, "closed")], 5),
    ],
)
def test_the_merge_request_of_a_commit(
    bench: GitLabBench, made: list[dict[str, object]], number: int
) -> None:
    bench.fake.merge_requests.update({int(str(each["iid"])): each for each in made})
    bench.fake.of_commit[NEW] = [int(str(each["iid"])) for each in made]
    assert bench.forge().pull_request_of(NEW) == number
    assert bench.forge().pull_request_of(OLD) is None


def test_a_merge_request_of_the_project_and_one_of_a_fork(bench: GitLabBench) -> None:
    bench.fake.merge_requests[7] = merge_request(7, "merged", source_project_id=8)
    own, foreign = bench.forge().pull_request(PR), bench.forge().pull_request(7)
    assert (own.head, own.branch, own.open, own.from_fork) == (NEW, "deeper", True, False)
    assert (foreign.from_fork, foreign.merged) == (True, True)


@pytest.mark.parametrize(
    ("login", "role"),
    [
        ("Owner", "admin"),
        ("maint", "maintain"),
        ("dev", "write"),
        ("reporter", "triage"),
        ("guest", "read"),
        ("dev2", "none"),
        ("de", "none"),
        ("nobody", "none"),
    ],
)
def test_what_members_may_do(bench: GitLabBench, login: str, role: str) -> None:
    bench.fake.members += [
        ("owner", 50, "active"), ("maint", 40, "active"), ("dev", 30, "active"),
        ("dev", 10, "active"), ("reporter", 20, "active"), ("guest", 10, "active"),
        ("dev2", 40, "blocked"), ("dev3", 50, "active"),
    ]  # fmt: skip
    assert bench.forge().permission_of(login) == role


def test_a_status_may_be_set_again(bench: GitLabBench) -> None:
    forge = bench.forge()
    states = (StatusState.PENDING, StatusState.PENDING, StatusState.SUCCESS, StatusState.SUCCESS)
    for state in states:
        forge.set_status(NEW, CommitStatus(context="sagemaker", state=state, description="x"))
    posted = [each["state"] for each in bench.fake.statuses[NEW, "sagemaker"]]
    assert posted == ["running", "success"]


def test_a_label_tells_the_outcome_in_its_color(bench: GitLabBench) -> None:
    forge, outcomes = bench.forge(), REPORTS
    bench.fake.merge_requests[PR]["labels"] = ["theirs"]
    post_label(forge, PR, outcomes["running"], alone=True)
    post_label(forge, PR, outcomes["gate-failed"], alone=True)
    post_label(forge, PR, outcomes["gate-failed"], alone=True)
    theirs, ours = forge.labels(PR)
    assert theirs == "theirs"
    assert bench.fake.labels[ours]["color"].startswith("#")
    assert bench.fake.labels[ours]["color"] != "#chosen"
    forge.remove_label(PR, ours)
    forge.remove_label(PR, ours)
    assert forge.labels(PR) == ("theirs",)


def test_a_wrong_token_and_a_wrong_project_are_told(bench: GitLabBench) -> None:
    address = f"{bench.address}/api/v4"
    with pytest.raises(PermissionMissing, match="HTTP 401") as refused:
        open_gitlab(address, "wr0ng", PROJECT).whoami()
    assert "GITLAB_TOKEN" in str(refused.value)
    assert "wr0ng" not in str(refused.value)
    with pytest.raises(PermissionMissing, match="HTTP 404"):
        open_gitlab(address, "t0ken", "acme/other").comments(PR)
    with pytest.raises(ForgeError, match="is not a project"):
        open_gitlab(address, "t0ken", "mlops")
