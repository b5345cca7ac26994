"""Every kind of thing that commands do on AWS, played against the local endpoint and recorded.

A scene is what one role does: `plan` looks, `pull_request` runs apart, `main` deploys. The
repository has all that calls depend on: a module with a function and a large artifact, a
definition in S3, metrics of three kinds, a gate, an endpoint, steps that fail.
"""

import io
import json
import sys
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ci.approval.manual_approval import PLACES, VARIABLE
from ci.door.approving import follow_event
from ci.local.lifecycle import Endpoint
from support.acting import comment_event
from support.codepipeline import BUCKET as ARTIFACTS
from support.codepipeline import ENVIRONMENT, FakeCodePipeline, Pipeline, serve_codepipeline
from support.endpoint import client, running_endpoint
from support.github import REPOSITORY, FakeGitHub, serve_github
from support.github_job import aws_environ, pull_request_environ
from support.lambda_job import Stage as LambdaStage
from support.recording import Recorder, Request, recording
from support.scratch import BUCKET, IMAGE, Result, Scratch, new_scratch, quality_definition

ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"
_RUN = "00000000-0000-4000-8000-000000000001"  # of CodePipeline
PROJECT = f"""
version: 1
region: us-east-1
role: {ROLE}
pipelines:
  quality:
    source: pipeline.py:get_pipeline
    python: {sys.executable}
    model_package_group: quality
    endpoint: quality
    metrics:
      - {{name: rmse, property_file: Report, path: $.regression_metrics.rmse.value}}
      - {{name: loss, training_step: Train, path: loss}}
    gates:
      - {{metric: rmse, maximum: 3.0, improve_by: -9}}
environments:
  main:
    on_approved: deploy
    on_rejected: rollback
    parameters: {{Approval: Approved}}
  pull_request:
    kwargs: {{endpoint: "quality-pr-{{pull_request}}"}}
    parameters: {{Group: "quality-pr-{{pull_request}}"}}
"""
MODULE = """
import boto3, io, json, zipfile
from pathlib import Path

SHAPE = json.loads((Path(__file__).parent / "shape.json").read_text())

class Pipeline:
    def __init__(self, function):
        package = {"Get": "Steps.Register.ModelPackageArn"}
        self.step = {
            "Name": "Announce",
            "Type": "Lambda",
            "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:" + function,
            "Arguments": {"model_package_arn": package},
        }

    def definition(self):
        shape = json.loads(json.dumps(SHAPE["definition"]))
        shape["Steps"][-1]["Arguments"]["IfSteps"].append(self.step)
        return json.dumps(shape)

def get_pipeline(role, default_bucket, endpoint="quality"):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py", (1999, 1, 1, 0, 0, 0)), SHAPE["code"])
    boto3.client("lambda").create_function(
        FunctionName=endpoint + "-announce", Runtime="python3.12", Role=role,
        Handler="index.handler", Timeout=SHAPE["timeout"], Code={"ZipFile": out.getvalue()})
    boto3.client("s3").put_object(Bucket=default_bucket, Key="code/large.bin",
        Body=b"7" * SHAPE["size"])
    return Pipeline(endpoint + "-announce")
"""


