"""A manual approval of CodePipeline and the model package it is about: in step, both ways."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from support.codepipeline import BUCKET, FakeCodePipeline, Pipeline, Refused, serve_codepipeline
from support.endpoint import client, running_endpoint
from support.lambda_job import Stage
from support.scratch import IMAGE, PROJECT, new_scratch, quality_definition

from ci.approval.manual_approval import (
    PLACES,
    VARIABLE,
    Meaning,
    Place,
    choose_reply,
    named_packages,
    parse_places,
    person,
    read_answer,
)
from ci.door.approving import follow_event
from ci.errors import UsageError
from ci.registry.decisions import ApprovalError
from ci.sagemaker.codepipeline import ActionRun
from ci.sagemaker.model import ApprovalStatus, ModelPackage

ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"
PLACE = ("Approve", "Model")
COMMIT = "c0ffee" + "0" * 34
ALICE = "arn:aws:sts::000000000000:assumed-role/Admin/alice"
MANUAL = {"category": "Approval", "owner": "AWS", "provider": "Manual", "version": "1"}
INVOKE = {"category": "Invoke", "owner": "AWS", "provider": "Lambda", "version": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    stage: Stage
    service: FakeCodePipeline
    sagemaker: Any

    def train(self, rmse: float) -> tuple[str, str]:
        """A pipeline execution that trained a model and waits: its id, the package's ARN."""
        self.stage.scratch.define(quality_definition(rmse))
        commit = self.stage.scratch.commit(f"rmse {rmse}")
        job = self.service.start(
            {
                "commit": commit,
                "repository": "acme/mlops",
                "parameters": {"Approval": "PendingManualApproval"},
            },
            inputs={"Source": self.stage.upload()},
        )
        operation, last, _ = self.stage.run(job)
        assert operation == "PutJobSuccessResult", last
        return self._wait(commit, last["outputVariables"])

    def register(self) -> tuple[str, str]:
        """The same with a package that was registered by hand, as such a run leaves it."""
        commit = uuid.uuid4().hex + "0" * 8
        told = {"commit": commit, "execution": "e", "environment": "main", "digest": "d"}
        container = {"Image": IMAGE, "ModelDataUrl": "s3://models/model.tar.gz"}
        made = self.sagemaker.create_model_package(
            ModelPackageGroupName="quality",
            ModelApprovalStatus="PendingManualApproval",
            CustomerMetadataProperties={f"sagemaker-gitops:{k}": v for k, v in told.items()},
            InferenceSpecification={
                "Containers": [container],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
        )
        return self._wait(commit, {VARIABLE: made["ModelPackageArn"]})

    def _wait(self, commit: str, variables: dict[str, str]) -> tuple[str, str]:
        execution = str(uuid.uuid4())
        held = self.service.pipelines.setdefault("mlops", Pipeline())
        held.approvals[PLACE] = (execution, str(uuid.uuid4()))
        held.decided.pop(PLACE, None)
        held.revisions[execution] = [commit]
        held.actions.insert(0, run(execution, "Train", "Run", INVOKE, variables))
        return execution, variables[VARIABLE]

    def answered(self, execution: str, status: str, **result: object) -> None:
        """Somebody has answered the manual approval in the console."""
        held = self.service.pipelines["mlops"]
        held.actions.insert(0, run(execution, *PLACE, MANUAL, {}, status=status, **result))

    def approval(self, package: str) -> str:
        found = self.sagemaker.describe_model_package(ModelPackageName=package)
        return str(found["ModelApprovalStatus"])

    def decide(self, package: str, approval: str) -> None:
        self.sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus=approval)

    def follow(self, event: dict[str, Any], places: str = "mlops/Approve/Model") -> dict[str, Any]:
        world = self.stage.world()
        environ = {**world.environ, PLACES: places}
        return follow_event(event, replace(world, environ=environ))


