"""What follows from a decision, and by which call: from what is held, never from what was told."""

from dataclasses import replace
from typing import Any

import pytest
from support.approving import deploying_definition

from ci.approval.calling import deploying_step, make_call
from ci.approval.consequence import Act, choose_consequence, describe_expected
from ci.definition.model import Definition
from ci.definition.parse import definition_of
from ci.errors import UsageError
from ci.metrics.facts import EndpointFact
from ci.project.model import Environment, OnApproved, OnRejected
from ci.sagemaker.model import ApprovalStatus, ModelPackage

PLACE = Environment(
    name="main",
    pipeline_name="{pipeline}",
    on_approved=OnApproved.DEPLOY,
    on_rejected=OnRejected.ROLLBACK,
)
QUIET = replace(PLACE, on_approved=OnApproved.NOTHING, on_rejected=OnRejected.NOTHING)
APPROVED, REJECTED = ApprovalStatus.APPROVED, ApprovalStatus.REJECTED


def package(version: int, approval: ApprovalStatus = APPROVED) -> ModelPackage:
    return ModelPackage(
        arn=f"arn:aws:sagemaker:us-east-1:000000000000:model-package/quality/{version}",
        group="quality",
        version=version,
        approval=approval,
        status="Completed",
    )


def serving(version: int | None, status: str = "InService") -> EndpointFact:
    served = None if version is None else package(version).arn
    return EndpointFact(name="quality", status=status, package=served)


@pytest.mark.parametrize(
    ("decided", "newest", "endpoint", "act", "wanted"),
    [
        (package(2), 2, serving(1), Act.DEPLOY, 2),
        (package(2), 2, serving(2), Act.NOTHING, None),
        (package(2), 2, serving(2, "Failed"), Act.DEPLOY, 2),
        (package(2), 2, serving(None, "missing"), Act.DEPLOY, 2),
        (package(1), 2, serving(2), Act.NOTHING, None),
        (package(1), 2, serving(None, "missing"), Act.NOTHING, None),
        (package(2, REJECTED), 1, serving(2), Act.ROLL_BACK, 1),
        (package(2, REJECTED), 3, serving(2), Act.ROLL_BACK, 3),
        (package(2, REJECTED), 1, serving(1), Act.NOTHING, None),
        (package(2, REJECTED), 1, serving(None, "missing"), Act.NOTHING, None),
        (package(2, ApprovalStatus.PENDING), 1, serving(1), Act.NOTHING, None),
    ],
)
def test_what_is_to_follow(
    decided: ModelPackage, newest: int, endpoint: EndpointFact, act: Act, wanted: int | None
) -> None:
    found = choose_consequence(PLACE, decided, newest=package(newest), endpoint=endpoint)
    assert found.act is act
    assert (found.package and found.package.version) == wanted
    assert not found.missed
    quiet = choose_consequence(QUIET, decided, newest=package(newest), endpoint=endpoint)
    assert quiet.act is Act.NOTHING


def test_what_cannot_follow_is_told() -> None:
    nowhere = choose_consequence(PLACE, package(2), newest=package(2), endpoint=None)
    assert nowhere.missed
    assert "names no endpoint of main" in nowhere.reason
    first = choose_consequence(PLACE, package(1, REJECTED), newest=None, endpoint=serving(1))
    assert first.missed
    assert "no approved package of quality" in first.reason


@pytest.mark.parametrize(
    ("place", "decided", "endpoint", "expected"),
    [
        (PLACE, package(2), "quality", "the endpoint quality will serve it (on_approved: deploy)"),
        (
            PLACE,
            package(2, REJECTED),
            "quality",
            "back to the last approved model (on_rejected: rollback)",
        ),
        (PLACE, package(2), None, "but the project file names no endpoint of main"),
        (PLACE, package(2, ApprovalStatus.PENDING), "quality", "nothing else follows in main"),
        (QUIET, package(2), "quality", "nothing else follows in main"),
    ],
)
def test_what_is_asked_about_before_a_decision(
    place: Environment, decided: ModelPackage, endpoint: str | None, expected: str
) -> None:
    assert expected in describe_expected(place, decided, endpoint)


EXECUTION = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/quality/execution/abc123"


def defined(document: dict[str, Any]) -> Definition:
    return definition_of(document, where="test")


def steps_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = document["Steps"][1]["Arguments"]["IfSteps"]
    return steps


def test_the_call_is_the_steps_own_with_the_package_put_in() -> None:
    definition = defined(deploying_definition("m"))
    step = deploying_step(definition, where="test")
    call = make_call(
        definition,
        step,
        execution=EXECUTION,
        package=package(4).arn,
        parameters={"Instance": "ml.t2.medium"},
    )
    assert call.function == "arn:aws:lambda:us-east-1:000000000000:function:quality-deploy"
    assert call.step == "Deploy"
    assert call.inputs["model_package_arn"] == package(4).arn
    assert call.inputs["instance_type"] == "ml.t2.medium"
    assert call.inputs["endpoint_name"] == "quality"


def test_a_function_that_is_not_told_the_package_is_not_called() -> None:
    document = deploying_definition("m")
    steps_of(document)[1]["Arguments"] = {"pipeline": {"Get": "Execution.PipelineExecutionArn"}}
    with pytest.raises(UsageError, match="no Lambda step takes the package"):
        deploying_step(defined(document), where="test")
    twice = deploying_definition("m")
    steps_of(twice).append({**steps_of(twice)[1], "Name": "Tell"})
    with pytest.raises(UsageError, match="Deploy, Tell all take the package"):
        deploying_step(defined(twice), where="test")


@pytest.mark.parametrize(
    "text", ["Steps.Evaluate.ProcessingJobName", "Parameters.Missing", "Execution.StartDateTime"]
)
def test_an_input_that_only_a_running_execution_knows_is_refused(text: str) -> None:
    document = deploying_definition("m")
    steps_of(document)[1]["Arguments"]["more"] = {"Get": text}
    definition = defined(document)
    step = deploying_step(definition, where="test")
    with pytest.raises(UsageError, match="cannot be told once the execution has ended"):
        make_call(definition, step, execution=EXECUTION, package="arn", parameters={})