@dataclass(slots=True, kw_only=True)
class Stage:
    """A repository and an endpoint; `take()` gives the calls of the scene just played."""

    scratch: Scratch
    endpoint: Endpoint
    recorder: Recorder
    github: FakeGitHub
    queue: str
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def by_queue(self) -> tuple[str, ...]:
        """Options of a run that looks again when the queue tells, and hardly before."""
        return "--queue", self.queue, "--poll", "60"

    def client(self, service: str) -> Any:
        return client(self.endpoint, service)

    def shape(self, rmse: object = 1.5, **settled: Any) -> None:
        """What the module compiles to. `script` runs first in the evaluation."""
        size = settled.pop("size", 10)
        code = settled.pop("code", "def handler(event, context):\n    return 1\n")
        timeout = settled.pop("timeout", 30)
        filler = settled.pop("filler", 0)
        definition = quality_definition(rmse, **settled)
        definition["Steps"].insert(0, _train(f"s3://{BUCKET}/code/large.bin"))
        if filler:
            definition["Metadata"] = {"filler": "x" * filler}
        document = {"definition": definition, "code": code, "timeout": timeout, "size": size}
        self.scratch.write("shape.json", json.dumps(document))

    def run(self, *arguments: str, code: int | None = 0, **environ: str) -> Result:
        done = self.recorder.run(
            *arguments,
            "--json",
            cwd=self.scratch.root,
            environ={**self.scratch.environment(), **self.environ, **environ},
        )
        assert code is None or done.code == code, f"{arguments}: {done.code}\n{done.err}"
        return done

    def deployed(self, *arguments: str) -> Any:
        """The report of a run that succeeded. Which model its endpoint serves is no matter."""
        report = self.run(*arguments, code=None).report
        assert report["execution"]["status"] == "Succeeded"
        return report

    def pull_request(
        self, number: int, *arguments: str, code: int | None = 0, action: str = "synchronize"
    ) -> Result:
        """`auto` as the event of a pull request."""
        commit = self.scratch.git("rev-parse", "HEAD")
        event = pull_request_environ(
            self.scratch.root.parent / f"job-{number}",
            number=number,
            commit=commit,
            forge=self.github.address,
            aws=self.endpoint.address,
        )
        payload = Path(event["GITHUB_EVENT_PATH"])
        base = self.scratch.git("rev-parse", "main")
        text = payload.read_text().replace("synchronize", action)
        payload.write_text(text.replace("0" * 40, base))
        return self.run("auto", *arguments, code=code, **event)

    def order(self, number: int, text: str) -> list[Request]:
        """The calls of a job on the default branch that obeys a comment on a pull request."""
        self.scratch.git("checkout", "-q", "main")
        self.recorder.take()
        held = self.github.comments[self.github.add_comment(number, "anna", text)]
        folder = self.scratch.root.parent / f"order-{number}"
        environ = pull_request_environ(
            folder,
            number=number,
            commit=self.scratch.git("rev-parse", "HEAD"),
            forge=self.github.address,
            aws=self.endpoint.address,
        )
        payload = Path(environ["GITHUB_EVENT_PATH"])
        payload.write_text(json.dumps(comment_event(number, held)))
        self.github.roles["anna"] = "write"
        environ["GITHUB_EVENT_NAME"] = "issue_comment"
        self.run("auto", "--poll", "0.1", code=0, **environ)
        return self.recorder.take()

    def edit_function(self, name: str) -> None:
        """Somebody changes a function by hand: its code, and whose it is."""
        functions = self.client("lambda")
        arn = functions.get_function_configuration(FunctionName=name)["FunctionArn"]
        functions.untag_resource(Resource=arn, TagKeys=["sagemaker-gitops:pipeline"])
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("index.py", f"# {uuid.uuid4()}\ndef handler(event, context): ...\n")
        functions.update_function_code(FunctionName=name, ZipFile=packed.getvalue())

    def tag_function(self, name: str, pull_request: str) -> None:
        """Somebody says that it is a pull request's."""
        self.client("lambda").tag_resource(
            Resource=f"arn:aws:lambda:us-east-1:000000000000:function:{name}",
            Tags={"sagemaker-gitops:pull-request": pull_request},
        )

    def newest_package(self) -> str:
        listed = self.client("sagemaker").list_model_packages(
            ModelPackageGroupName="quality", SortBy="CreationTime", SortOrder="Descending"
        )
        return str(listed["ModelPackageSummaryList"][0]["ModelPackageArn"])

    def serve(self, name: str, package: str, tags: dict[str, str]) -> None:
        """An endpoint that serves a package, as a deploy function makes it."""
        sagemaker, listed = (
            self.client("sagemaker"),
            [{"Key": key, "Value": value} for key, value in tags.items()],
        )
        sagemaker.create_model(
            ModelName=f"{name}-1",
            ExecutionRoleArn=ROLE,
            PrimaryContainer={"ModelPackageName": package},
            Tags=listed,
        )
        variant = {
            "VariantName": "all",
            "ModelName": f"{name}-1",
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
        }
        sagemaker.create_endpoint_config(
            EndpointConfigName=f"{name}-1", ProductionVariants=[variant], Tags=listed
        )
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=f"{name}-1", Tags=listed)


