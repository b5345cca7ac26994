"""Orders on a pull request as they come: approved, refused, handed on, answered once."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.acting import pull_request_event
from support.approving import ApprovalLab, open_lab
from support.github import ACTIONS

pytestmark = pytest.mark.endpoint
QUICK = ("--poll", "0.1")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApprovalLab]:
    folder: Path = tmp_path_factory.mktemp("chat")
    with open_lab(folder) as lab:
        lab.github.page = 50
        lab.github.roles |= {"anna": "write", "reader": "read", "triager": "triage"}
        yield lab


def approval(lab: ApprovalLab, package: str) -> tuple[str, str]:
    held = lab.sagemaker.describe_model_package(ModelPackageName=package)
    return held["ModelApprovalStatus"], held.get("ApprovalDescription", "")


def package_of(lab: ApprovalLab, group: str, version: int = 1) -> str:
    return f"arn:aws:sagemaker:us-east-1:000000000000:model-package/{group}/{version}"


def test_an_approval_in_a_comment(lab: ApprovalLab) -> None:
    head = lab.propose(7, "seven")
    package = package_of(lab, "quality-pr-7")
    assert approval(lab, package)[0] == "PendingManualApproval"
    for stranger in ("reader", "triager", "nobody"):
        done, signs = lab.say(7, "/sagemaker approve", author=stranger)
        assert (done.code, signs) == (0, ["-1"])
        assert "may not write" in done.err
    assert approval(lab, package)[0] == "PendingManualApproval"
    assert lab.answers(7) == []

    done, signs = lab.say(7, "/sagemaker approve\nand thank you")
    assert done.code == 0, done.err
    assert signs == ["eyes", "+1"]
    status, description = approval(lab, package)
    assert status == "Approved"
    assert description.startswith(f"Approved by anna on pull request 7 at {head[:12]}, ")
    [report] = lab.reports(7)
    assert "approved" in report.splitlines()[1]
    assert "Approved by anna on pull request 7" in report
    assert lab.answers(7) == []

    again, signs = lab.say(7, "/sagemaker approve")
    assert (again.code, signs) == (0, ["eyes", "+1"])


def test_a_rejection_keeps_its_reason_as_text(lab: ApprovalLab) -> None:
    lab.propose(8, "eight")
    reason = "`$(touch pwned)` <img src=x> @everyone see #1 --environment main"
    done, signs = lab.say(8, f"/sagemaker reject {reason}")
    assert (done.code, signs) == (0, ["eyes", "+1"]), done.err
    status, description = approval(lab, package_of(lab, "quality-pr-8"))
    assert status == "Rejected"
    assert description.endswith(reason)
    [report] = lab.reports(8)
    assert "<img" not in report
    assert "@everyone" not in report
    assert not list(lab.scratch.root.glob("**/pwned"))


def test_what_is_not_understood_is_answered_in_one_comment(lab: ApprovalLab) -> None:
    lab.github.add_pull(9, "e" * 40)
    for body in ("/sagemaker launch <b>@me</b>", "/sagemaker run a b", "/sagemaker launch"):
        done, signs = lab.say(9, body)
        assert (done.code, signs) == (2, ["confused"])
    [answer] = lab.answers(9)
    assert "there is no such command" in answer
    assert "/sagemaker approve" in answer
    asked, signs = lab.say(9, "/sagemaker help")
    assert (asked.code, signs) == (0, ["eyes", "+1"])
    assert len(lab.answers(9)) == 1
    for body, more in (
        ("/sagemaker launch", {"author": ACTIONS}),
        ("/sagemaker launch", {"user": {"login": "anna", "type": "Bot"}}),
        ("looks good", {}),
    ):
        done, signs = lab.say(9, body, **more)
        assert (done.code, signs) == (0, [])
    event_edited = lab.say(9, "/sagemaker launch", user=None)
    assert event_edited[1] == []


def test_a_commit_that_came_later_is_not_approved(lab: ApprovalLab) -> None:
    lab.propose(10, "ten")
    package = package_of(lab, "quality-pr-10")
    newer = lab.commit("ten-b", branch="topic-10")
    lab.scratch.git("checkout", "-q", "main")
    lab.github.add_pull(10, newer)
    lab.github.push("topic-10", newer, "2026-03-02T09:30:00Z")
    late, signs = lab.say(10, "/sagemaker approve")
    assert (late.code, signs) == (2, ["eyes", "-1"])
    assert "was pushed after this was written" in lab.answers(10)[0]
    named, _ = lab.say(10, f"/sagemaker approve --commit {newer}")
    assert named.code == 5
    assert "no model package that is reported here" in lab.answers(10)[0]
    older, _ = lab.say(10, "/sagemaker approve --commit " + lab.github.commits[10][0])
    assert older.code == 2
    assert approval(lab, package)[0] == "PendingManualApproval"


def test_a_report_that_was_rewritten_after_the_order_was_not_seen(lab: ApprovalLab) -> None:
    head = lab.propose(16, "sixteen")
    unread = lab.github.add_comment(16, "anna", "/sagemaker approve")
    lab.scratch.git("checkout", "-q", "--detach", head)
    event = pull_request_event("synchronize", 16, head=head, base="0" * 40)
    again = lab.run("deploy", "--again", *QUICK, event=event, name="pull_request")
    assert again.code == 0, again.err
    lab.scratch.git("checkout", "-q", "main")
    newer = package_of(lab, "quality-pr-16", 2)
    assert approval(lab, newer)[0] == "PendingManualApproval"
    done, signs = lab.obey(16, unread)
    assert (done.code, signs) == (2, ["eyes", "-1"]), done.err
    assert "Look at the report, then give the order again" in lab.answers(16)[0]
    assert newer in done.err
    assert {approval(lab, package_of(lab, "quality-pr-16", n))[0] for n in (1, 2)} == {
        "PendingManualApproval"
    }
    seen, signs = lab.say(16, "/sagemaker approve")
    assert (seen.code, signs) == (0, ["eyes", "+1"]), seen.err
    assert approval(lab, newer)[0] == "Approved"
    # The report was rewritten by that: who meant the same as well has done nothing wrong.
    late, signs = lab.obey(16, unread)
    assert late.code == 0, late.err


def test_a_model_is_not_approved_before_it_is_reported(lab: ApprovalLab) -> None:
    lab.propose(17, "seventeen", follow=False)
    package = package_of(lab, "quality-pr-17")
    ends = time.monotonic() + 30
    while not executions_ended(lab, "quality-pr-17"):
        assert time.monotonic() < ends
        time.sleep(0.1)
    done, signs = lab.say(17, "/sagemaker approve")
    assert (done.code, signs) == (2, ["eyes", "-1"]), done.err
    assert "its model is not reported yet" in lab.answers(17)[0]
    assert approval(lab, package)[0] == "PendingManualApproval"


def test_a_report_that_names_another_environments_model_is_not_followed(lab: ApprovalLab) -> None:
    """The login that a job posts under is every workflow's: a marker is a claim."""
    lab.propose(19, "nineteen")
    [comment] = [each for each in lab.github.comments.values() if each["pull"] == 19]
    claimed = comment["body"].replace('"environment":"pull_request"', '"environment":"main"')
    assert claimed != comment["body"]
    comment["body"] = claimed
    done, signs = lab.say(19, "/sagemaker approve --environment main")
    assert (done.code, signs) == (5, ["eyes", "-1"]), done.err
    assert "The package is of environment pull_request, not main" in done.err
    assert approval(lab, package_of(lab, "quality-pr-19"))[0] == "PendingManualApproval"


