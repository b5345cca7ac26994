"""`approve` and `reject` by hand and by a reviewer: what is found, what is refused, who decided."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.approving import APPROVALS, ROLE_ARN, ApprovalLab, open_lab
from support.forking import warm_process
from support.github import REPOSITORY, Fault
from support.leases import open_leases

pytestmark = pytest.mark.endpoint
QUICK = ("--poll", "0.1")
SECOND = """\
  other:
    definition: definition.json
    model_package_group: quality
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApprovalLab]:
    folder: Path = tmp_path_factory.mktemp("approve")
    project = APPROVALS.replace("environments:\n", SECOND + "environments:\n")
    with open_lab(folder, project) as lab:
        lab.github.page = 50
        yield lab


def held(lab: ApprovalLab, package: str) -> dict[str, Any]:
    found: dict[str, Any] = lab.sagemaker.describe_model_package(ModelPackageName=package)
    return found


def description(lab: ApprovalLab, package: str) -> str:
    text: str = held(lab, package).get("ApprovalDescription", "")
    return text


def test_what_a_pull_request_reports_is_found_unless_several_could_be_meant(
    lab: ApprovalLab,
) -> None:
    head = lab.propose(7, "seven")
    both = lab.run("approve", "--pull-request", "7", "--json", *QUICK)
    assert both.code == 5
    error = both.document["error"]
    assert "2 model packages could be meant" in error["what"]
    arns = error["fix"].splitlines()
    assert len(arns) == 2
    for name in ("quality in pull_request", "other in pull_request"):
        assert name in error["why"]
    done = lab.run("reject", arns[0], "--pull-request", "7", "--reason", "no", "--json", *QUICK)
    assert done.code == 0, done.err
    assert "on pull request 7" in description(lab, arns[0])
    # One is left: it is meant.
    stale = lab.run("approve", "--pull-request", "7", "--commit", "c0ffee0", *QUICK)
    assert stale.code == 5
    assert f"of commit {head[:12]}, not c0ffee0" in stale.err
    left = lab.run("approve", "--pull-request", "7", "--commit", head[:8], "--json", *QUICK)
    assert left.code == 0, left.err
    assert left.document["model_package"] == arns[1]
    assert len(lab.reports(7)) == 2


def test_without_a_forge_executions_tell(lab: ApprovalLab) -> None:
    lab.propose(8, "eight")
    nobody = {"GITHUB_TOKEN": "", "GITHUB_ACTIONS": "", "USER": "anna"}
    found = lab.run("approve", "--pull-request", "8", "--json", *QUICK, environ=nobody)
    assert found.code == 5
    assert "2 model packages could be meant" in found.document["error"]["what"]
    arn = found.document["error"]["fix"].splitlines()[0]
    done = lab.run("approve", arn, "--json", *QUICK, environ=nobody)
    assert done.code == 0, done.err
    nothing = lab.run("approve", "--commit", "0123456", *QUICK, environ=nobody)
    assert nothing.code == 5
    assert "No report here names a model package" in nothing.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "no model package is named"),
        (("--commit", "nope"), "is not a commit"),
        (("--commit", "abc"), "is not a commit"),
        (("abalone/7",), "is not the ARN of a model package, nor a pipeline's name"),
        (("--pull-request", "0"), "above 0"),
    ],
)
def test_what_names_no_package_is_bad_usage(
    lab: ApprovalLab, words: tuple[str, ...], told: str
) -> None:
    done = lab.run("approve", *words)
    assert done.code == 2
    assert told in done.err


def test_a_pipeline_names_heads_package_else_the_only_one_that_waits(lab: ApprovalLab) -> None:
    lab.commit("first to wait")
    first = lab.deploy("other")
    own = lab.commit("second to wait")
    second = lab.deploy("other")
    lab.scratch.commit("nothing ran of this one")
    several = lab.run("approve", "other", *QUICK)
    assert several.code == 5
    assert "2 model packages could be meant" in several.err
    assert first in several.err
    assert second in several.err
    lab.scratch.git("checkout", "-q", own)
    heads = lab.run("reject", "other", "--json", *QUICK)
    lab.scratch.git("checkout", "-q", "main")
    assert heads.document["model_package"] == second
    left = lab.run("reject", "other", "--json", *QUICK)
    assert left.document["model_package"] == first
    none = lab.run("approve", "other", *QUICK)
    assert none.code == 5
    assert "nothing was changed" in none.err