def _train(code: str) -> dict[str, Any]:
    return {
        "Name": "Train",
        "Type": "Training",
        "Arguments": {
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["python3", "-c", "print('loss=0.5')"],
                "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
            },
            "Environment": {"CODE": code},
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out/"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "RoleArn": ROLE,
        },
    }


@contextmanager
def open_stage(folder: Path) -> Iterator[Stage]:
    with (
        running_endpoint(folder / "local", images=(("*", Path(sys.prefix)),)) as endpoint,
        serve_github() as github,
        recording() as recorder,
    ):
        scratch = new_scratch(folder / "repository", PROJECT)
        scratch.write("pipeline.py", MODULE)
        client(endpoint, "s3").create_bucket(Bucket=BUCKET)
        stage = Stage(
            scratch=scratch,
            endpoint=endpoint,
            recorder=recorder,
            github=github,
            queue=f"{endpoint.address}/000000000000/mlops-events",
            environ={**aws_environ(endpoint.address), "SAGEMAKER_GITOPS_COMPILE_CACHE": "off"},
        )
        stage.shape()
        scratch.git("remote", "add", "origin", f"https://github.com/{REPOSITORY}.git")
        scratch.commit("beginning")
        stage.run("bootstrap", "events", "--deploy", "--yes")
        recorder.take()
        yield stage


def play_main(stage: Stage) -> list[Request]:
    """Everything that is done on the default branch."""
    follow = ("--environment", "main", "--poll", "0.1")
    stage.shape(2.0, size=9 * 1024 * 1024)
    stage.scratch.commit("first")
    first = stage.deployed("deploy", *follow)
    package = first["model_package"]["arn"]
    stage.serve("quality", package, {})
    stage.edit_function("quality-announce")
    stage.tag_function("quality-announce", "9")
    stage.shape(1.9, code="def handler(event, context):\n    return 2\n", timeout=60)
    stage.scratch.commit("another function")
    stage.deployed("deploy", *follow[:2], *stage.by_queue, "--logs")
    stage.shape(1.8, filler=120_000)
    stage.scratch.commit("a large definition")
    stage.run("deploy", *follow, "--detach")
    stage.deployed("attach", *follow, "quality")
    stage.shape(1.7, script="raise SystemExit('broken')")
    stage.scratch.commit("fails")
    stage.run("deploy", *follow, code=1)
    stage.run("deploy", *follow, "--retry-failed", code=None)
    stage.shape(1.6, script="import time; time.sleep(60)")
    stage.scratch.commit("hangs")
    stage.run("deploy", *follow, "--detach")
    stage.run("stop", "--environment", "main", "--poll", "0.1", "quality")
    stage.run("promote", "quality", "--to", "1")
    stage.run("promote", "quality", "--to", "2")
    stage.run("rollback", "quality")
    stage.run("status", "--environment", "main")
    stage.run("reject", package, "--from", "Approved", "--reason", "too old", code=None)
    stage.run("approve", package, "--from", "Rejected", code=None)
    stage.run("approvals", "sync", package, "--environment", "main", code=None)
    stage.run("approvals", "sync", "--since", "1h", "--environment", "main", code=None)
    with serve_codepipeline(stage.endpoint.address) as service:
        held = _waiting(stage, service, package)
        told = {**ENVIRONMENT, PLACES: "mlops", "AWS_ENDPOINT_URL": service.address}
        stage.run("approvals", "sync", package, "--environment", "main", code=None, **told)
        assert held.decided["Approve", "Model"]["status"] == "Approved"
    stage.edit_function("quality-announce")
    stage.run("drift", "--environment", "main", "--fix", code=None)
    return [*stage.recorder.take(), *_play_orders(stage)]