def test_an_order_whose_report_is_gone(lab: ApprovalLab) -> None:
    lab.propose(18, "eighteen")
    for number in [n for n, each in lab.github.comments.items() if each["pull"] == 18]:
        del lab.github.comments[number]
    done, signs = lab.say(18, "/sagemaker approve")
    assert (done.code, signs) == (5, ["eyes", "-1"])
    assert "no model package that is reported here" in lab.answers(18)[0]


def test_run_is_handed_on_to_a_checkout_of_the_head(lab: ApprovalLab) -> None:
    head = lab.propose(11, "eleven")
    before = len(executions(lab, "quality-pr-11"))
    done, signs = lab.say(11, "/sagemaker run --again")
    assert (done.code, signs) == (0, ["eyes"]), done.err
    assert lab.outputs()["checkout"] == head
    assert len(executions(lab, "quality-pr-11")) == before

    lab.scratch.git("checkout", "-q", "--detach", head)
    approved, signs = lab.say(11, "/sagemaker approve")
    assert (approved.code, signs) == (2, ["eyes", "-1"])
    assert "not done in a checkout of the pull request" in lab.answers(11)[0]
    ran, signs = lab.say(11, "/sagemaker run --again")
    assert (ran.code, signs) == (0, ["eyes", "+1"]), ran.err
    assert ran.report["trigger"]["commit"] == head
    assert len(executions(lab, "quality-pr-11")) == before + 1
    planned, signs = lab.say(11, "/sagemaker plan quality")
    assert (planned.code, signs) == (0, ["eyes", "+1"]), planned.err
    assert planned.report["state"] == "planned"
    assert '"state":"final"' in lab.reports(11)[0].splitlines()[0]
    assert len(executions(lab, "quality-pr-11")) == before + 1
    shared, _ = lab.say(11, "/sagemaker run --environment main")
    assert shared.code == 2
    assert "not run: main is shared" in lab.answers(11)[0]
    lab.scratch.git("checkout", "-q", "main")

    # The older package is not the one to approve any more.
    approved, _ = lab.say(11, "/sagemaker approve")
    assert approved.code == 0, approved.err
    assert approval(lab, package_of(lab, "quality-pr-11", 1))[0] == "PendingManualApproval"
    assert approval(lab, package_of(lab, "quality-pr-11", 2))[0] == "Approved"