def test_a_reviewer_of_the_environment_is_who_decided(lab: ApprovalLab) -> None:
    commit = lab.merged("nine", 9)
    package = lab.deploy("quality")
    assert lab.outputs()["approval"] == "PendingManualApproval"
    lab.github.reviews[77] = [("mallory", "rejected"), ("carla", "approved")]
    done = lab.run("approve", package, "--commit", commit, "--json", *QUICK, name="push")
    assert done.code == 0, done.err
    assert description(lab, package).startswith(f"Approved by carla at {commit[:12]}, ")
    assert lab.answer() == "nine"
    assert lab.outputs()["approval"] == "Approved"
    assert any("Approved by carla" in body for body in lab.reports(9))


def test_each_thing_is_said_once_and_nothing_is_told_again(lab: ApprovalLab) -> None:
    lab.github.reviews.clear()
    lab.merged("sixteen", 16)
    package = lab.deploy("quality")
    done = lab.run("reject", package, "--reason", "odd at night", *QUICK)
    assert done.code == 0, done.err
    told = " ".join(done.out.split())
    assert told.count("Rejected by octocat with a command, ") == 1
    assert told.count("odd at night") == 1
    assert "v" + package.rpartition("/")[2] + " was rejected: odd at night" in told
    for replayed in ("Evaluate", "Parameter", "::group::"):
        assert replayed not in told
    again = lab.run("reject", package, "--from", "Approved", "--reason", "twice", *QUICK)
    assert again.code == 0, again.err
    assert "was Rejected before: that decision stands" in again.out
    assert "twice" not in description(lab, package)
    [body] = lab.reports(16)
    assert body.count("by octocat") == 1
    assert "Evaluate" in body


def test_a_job_that_nobody_let_in_approves_nothing(lab: ApprovalLab) -> None:
    lab.merged("ten", 10)
    package = lab.deploy("quality")
    approve = ("approve", package, "--json", *QUICK)
    lab.github.reviews[77] = [("carla", "rejected")]
    unreviewed = lab.run(*approve, name="push")
    assert unreviewed.code == 5
    error = unreviewed.document["error"]
    assert error["what"] == "No reviewer let this job into its environment: nothing was changed"
    assert "of octocat" in error["why"]
    assert "--unreviewed" in error["fix"]
    lab.github.faults = [Fault("GET", "approvals", 403, body={"message": "no"})]
    untold = lab.run(*approve, name="push")
    assert untold.code == 6
    assert "actions: read" in untold.err
    assert lab.run(*approve, name="push", environ={"GITHUB_TOKEN": ""}).code == 5
    assert description(lab, package) == ""
    done = lab.run(*approve, "--unreviewed", name="push")
    assert done.code == 0, done.err
    assert "Approved by octocat" in description(lab, package)
    again = lab.run("reject", package, "--from", "Approved", "--json", *QUICK, name="push")
    assert again.code == 0, again.err
    assert "Rejected by octocat" in description(lab, package)


def test_what_is_named_beside_the_package_must_be_of_it(lab: ApprovalLab) -> None:
    lab.merged("seventeen", 17)
    package = lab.deploy("quality")
    elsewhere = lab.run("approve", package, "--environment", "pull_request", "--json", *QUICK)
    assert elsewhere.code == 5
    told = elsewhere.document["error"]["what"]
    assert told == "The package is of environment main, not pull_request: nothing was changed"
    assert held(lab, package)["ModelApprovalStatus"] == "PendingManualApproval"
    lab.propose(18, "eighteen")
    theirs = package.partition(":model-package/")[0] + ":model-package/quality-pr-18/1"
    other = lab.run("approve", theirs, "--pull-request", "7", "--json", *QUICK)
    assert other.code == 5
    assert "is of pull request 18, not 7: nothing" in other.document["error"]["what"]
    assert lab.run("approve", theirs, "--pull-request", "18", *QUICK).code == 0
    late = lab.run("reject", "quality", "--pull-request", "18", "--json", *QUICK)
    assert late.code == 5
    [command] = late.document["error"]["fix"].splitlines()
    assert command.endswith("--from Approved")
    assert lab.run(*command.split()[1:], *QUICK).code == 0
    assert held(lab, theirs)["ModelApprovalStatus"] == "Rejected"


@pytest.mark.parametrize(("place", "code"), [("Production", 0), ("staging", 5), (None, 5)])
def test_a_review_counts_for_the_environment_that_the_job_is_in(
    lab: ApprovalLab, place: str | None, code: int
) -> None:
    lab.merged(f"into-{place}", 13)
    package = lab.deploy("quality")
    lab.github.reviews[77] = [("dora", "approved", "production")]
    with open_leases(seconds=3600) as leases:
        leases.claims = {} if place is None else {"environment": place}
        job = leases.github(ROLE_ARN)
        done = lab.run("approve", package, "--json", *QUICK, name="push", environ=job)
    assert leases.tokens > 0
    assert done.code == code, done.err
    assert ("Approved by dora" in description(lab, package)) is (code == 0)