def run(
    execution: str,
    stage: str,
    action: str,
    kind: dict[str, str],
    variables: dict[str, str],
    *,
    status: str = "Succeeded",
    by: str | None = None,
    summary: str | None = None,
    error: str | None = None,
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if summary:
        result["externalExecutionSummary"] = summary
    if error:
        result["errorDetails"] = {"code": error}
    found = {
        "pipelineExecutionId": execution,
        "actionExecutionId": str(uuid.uuid4()),
        "stageName": stage,
        "actionName": action,
        "status": status,
        "input": {"actionTypeId": kind},
        "output": {"executionResult": result, "outputVariables": variables},
    }
    return {**found, "updatedBy": by} if by else found


def package_event(package: str) -> dict[str, Any]:
    return {
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Model Package State Change",
        "detail": {"ModelPackageArn": package},
    }


def action_event(execution: str, state: str = "SUCCEEDED") -> dict[str, Any]:
    return {
        "source": "aws.codepipeline",
        "detail-type": "CodePipeline Action Execution State Change",
        "detail": {
            "pipeline": "mlops",
            "execution-id": execution,
            "stage": PLACE[0],
            "action": PLACE[1],
            "state": state,
            "type": MANUAL,
        },
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("approving")
    project = PROJECT.replace("region: us-east-1", f"region: us-east-1\nrole: {ROLE}")
    scratch = new_scratch(folder / "repository", project)
    with (
        running_endpoint(folder / "endpoint") as endpoint,
        serve_codepipeline(endpoint.address) as service,
    ):
        client(endpoint, "s3").create_bucket(Bucket=BUCKET)
        yield World(
            stage=Stage(scratch=scratch, service=service, folder=folder),
            service=service,
            sagemaker=client(endpoint, "sagemaker"),
        )


@pytest.mark.endpoint
def test_a_package_that_is_decided_on_answers_the_approval_that_waits(world: World) -> None:
    _, package = world.train(2.5)
    held = world.service.pipelines["mlops"]
    assert world.follow(package_event(package))["answered"] == 0
    assert held.decided == {}
    world.decide(package, "Approved")
    assert world.follow(package_event(package))["answered"] == 1
    assert held.decided[PLACE]["status"] == "Approved"
    assert world.follow(package_event(package))["answered"] == 0
    held.decided.clear()
    sync(world, package)
    assert held.decided[PLACE]["status"] == "Approved"
    _, other = world.register()
    assert world.follow(package_event(package))["answered"] == 0, "it waits for another model"
    assert held.decided == {}
    world.decide(other, "Rejected")
    assert world.follow(package_event(other), places="mlops")["answered"] == 1
    assert held.decided[PLACE]["status"] == "Rejected"


def sync(world: World, package: str) -> None:
    """The command does what the function does."""
    environ = {**world.stage.environ, PLACES: "mlops/Approve"}
    wrong = replace(world.stage.scratch, environ=environ).run(
        "approvals", "sync", package, "--json"
    )
    assert wrong.code == 2
    assert wrong.document["error"]["fix"] == "PIPELINE/STAGE/ACTION"
    environ[PLACES] = "mlops/Approve/Model"
    done = replace(world.stage.scratch, environ=environ).run("approvals", "sync", package, "--json")
    assert done.code == 0, done.err


@pytest.mark.endpoint
def test_a_reason_that_holds_a_secret_reaches_neither_the_log_nor_codepipeline(
    world: World,
) -> None:
    _, package = world.register()
    secret = "key-of-the-function"
    world.sagemaker.update_model_package(
        ModelPackageArn=package,
        ModelApprovalStatus="Rejected",
        ApprovalDescription=f"biased, see https://x/?k={secret}",
    )
    world.stage.more["MODEL_API_KEY"] = secret
    assert world.follow(package_event(package))["answered"] == 1
    del world.stage.more["MODEL_API_KEY"]
    summary = world.service.pipelines["mlops"].decided[PLACE]["summary"]
    assert "biased" in summary
    assert secret not in summary
    assert "biased" in world.stage.said[-1]
    assert secret not in "\n".join(world.stage.said)


@pytest.mark.endpoint
def test_an_answer_comes_to_the_package_and_twice_is_once(world: World) -> None:
    execution, package = world.register()
    world.answered(execution, "Succeeded", by=ALICE, summary="looks good\x00")
    for _ in range(2):
        [kept] = world.follow(action_event(execution))["packages"]
        assert kept == {"package": package, "approval": "Approved", "reason": None}
    found = world.sagemaker.describe_model_package(ModelPackageName=package)
    assert "Approved by Admin/alice" in found["ApprovalDescription"]
    assert "looks good" in found["ApprovalDescription"]


@pytest.mark.endpoint
def test_a_rejection_and_an_answer_nobody_gave(world: World) -> None:
    execution, package = world.register()
    world.answered(execution, "Failed", by=ALICE, error="ApprovalTimedOut")
    world.follow(action_event(execution, "FAILED"))
    assert world.approval(package) == "PendingManualApproval"
    world.answered(execution, "Failed", by=ALICE, summary="biased")
    world.follow(action_event(execution, "FAILED"))
    assert world.approval(package) == "Rejected"
    # Late and out of order: what was decided otherwise by then stays, and is told.
    world.decide(package, "Approved")
    world.answered(execution, "Failed", by=ALICE, summary="late")
    with pytest.raises(ApprovalError, match="nothing was changed"):
        world.follow(action_event(execution, "FAILED"))
    assert world.approval(package) == "Approved"


@pytest.mark.endpoint
def test_a_package_that_is_gone_is_ignored_and_not_tried_again(world: World) -> None:
    execution, package = world.register()
    world.answered(execution, "Succeeded", by=ALICE)
    world.sagemaker.delete_model_package(ModelPackageName=package)
    assert world.follow(package_event(package)) == {"package": package, "ignored": "it is gone"}
    assert world.stage.said[-1] == f"Ignored {package}: it is gone"
    [kept] = world.follow(action_event(execution))["packages"]
    assert kept == {"package": package, "approval": None, "reason": "it is gone"}
    given = {"command": "approve", "pipeline": "mlops", "execution": execution}
    job = world.service.start(given, inputs={})
    world.stage.invoke(job)
    assert job.answer is not None
    assert job.answer[0] == "PutJobFailureResult"
    assert "is gone" in str(job.answer[1])


@pytest.mark.endpoint
def test_an_event_about_something_else_changes_nothing(world: World) -> None:
    execution, package = world.register()
    world.answered(execution, "Succeeded", by=ALICE)
    assert "ignored" in world.follow(action_event(execution), places="other/Approve/Model")
    started = action_event(execution, "STARTED")
    assert "ignored" in world.follow(started)
    build = action_event(execution)
    build["detail"]["type"] = {**MANUAL, "category": "Build"}
    assert "ignored" in world.follow(build)
    assert world.approval(package) == "PendingManualApproval"
    [unknown] = world.follow(action_event(str(uuid.uuid4())))["packages"]
    assert unknown["package"] is None
    assert "nobody has answered" in unknown["reason"]
    with pytest.raises(UsageError, match="none that this function knows"):
        world.follow({"detail-type": "Scheduled Event", "detail": {}})


@pytest.mark.endpoint
def test_an_action_after_the_approval_sets_the_package(world: World) -> None:
    execution, package = world.register()
    given = {"command": "approve", "pipeline": "mlops", "execution": execution}
    early = world.service.start(given, inputs={})
    world.stage.invoke(early)
    assert early.answer is not None
    assert early.answer[0] == "PutJobFailureResult"
    world.answered(execution, "Succeeded", by=ALICE, summary="go")
    job = world.service.start(given, inputs={})
    world.stage.invoke(job)
    assert job.answer is not None
    operation, request = job.answer
    assert operation == "PutJobSuccessResult", request
    assert request["outputVariables"]["SAGEMAKER_GITOPS_APPROVAL"] == "Approved"
    assert world.approval(package) == "Approved"


@pytest.mark.endpoint
def test_a_token_that_is_past_is_no_error(world: World) -> None:
    _, package = world.register()
    world.decide(package, "Approved")

    def overtaken(operation: str) -> None:
        if operation == "PutApprovalResult":
            raise Refused("InvalidApprovalTokenException", "another approval waits by now")

    world.service.fault = overtaken
    try:
        assert world.follow(package_event(package))["answered"] == 0
    finally:
        world.service.fault = lambda _operation: None


def test_places_are_read_strictly() -> None:
    assert parse_places("a, b/S/T", "X") == (
        Place(pipeline="a"),
        Place(pipeline="b", stage="S", action="T"),
    )
    for text in ("a/b", "/S/T", "a/b/c/d"):
        with pytest.raises(UsageError):
            parse_places(text, "X")


def test_several_approvals_are_never_taken_for_one() -> None:
    runs = [
        ActionRun(stage=stage, action="Ok", status="Succeeded", manual=True, by=ALICE)
        for stage in ("One", "Two")
    ]
    with pytest.raises(UsageError, match="several"):
        read_answer(Place(pipeline="mlops"), runs)
    found = read_answer(Place(pipeline="mlops", stage="Two", action="Ok"), runs)
    assert found is not None
    assert found.place == "mlops, Two, Ok"


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        (ALICE, "Admin/alice"),
        ("arn:aws:iam::000000000000:user/team/bob", "team/bob"),
        ("arn:aws:iam::000000000000:root", "root"),
        ("nonsense", "nonsense"),
    ],
)
def test_who_answered(arn: str, name: str) -> None:
    assert person(arn) == name


