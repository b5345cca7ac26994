"""A job of CodePipeline, call by call: to its verdict, through faults, twice, and refused."""

import io
import json
import zipfile
from collections.abc import Iterator

import pytest
from support.codepipeline import BUCKET, serve_codepipeline
from support.endpoint import client, running_endpoint
from support.github import REPOSITORY
from support.lambda_job import Stage
from support.scratch import PROJECT, new_scratch, quality_definition

ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"
pytestmark = pytest.mark.endpoint


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("lambda")
    project = PROJECT.replace("region: us-east-1", f"region: us-east-1\nrole: {ROLE}")
    scratch = new_scratch(folder / "repository", project)
    with (
        running_endpoint(folder / "endpoint") as endpoint,
        serve_codepipeline(endpoint.address) as service,
    ):
        client(endpoint, "s3").create_bucket(Bucket=BUCKET)
        yield Stage(scratch=scratch, service=service, folder=folder)


def deliver(stage: Stage, rmse: float, **settings: object) -> tuple[str, str]:
    """A commit whose model has this error, as an artifact: the commit and the artifact's key."""
    stage.scratch.define(quality_definition(rmse))
    return stage.scratch.commit(f"rmse {rmse}"), stage.upload()


def executions(stage: Stage) -> list[str]:
    listed = client(stage.service.address, "sagemaker").list_pipeline_executions(
        PipelineName="quality"
    )
    return [each["PipelineExecutionArn"] for each in listed["PipelineExecutionSummaries"]]


def test_a_job_from_its_first_call_to_its_verdict(stage: Stage) -> None:
    commit, key = deliver(stage, 2.5)
    job = stage.service.start(
        {"commit": commit, "branch": "main", "repository": REPOSITORY},
        inputs={"Source": key},
        outputs={"Report": "mlops/Report/1"},
        key="arn:aws:kms:us-east-1:000000000000:key/1",
    )
    stage.invoke(job)
    assert job.answer is not None
    operation, first = job.answer
    assert operation == "PutJobSuccessResult"
    assert len(first["continuationToken"]) < 400
    assert "test" not in first["continuationToken"]
    assert ":pipeline/quality/execution/" in first["executionDetails"]["externalExecutionId"]
    following = stage.service.following(job)
    assert following is not None
    operation, last, _ = stage.run(following)
    assert operation == "PutJobSuccessResult", last
    variables = last["outputVariables"]
    assert variables["SAGEMAKER_GITOPS_VERDICT"] == "succeeded"
    assert variables["SAGEMAKER_GITOPS_APPROVAL"] == "Approved"
    assert json.loads(variables["SAGEMAKER_GITOPS_METRICS"])["rmse"]["value"] == 2.5
    assert variables["SAGEMAKER_GITOPS_REPORT"] == f"s3://{BUCKET}/mlops/Report/1"
    assert last["executionDetails"]["percentComplete"] == 100
    with zipfile.ZipFile(io.BytesIO(stage.read("mlops/Report/1"))) as held:
        [document] = [name for name in held.namelist() if name.endswith(".json")]
        report = json.loads(held.read(document))
    assert report["trigger"]["commit"] == commit
    assert report["verdict"]["outcome"] == "succeeded"
    headers = next(h for path, h in stage.service.uploads if path.endswith("/Report/1"))
    assert headers["x-amz-server-side-encryption"] == "aws:kms"
    assert headers["x-amz-server-side-encryption-aws-kms-key-id"].endswith("key/1")


def test_a_first_call_that_comes_twice_is_one_execution(stage: Stage) -> None:
    commit, key = deliver(stage, 2.4)
    before = len(executions(stage))
    job = stage.service.start({"commit": commit}, inputs={"Source": key})
    assert stage.invoke(job)["taken"] is True
    assert stage.invoke(job)["taken"] is False
    assert len(executions(stage)) == before + 1
    operation, last, _ = stage.run(stage.service.following(job) or job)
    assert operation == "PutJobSuccessResult", last


def test_a_gate_that_fails_fails_the_job_with_its_sentence(stage: Stage) -> None:
    commit, key = deliver(stage, 4.5)
    job = stage.service.start({"commit": commit}, inputs={"Source": key})
    operation, last, _ = stage.run(job)
    assert operation == "PutJobFailureResult"
    details = last["failureDetails"]
    assert details["type"] == "JobFailed"
    assert "rmse" in details["message"]
    assert details["externalExecutionId"] in executions(stage)
