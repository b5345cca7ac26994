"""A repository with all that calls depend on: a module with a function and a large artifact, a
definition in S3, metrics of three kinds, a gate, an endpoint, steps that fail. What its commands
call on AWS is recorded."""

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

from ci.local.lifecycle import Endpoint
from support.acting import comment_event
from support.endpoint import client, running_endpoint
from support.github import REPOSITORY, FakeGitHub, serve_github
from support.github_job import aws_environ, pull_request_environ
from support.recording import Recorder, Request, recording
from support.scratch import BUCKET, IMAGE, Result, Scratch, new_scratch, quality_definition

ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"
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
