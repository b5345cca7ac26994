"""At a terminal a command shows what it will do, and asks; nowhere else it does."""

import json
from typing import Any

import pytest
from support.endpoint import client
from support.scratch import Scratch, quality_definition
from support.terminal import at_terminal

pytestmark = [pytest.mark.endpoint, pytest.mark.usefixtures("warm")]
PROMOTE = ("promote", "quality", "--local", "--to")


@pytest.fixture(scope="module")
def two_versions(scratch: Scratch) -> Scratch:
    for rmse in (2.0, 1.9):
        scratch.define(quality_definition(rmse))
        scratch.commit(f"rmse {rmse}")
        assert scratch.deploy("--detach").code == 0
    return scratch


def sagemaker(scratch: Scratch) -> Any:
    return client(scratch.run("local", "status", "--json").document["address"], "sagemaker")


def production(scratch: Scratch) -> int | None:
    listed = sagemaker(scratch).list_pipeline_versions(PipelineName="quality")
    return next(
        (
            each["PipelineVersionId"]
            for each in listed["PipelineVersionSummaries"]
            if "production" in each.get("PipelineVersionAliases", ())
        ),
        None,
    )


@pytest.mark.parametrize("answer", ["\n", "\x04", "\x03"])
def test_nothing_is_done_without_a_yes(two_versions: Scratch, answer: str) -> None:
    before = production(two_versions)
    to = "1" if before != 1 else "2"
    code, shown = at_terminal(two_versions, *PROMOTE, to, answers=(answer,))
    assert code == 130
    assert f"quality: production will move to version {to} (" in shown
    assert "Traceback" not in shown
    assert production(two_versions) == before


def test_a_yes_does_it_and_what_is_done_already_is_not_asked(two_versions: Scratch) -> None:
    code, shown = at_terminal(two_versions, *PROMOTE, "2", answers=("y\n",))
    assert (code, production(two_versions)) == (0, 2)
    assert "now at version 2" in shown or "to version 2" in shown
    code, shown = at_terminal(two_versions, *PROMOTE, "2")
    assert code == 0
    assert "at version 2" in shown
    assert "Go on?" not in shown


def test_a_promotion_tells_how_the_models_of_the_two_versions_measured(
    two_versions: Scratch,
) -> None:
    listed = sagemaker(two_versions).list_pipeline_executions(PipelineName="quality")
    for each in listed["PipelineExecutionSummaries"]:
        arn = each["PipelineExecutionArn"]
        assert two_versions.run("attach", arn, "--local", "--poll", "0.1").code == 0
    assert two_versions.run(*PROMOTE, "1").code == 0
    code, shown = at_terminal(two_versions, *PROMOTE, "2", answers=("n\n",))
    assert code == 130
    assert "rmse 1.9, 5.0 % better than quality v" in shown


def test_nobody_is_asked_who_cannot_answer(two_versions: Scratch) -> None:
    """--yes; a terminal in CI; no terminal at all."""
    code, shown = at_terminal(two_versions, *PROMOTE, "1", "--yes")
    assert (code, production(two_versions)) == (0, 1)
    two_versions.environ["CI"] = "true"
    try:
        again = at_terminal(two_versions, *PROMOTE, "2")
    finally:
        del two_versions.environ["CI"]
    assert (again[0], production(two_versions)) == (0, 2)
    piped = two_versions.run(*PROMOTE, "1")
    assert (piped.code, production(two_versions)) == (0, 1)
    assert not any("Go on?" in text for text in (shown, again[1], piped.out, piped.err))


def test_drift_and_cleanup_ask_before_they_change_anything(two_versions: Scratch) -> None:
    by_hand = json.dumps(quality_definition(1.9, threshold=2.5))
    sagemaker(two_versions).update_pipeline(PipelineName="quality", PipelineDefinition=by_hand)
    fix = ("drift", "--fix", "--local")
    code, shown = at_terminal(two_versions, *fix, answers=("n\n",))
    assert code == 130
    assert shown.index("Check (Condition) changed") < shown.index("Git will be applied to quality")
    assert at_terminal(two_versions, *fix, answers=("y\n",))[0] == 0
    assert two_versions.run("drift", "--local").code == 0

    assert two_versions.deploy("--detach", "--pull-request", "5").code == 0
    clean = ("cleanup", "--local", "--pull-request", "5")
    code, shown = at_terminal(two_versions, *clean, answers=("n\n",))
    assert code == 130
    assert "pipeline quality-pr-5" in shown
    assert "Deleted" not in shown
    code, shown = at_terminal(two_versions, *clean, answers=("y\n",))
    assert code == 0
    assert "Deleted pipeline quality-pr-5" in shown


def test_nothing_to_clean_up_is_nothing_to_ask(two_versions: Scratch) -> None:
    project = two_versions.root / "sagemaker-gitops.yaml"
    kept = project.read_text()
    project.write_text(kept.partition("  pull_request:")[0])
    code, shown = at_terminal(two_versions, "cleanup", "--local", "--pull-request", "77")
    project.write_text(kept)
    assert (code, "Nothing to clean up" in shown, "Go on?" in shown) == (0, True, False)


def test_a_decision_on_a_model_is_shown_before_it_is_made(two_versions: Scratch) -> None:
    """The package, its status, its commit, and what follows by the project file."""
    project = two_versions.root / "sagemaker-gitops.yaml"
    kept = project.read_text()
    policy = "  main:\n    endpoint: quality\n    on_approved: deploy\n    on_rejected: rollback\n"
    project.write_text(kept.replace("  main: {parameters: {Approval: Approved}}\n", policy))
    commit = two_versions.commit("models wait")
    try:
        done = two_versions.deploy("--json", "--poll", "0.1")
        assert done.code == 0, done.err
        package = done.report["model_package"]["arn"]
        name = f"quality v{package.rpartition('/')[2]} of quality in main (commit {commit[:12]})"
        approve = ("approve", package, "--local")
        code, shown = at_terminal(two_versions, *approve, answers=("n\n",))
        assert code == 130
        assert f"{name} will be Approved; it is PendingManualApproval" in shown
        assert "the endpoint quality will serve it (on_approved: deploy), unless" in shown
        assert status_of(two_versions, package) == "PendingManualApproval"
        code, shown = at_terminal(two_versions, *approve, "--from", "Rejected")
        assert (code, "Go on?" in shown) == (5, False), "what is refused is not asked"
        reject = ("reject", package, "--local", "--poll", "0.1")
        code, shown = at_terminal(two_versions, *reject, answers=("y\n",))
        assert code == 0, shown
        assert "will go back to the last approved model (on_rejected: rollback), if" in shown
        assert status_of(two_versions, package) == "Rejected"
    finally:
        project.write_text(kept)


def status_of(scratch: Scratch, package: str) -> str:
    found = sagemaker(scratch).describe_model_package(ModelPackageName=package)
    return str(found["ModelApprovalStatus"])