def test_one_approval_stands_for_all_models_of_an_execution() -> None:
    ours, other = package("quality", "Approved"), package("other", "PendingManualApproval")
    both = (ours.arn, other.arn)

    def meaning(first: ModelPackage, status: ApprovalStatus | None) -> Meaning:
        return choose_reply(first, {other.arn: status}, named=both).meaning

    assert meaning(ours, ApprovalStatus.PENDING) is Meaning.WAIT
    assert meaning(ours, ApprovalStatus.APPROVED) is Meaning.APPROVE
    assert meaning(ours, ApprovalStatus.REJECTED) is Meaning.REJECT
    assert meaning(ours, None) is Meaning.WAIT  # it is gone
    pending = package("quality", "PendingManualApproval")
    assert meaning(pending, ApprovalStatus.APPROVED) is Meaning.WAIT
    assert meaning(package("quality", "Rejected"), ApprovalStatus.APPROVED) is Meaning.REJECT


def test_nothing_but_a_name_ties_a_package_to_an_approval() -> None:
    """A package's own word for its commit is no proof: a pull request's run may write it."""
    ours = package("quality", "Approved")
    for named in ((), ("arn:of:another",)):
        assert choose_reply(ours, {}, named=named).meaning is Meaning.FOREIGN
    assert choose_reply(ours, {}, named=(ours.arn,)).meaning is Meaning.APPROVE


def test_of_a_retried_stage_the_last_run_names_the_package() -> None:
    train, again = (
        ActionRun(stage="Train", action="Run", status=status, variables={VARIABLE: arn})
        for status, arn in (("Succeeded", "arn:new"), ("Failed", "arn:old"))
    )
    beside = ActionRun(stage="Train", action="Other", status="Succeeded", variables={VARIABLE: "b"})
    assert named_packages((train, again, beside)) == ("arn:new", "b")
    nothing = replace(train, variables={})
    assert named_packages((nothing, again)) == ()


def package(group: str, approval: str) -> ModelPackage:
    told = {"commit": COMMIT, "execution": "e", "environment": "main", "digest": "d"}
    return ModelPackage(
        arn=f"arn:aws:sagemaker:us-east-1:000000000000:model-package/{group}/1",
        group=group,
        version=1,
        approval=ApprovalStatus(approval),
        status="Completed",
        metadata={f"sagemaker-gitops:{name}": value for name, value in told.items()},
    )
