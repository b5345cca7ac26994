"""The zip of the function: the same twice, within Lambda's limits, and run as Lambda runs it."""

import json
import os
import platform
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.acting import ROOT, copy_action
from support.codepipeline import BUCKET, ENVIRONMENT, Job, serve_codepipeline
from support.endpoint import client, running_endpoint
from support.lambda_job import Stage
from support.scratch import PROJECT, new_scratch, quality_definition

from ci.door.packaging import HANDLER, UNPACKED_LIMIT

ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"
RUNTIME = f"python3.{sys.version_info.minor}"
ARCHITECTURE = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
CALL = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from ci.door.codepipeline import handler
class Context:
    def __init__(self): self.ends = time.monotonic() + 60
    def get_remaining_time_in_millis(self): return int((self.ends - time.monotonic()) * 1000)
said = handler(json.load(sys.stdin), Context())
print(json.dumps({"said": said, "modules": sorted(sys.modules), "path": sys.path}))
"""
pytestmark = pytest.mark.slow


def package(source: Path, out: Path, *words: str) -> dict[str, Any]:
    """The zip that a checkout makes."""
    program = "import sys; sys.path.insert(0, sys.argv.pop(1)); from ci.cli import entry_point;"
    done = subprocess.run(
        [sys.executable, "-c", f"{program} sys.exit(entry_point())", source, "package", "--json",
         "--out", out, "--runtime", RUNTIME, "--architecture", ARCHITECTURE, *words],
        check=True, capture_output=True, text=True, cwd=source,
    )  # fmt: skip
    fetching, packing = done.stderr.splitlines()
    assert fetching == f"fetching the packages for {RUNTIME} on {ARCHITECTURE}"
    assert packing.startswith("packing ")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    zip: Path
    unpacked: Path
    document: dict[str, Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("package")
    source = copy_action(folder / "checkout" / "action")
    document = package(source, folder / "lambda.zip")
    again = package(source, folder / "other" / "again.zip")
    assert again["code_sha256"] == document["code_sha256"]
    with zipfile.ZipFile(folder / "lambda.zip") as held:
        held.extractall(folder / "task")
    return Made(zip=folder / "lambda.zip", unpacked=folder / "task", document=document)


def test_the_package_is_small_enough_and_holds_what_it_needs(made: Made) -> None:
    assert made.document["handler"] == HANDLER
    assert made.document["unpacked"] < UNPACKED_LIMIT / 4
    with zipfile.ZipFile(made.zip) as held:
        names = held.namelist()
        assert {info.date_time for info in held.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    tops = {name.partition("/")[0] for name in names}
    assert {"ci", "boto3", "botocore", "jsonschema", "requests"} <= tops
    assert "bin" not in tops
    assert not [name for name in names if "__pycache__" in name or name.endswith("/RECORD")]
    assert names == sorted(names)
    checkout = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "ci").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if name.startswith("ci/")} <= checkout


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("function")
    project = PROJECT.replace("region: us-east-1", f"region: us-east-1\nrole: {ROLE}")
    scratch = new_scratch(folder / "repository", project)
    with (
        running_endpoint(folder / "endpoint") as endpoint,
        serve_codepipeline(endpoint.address) as service,
    ):
        client(endpoint, "s3").create_bucket(Bucket=BUCKET)
        yield Stage(scratch=scratch, service=service, folder=folder)


def start(stage: Stage, rmse: float) -> Job:
    stage.scratch.define(quality_definition(rmse))
    commit = stage.scratch.commit(f"rmse {rmse}")
    return stage.service.start(
        {"commit": commit, "repository": "acme/mlops"}, inputs={"Source": stage.upload()}
    )


@pytest.mark.endpoint
def test_the_unpacked_zip_carries_a_job_to_its_end_with_nothing_else(
    made: Made, stage: Stage
) -> None:
    job: Job | None = start(stage, 2.5)
    calls = 0
    while job is not None:
        calls += 1
        assert calls < 60
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", CALL, made.unpacked],
            input=json.dumps(job.event), capture_output=True, text=True, check=False,
            env={**ENVIRONMENT, "PATH": os.environ["PATH"], "AWS_REGION": "us-east-1",
                 "AWS_ENDPOINT_URL": stage.service.address, "TMPDIR": str(stage.folder)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        shown = json.loads(done.stdout.splitlines()[-1])
        assert not [place for place in shown["path"] if "site-packages" in place]
        assert not {"git", "aiohttp"} & set(shown["modules"])
        assert job.answer is not None
        last = job.answer
        job = stage.service.following(job)
    operation, request = last
    assert operation == "PutJobSuccessResult", request
    assert request["outputVariables"]["SAGEMAKER_GITOPS_VERDICT"] == "succeeded"
    assert calls > 1


@pytest.mark.endpoint
def test_lambda_itself_carries_a_job_to_its_end(made: Made, stage: Stage) -> None:
    service = client(stage.service.address, "lambda")
    service.create_function(
        FunctionName="gitops",
        Runtime=RUNTIME,
        Role=ROLE,
        Handler=HANDLER,
        Timeout=60,
        Code={"ZipFile": made.zip.read_bytes()},
        Environment={"Variables": {"AWS_ENDPOINT_URL": stage.service.address}},
    )
    job: Job | None = start(stage, 4.5)
    while job is not None:
        answer = service.invoke(FunctionName="gitops", Payload=json.dumps(job.event).encode())
        assert "FunctionError" not in answer, answer["Payload"].read()
        assert job.answer is not None
        last = job.answer
        job = stage.service.following(job)
    operation, request = last
    assert operation == "PutJobFailureResult"
    assert "rmse" in request["failureDetails"]["message"]