def _play_orders(stage: Stage, number: int = 30) -> list[Request]:
    """What comments on a pull request order, obeyed with main's role: what the pull request's own
    role does in between is left out."""
    stage.shape(1.5)
    commit = stage.scratch.commit("to be approved", branch=f"topic-{number}")
    stage.github.add_pull(number, commit)
    stage.pull_request(number, "--poll", "0.1")
    approved = stage.order(number, f"/sagemaker approve --commit {commit}")
    stage.scratch.git("checkout", "-q", f"topic-{number}")
    stage.shape(1.4, script="import time; time.sleep(60)")
    commit = stage.scratch.commit("to be stopped")
    stage.github.add_pull(number, commit)
    stage.pull_request(number, "--poll", "0.1", "--detach")
    return approved + stage.order(number, "/sagemaker stop")


def play_pull_request(stage: Stage, number: int = 31) -> list[Request]:
    """What happens from a pull request's opening to its end."""
    stage.edit_function("quality-announce")
    stage.shape(1.5, size=9 * 1024 * 1024 + 1)
    stage.scratch.commit("pull request", branch=f"topic-{number}")
    done = stage.pull_request(number, "--poll", "0.1").report
    tags = {
        "sagemaker-gitops:project": REPOSITORY,
        "sagemaker-gitops:environment": "pull_request",
        "sagemaker-gitops:pull-request": str(number),
    }
    stage.serve(f"quality-pr-{number}", done["model_package"]["arn"], tags)
    stage.edit_function(f"quality-pr-{number}-announce")
    code = "def handler(event, context):\n    return 3\n"
    stage.shape(1.4, code=code, timeout=90, script="import time; time.sleep(5)")
    stage.scratch.commit("better; runs when it is first looked at, so that the queue tells the end")
    stage.client("sqs").purge_queue(QueueUrl=stage.queue)
    stage.pull_request(number, *stage.by_queue)
    stage.shape(1.3, script="import time; time.sleep(60)")
    stage.scratch.commit("hangs")
    stage.pull_request(number, "--poll", "0.1", "--detach")
    stage.shape(1.2, script="raise SystemExit('broken')")
    stage.scratch.commit("fails; the one that hangs is superseded")
    stage.pull_request(number, "--poll", "0.1", code=1)
    done = stage.pull_request(number, "--poll", "0.1", action="closed").document
    kinds = {each.partition(" ")[0] for each in done["deleted"]}
    assert kinds >= {"pipeline", "function", "endpoint"}, done
    stage.scratch.git("checkout", "-q", "main")
    return stage.recorder.take()


def play_plan(stage: Stage) -> list[Request]:
    """Looking and no more: plans of pull requests, and the nightly drift."""
    stage.edit_function("quality-announce")
    stage.shape(1.1, code="def handler(event, context):\n    return 4\n", size=20)
    stage.scratch.commit("planned", branch="topic-planned")
    stage.run("plan", "--environment", "main")
    stage.run("plan", "--pull-request", "77")
    stage.run("drift", "--environment", "main", code=1)
    stage.scratch.git("checkout", "-q", "main")
    return stage.recorder.take()


def play_function(stage: Stage) -> list[Request]:
    """What the Lambda function of CodePipeline does: jobs, and approvals both ways."""
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
        held = _waiting(self.stage, self.service, package)
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


def _waiting(stage: Stage, service: FakeCodePipeline, package: str) -> Pipeline:
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