def test_of_two_opposite_decisions_the_one_that_lost_says_so(
    lab: ApprovalLab, tmp_path: Path
) -> None:
    lab.merged("fourteen", 14)
    package = lab.deploy("quality")
    with warm_process(tmp_path / "forks") as forks, ThreadPoolExecutor(2) as pool:
        other = replace(lab, forks=forks, folder=tmp_path)
        runs = {
            "Approved": pool.submit(lab.run, "approve", package, "--json", *QUICK),
            "Rejected": pool.submit(other.run, "reject", package, "--json", *QUICK),
        }
        done = {status: run.result() for status, run in runs.items()}
    stands = held(lab, package)["ModelApprovalStatus"]
    [lost] = [status for status in runs if status != stands]
    assert {status: each.code for status, each in done.items()} == {stands: 0, lost: 5}
    assert f"is {stands}" in done[lost].document["error"]["what"]
    [body] = lab.reports(14)
    assert stands.lower() in body.splitlines()[1]


def test_a_decision_that_came_while_the_comment_was_written_is_reported(lab: ApprovalLab) -> None:
    lab.merged("fifteen", 15)
    package = lab.deploy("quality")
    [comment] = [n for n, each in lab.github.comments.items() if each["pull"] == 15]
    why = "odd at night"

    def otherwise() -> None:
        lab.decide(package, "Rejected", ApprovalDescription=why)

    path = f"/repos/{REPOSITORY}/issues/comments/{comment}"
    lab.github.hooks[f"PATCH {path}"] = otherwise
    done = lab.run("approve", package, "--json", *QUICK)
    assert done.code == 5
    error = done.document["error"]
    assert error["what"] == "The package is Rejected by now, although it was set to Approved"
    assert error["why"] == why
    assert done.document["approval"] == "Rejected"
    [body] = lab.reports(15)
    assert f"was rejected: {why}" in body
    assert lab.outputs()["approval"] == "Rejected"


def test_commands_that_need_no_account_where_accounts_are_masked(lab: ApprovalLab) -> None:
    """What the comment says is what is typed: in the terminal, and as a comment."""
    kept = (lab.scratch.root / "sagemaker-gitops.yaml").read_text()
    chat = "on:\n  issue_comment:\n# /sagemaker\n"
    lab.scratch.write("sagemaker-gitops.yaml", "report: {mask_accounts: true}\n" + kept)
    lab.scratch.write(".github/workflows/chat.yml", chat)
    lab.scratch.commit("masked")
    head = lab.propose(20, "twenty")
    bodies = lab.reports(20)
    assert len(bodies) == 2
    assert not any("000000000000" in body for body in bodies)
    [body] = [body for body in bodies if "approve quality" in body]
    command = f"approve quality --pull-request 20 --commit {head[:10]}"
    assert f"`sagemaker-gitops {command}`" in body
    assert "`/sagemaker approve quality`" in body
    several = lab.run("approve", "--pull-request", "20", *QUICK)
    assert several.code == 5
    assert "quality --environment pull_request" in several.err
    # The forge's comments name executions without an account: they are found all the same.
    done = lab.run(*command.split(), *QUICK)
    assert done.code == 0, done.err
    assert "xxxxxxxxxxxx:model-package/quality-pr-20/1" in done.out
    assert "000000000000" not in done.out + done.err

    lab.github.roles["anna"] = "write"
    chatted, signs = lab.say(20, "/sagemaker approve other")
    assert chatted.code == 0, chatted.err
    assert signs == ["eyes", "+1"]
    assert description(lab, chatted.document["model_package"]).startswith("Approved by anna")
    lab.scratch.git("rm", "-q", ".github/workflows/chat.yml")
    lab.scratch.write("sagemaker-gitops.yaml", kept)
    lab.scratch.commit("unmasked")


def test_a_pull_request_cannot_have_productions_function_called(lab: ApprovalLab) -> None:
    lab.merged("eleven", 11)
    production = lab.deploy("quality")
    assert lab.run("approve", production, *QUICK).code == 0
    project = lab.scratch.root / "sagemaker-gitops.yaml"
    kept = project.read_text()
    stolen = kept.replace('"quality-pr-{pull_request}-deploy"', "quality-deploy").replace(
        "  pull_request:\n", "  pull_request:\n    on_approved: deploy\n    endpoint: quality\n"
    )
    lab.scratch.write("sagemaker-gitops.yaml", stolen)
    lab.scratch.commit("more rights for pull requests")
    lab.propose(12, "thief")
    package = "arn:aws:sagemaker:us-east-1:000000000000:model-package/quality-pr-12/1"
    done = lab.run("approve", package, "--pull-request", "12", "--json", *QUICK)
    assert done.code == 2
    assert "is not pull request 12's own" in done.document["error"]["what"]
    assert lab.answer() == "eleven"
