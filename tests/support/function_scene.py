"""What the Lambda function of CodePipeline does: jobs, and approvals both ways, recorded."""

import sys
from dataclasses import dataclass
from typing import Any

from ci.approval.manual_approval import PLACES, VARIABLE
from ci.door.approving import follow_event
from support.codepipeline import BUCKET as ARTIFACTS
from support.codepipeline import FakeCodePipeline, Pipeline, serve_codepipeline
from support.github import REPOSITORY
from support.lambda_job import Stage as LambdaStage
from support.recording import Request
from support.stage import Stage

_RUN = "00000000-0000-4000-8000-000000000001"  # of CodePipeline


def play_function(stage: Stage) -> list[Request]:
    stage.client("sagemaker").delete_pipeline(PipelineName="quality", ClientRequestToken="f" * 32)
    stage.client("lambda").delete_function(FunctionName="quality-announce")
    with serve_codepipeline(stage.endpoint.address) as service:
        stage.client("s3").create_bucket(Bucket=ARTIFACTS)
        more = {"SAGEMAKER_GITOPS_COMPILE_CACHE": "off", PLACES: "mlops"}
        folder = stage.scratch.root.parent
        invoked = LambdaStage(scratch=stage.scratch, service=service, folder=folder, more=more)
        function = _Function(stage, service, invoked)
        stage.shape(2.0, size=9 * 1024 * 1024 + 2)
        function.deliver("by CodePipeline")
        stage.edit_function("quality-announce")
        stage.tag_function("quality-announce", "9")
        stage.shape(1.9, code="def handler(event, context):\n    return 5\n", timeout=45)
        function.deliver("another function, by CodePipeline")
        stage.shape(1.8, filler=120_000)
        function.deliver("a large definition, by CodePipeline")
        function.approve(stage.newest_package())
        stage.shape(1.7, script="raise SystemExit('broken')")
        function.deliver("fails, by CodePipeline")
    # The artifacts of a job are read and written with credentials that come with the job.
    return [each for each in stage.recorder.take() if each.parameters.get("Bucket") != ARTIFACTS]


@dataclass(slots=True)
class _Function:
    stage: Stage
    service: FakeCodePipeline
    invoked: LambdaStage

    def deliver(self, what: str) -> None:
        """A job for a new commit, to its end. What its verdict is is no matter."""
        commit = self.stage.scratch.commit(what)
        told = {"commit": commit, "repository": REPOSITORY, "python": sys.executable}
        job = self.service.start(told, inputs={"Source": self.invoked.upload()})
        self.stage.recorder.on = True
        try:
            self.invoked.run(job)
        finally:
            self.stage.recorder.on = False

    def approve(self, package: str) -> None:
        """A decision on the package answers the approval; an answer decides on the package."""
        held = waiting(self.stage, self.service, package)
        self._follow("aws.sagemaker", "SageMaker Model Package State Change", package)
        assert held.decided["Approve", "Model"]["status"] == "Approved"
        held.actions.append(_acted("Approve", "Model", "Approval", {}, "Failed"))
        self._follow("aws.codepipeline", "CodePipeline Action Execution State Change", package)

    def _follow(self, source: str, kind: str, package: str) -> None:
        detail = {
            "ModelPackageArn": package,
            "pipeline": "mlops",
            "stage": "Approve",
            "action": "Model",
            "execution-id": _RUN,
            "state": "FAILED",
            "type": {"category": "Approval"},
        }
        self.stage.recorder.on = True
        try:
            follow_event(
                {"source": source, "detail-type": kind, "detail": detail}, self.invoked.world()
            )
        finally:
            self.stage.recorder.on = False


def waiting(stage: Stage, service: FakeCodePipeline, package: str) -> Pipeline:
    """A CodePipeline that waits for a person to approve the package."""
    held = service.pipelines.setdefault("mlops", Pipeline())
    held.actions.append(_acted("Train", "Run", "Invoke", {VARIABLE: package}))
    held.approvals["Approve", "Model"] = (_RUN, _RUN)
    held.revisions[_RUN] = [stage.scratch.git("rev-parse", "HEAD")]
    return held


def _acted(
    stage: str, action: str, category: str, variables: dict[str, str], status: str = "Succeeded"
) -> dict[str, Any]:
    provider = {"Invoke": "Lambda", "Approval": "Manual"}[category]
    kind = {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
    return {
        "pipelineExecutionId": _RUN,
        "actionExecutionId": f"{stage}-{action}",
        "stageName": stage,
        "actionName": action,
        "status": status,
        "input": {"actionTypeId": kind},
        "output": {"executionResult": {}, "outputVariables": variables},
        "updatedBy": "arn:aws:sts::000000000000:assumed-role/Admin/alice",
    }