def executions_ended(lab: ApprovalLab, name: str) -> bool:
    found = executions(lab, name)
    return bool(found) and found[0]["PipelineExecutionStatus"] == "Succeeded"


def executions(lab: ApprovalLab, name: str) -> list[dict[str, Any]]:
    listed = lab.sagemaker.list_pipeline_executions(PipelineName=name)
    found: list[dict[str, Any]] = listed["PipelineExecutionSummaries"]
    return found


def test_code_of_a_fork_is_not_run(lab: ApprovalLab) -> None:
    head = lab.scratch.git("rev-parse", "HEAD")
    lab.github.add_pull(12, head, fork="stranger/mlops")
    lab.github.push("topic-12", head, "2026-03-02T09:00:00Z")
    for order in ("run", "plan", f"run --commit {head}"):
        done, signs = lab.say(12, f"/sagemaker {order}")
        assert (done.code, signs) == (2, ["eyes", "-1"])
        assert "comes from a fork" in lab.answers(12)[0]
    assert "checkout" not in lab.outputs()


def test_after_the_merge_the_model_of_main_is_meant_by_name(lab: ApprovalLab) -> None:
    head = lab.propose(13, "thirteen")
    merge = lab.merged("thirteen-main", 13)
    lab.deploy()
    lab.github.commits[13] = [head]
    lab.github.requested[13] |= {"state": "closed", "merged_at": "2026-03-02T09:10:00Z"}
    both, signs = lab.say(13, "/sagemaker approve")
    assert (both.code, signs) == (5, ["eyes", "-1"])
    [answer] = lab.answers(13)
    assert "2 model packages could be meant" in answer
    assert "--pipeline quality --environment main" in answer
    done, signs = lab.say(13, "/sagemaker approve --environment main")
    assert (done.code, signs) == (0, ["eyes", "+1"]), done.err
    assert lab.answer() == "thirteen-main"
    assert any("approved and deployed" in body and merge in body for body in lab.reports(13))


def test_stop(lab: ApprovalLab) -> None:
    lab.propose(14, "fourteen", script="import time; time.sleep(60)", follow=False)
    assert executions(lab, "quality-pr-14")[0]["PipelineExecutionStatus"] == "Executing"
    done, signs = lab.say(14, "/sagemaker stop")
    assert (done.code, signs) == (0, ["eyes", "+1"]), done.err
    assert executions(lab, "quality-pr-14")[0]["PipelineExecutionStatus"] == "Stopped"
    assert "stopped" in lab.reports(14)[0].splitlines()[1].lower()
    head = lab.commit("fifteen", branch="topic-15")
    lab.scratch.git("checkout", "-q", "main")
    lab.github.add_pull(15, head)
    lab.github.push("topic-15", head, "2026-03-02T09:00:00Z")
    nothing, signs = lab.say(15, "/sagemaker stop")
    assert (nothing.code, signs) == (2, ["eyes", "-1"])
    assert "there is no execution of" in lab.answers(15)[0]
