"""The engine behind the real endpoint: S3, Logs and Lambda are the emulator's."""

import io
import json
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.endpoint import client, running_endpoint
from support.engine_lab import processing, source, target

pytestmark = pytest.mark.endpoint
ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"
_LAMBDA = """
def handler(event, context):
    print("asked for", event)
    if event["mode"] == "fail":
        raise ValueError("no such endpoint")
    return {"text": event["mode"] + "!", "count": 3, "ratio": 0.5, "flag": True}
"""
_OUTPUTS = [
    {"OutputName": "text", "OutputType": "String"},
    {"OutputName": "count", "OutputType": "Integer"},
    {"OutputName": "ratio", "OutputType": "Float"},
    {"OutputName": "flag", "OutputType": "Boolean"},
]


class Aws:
    def __init__(self, endpoint: Any) -> None:
        self.sagemaker = client(endpoint, "sagemaker")
        self.s3 = client(endpoint, "s3")
        self.logs = client(endpoint, "logs")
        self.function = self._make_function(client(endpoint, "lambda"))
        self.s3.create_bucket(Bucket="bucket")

    def _make_function(self, service: Any) -> str:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("code.py", _LAMBDA)
        answer = service.create_function(
            FunctionName="deploy",
            Runtime="python3.11",
            Handler="code.handler",
            Role=ROLE,
            Code={"ZipFile": packed.getvalue()},
        )
        return str(answer["FunctionArn"])

    def run(self, name: str, steps: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
        definition = json.dumps({"Version": "2020-12-01", "Metadata": {}, "Steps": steps})
        self.sagemaker.create_pipeline(
            PipelineName=name, PipelineDefinition=definition, RoleArn=ROLE
        )
        started = self.sagemaker.start_pipeline_execution(PipelineName=name)
        arn = started["PipelineExecutionArn"]
        end = time.monotonic() + 40
        while True:
            body = self.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
            if body["PipelineExecutionStatus"] not in ("Executing", "Stopping"):
                break
            assert time.monotonic() < end, body
            time.sleep(0.05)
        listed = self.sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)
        steps_by_name = {s["StepName"]: s for s in listed["PipelineExecutionSteps"]}
        return body["PipelineExecutionStatus"], steps_by_name


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    home = tmp_path_factory.mktemp("endpoint")
    images = (("image", Path(sys.executable).parent.parent),)
    with running_endpoint(home, images=images) as endpoint:
        yield Aws(endpoint)


def _lambda(aws: Aws, name: str, mode: object, outputs: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "Name": name,
        "Type": "Lambda",
        "Arguments": {"mode": mode},
        "FunctionArn": aws.function,
        "OutputParameters": outputs,
    }


def test_a_lambda_gets_resolved_input_and_hands_on_typed_output(aws: Aws) -> None:
    gate = {
        "Name": "Gate",
        "Type": "Condition",
        "Arguments": {
            "Conditions": [
                {
                    "Type": "Equals",
                    "LeftValue": {"Get": "Steps.Call.OutputParameters['count']"},
                    "RightValue": 3,
                }
            ],
            "IfSteps": [],
            "ElseSteps": [],
        },
    }
    call = _lambda(aws, "Call", {"Get": "Execution.PipelineName"}, _OUTPUTS)
    status, steps = aws.run("lambda-good", [call, gate])
    assert status == "Succeeded", [s.get("FailureReason") for s in steps.values()]
    outputs = {
        o["Name"]: o["Value"] for o in steps["Call"]["Metadata"]["Lambda"]["OutputParameters"]
    }
    assert outputs == {"text": "lambda-good!", "count": "3", "ratio": "0.5", "flag": "true"}
    assert steps["Gate"]["Metadata"]["Condition"]["Outcome"] == "True"


def test_a_failing_lambda_shows_its_error_and_log(aws: Aws) -> None:
    status, steps = aws.run("lambda-bad", [_lambda(aws, "Call", "fail", [])])
    assert status == "Failed"
    assert "ValueError: no such endpoint" in steps["Call"]["FailureReason"]


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ({"OutputName": "nope", "OutputType": "String"}, "did not return the output parameter"),
        ({"OutputName": "text", "OutputType": "Integer"}, "which is declared Integer"),
    ],
)
def test_a_lambda_that_returns_something_else(aws: Aws, output: dict[str, str], why: str) -> None:
    name = f"lambda-other-{output['OutputName']}"
    status, steps = aws.run(name, [_lambda(aws, "Call", "x", [output])])
    assert status == "Failed"
    assert why in steps["Call"]["FailureReason"]


def test_a_lambda_of_the_account_that_the_role_is_of(aws: Aws) -> None:
    """A module names functions by the account of its role, which need not be the endpoint's."""
    step = _lambda(aws, "Call", "x", [{"OutputName": "text", "OutputType": "String"}])
    step["FunctionArn"] = step["FunctionArn"].replace("000000000000", "123456789012")
    status, steps = aws.run("lambda-account", [step])
    assert status == "Succeeded", steps["Call"].get("FailureReason")
    assert steps["Call"]["Metadata"]["Lambda"]["Arn"] == step["FunctionArn"]


def test_a_lambda_that_does_not_exist(aws: Aws) -> None:
    step = _lambda(aws, "Call", "x", [])
    step["FunctionArn"] = step["FunctionArn"].replace("deploy", "missing")
    status, steps = aws.run("lambda-missing", [step])
    assert status == "Failed"
    assert "ResourceNotFoundException" in steps["Call"]["FailureReason"]


def test_step_logs_are_read_through_the_logs_api(aws: Aws) -> None:
    script = "import sys\nfor n in range(12_000): print('line', n)\nsys.exit('the tail')"
    status, steps = aws.run("logs", [processing("Loud", script)])
    assert status == "Failed"
    job = steps["Loud"]["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    group = "/aws/sagemaker/ProcessingJobs"
    streams = aws.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=job)
    (stream,) = [s["logStreamName"] for s in streams["logStreams"]]
    assert stream.startswith(f"{job}/algo-1-")
    page = aws.logs.get_log_events(
        logGroupName=group, logStreamName=stream, startFromHead=False, limit=3
    )
    assert [e["message"] for e in page["events"]] == ["line 11998", "line 11999", "the tail"]


def test_a_log_comes_while_the_step_runs(aws: Aws) -> None:
    script = "import time; print('first words', flush=True); time.sleep(4)"
    definition = {"Version": "2020-12-01", "Steps": [processing("Slow", script)]}
    aws.sagemaker.create_pipeline(
        PipelineName="live", PipelineDefinition=json.dumps(definition), RoleArn=ROLE
    )
    arn = aws.sagemaker.start_pipeline_execution(PipelineName="live")["PipelineExecutionArn"]
    group = "/aws/sagemaker/ProcessingJobs"
    end = time.monotonic() + 3.5
    found: list[Any] = []
    while not found and time.monotonic() < end:
        time.sleep(0.2)
        with suppress(aws.logs.exceptions.ResourceNotFoundException):
            found = aws.logs.filter_log_events(
                logGroupName=group, filterPattern='"first words"'
            ).get("events", [])
    assert found
    body = aws.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert body["PipelineExecutionStatus"] == "Executing"
    aws.sagemaker.stop_pipeline_execution(
        PipelineExecutionArn=arn, ClientRequestToken="stop-the-live-one-" + "x" * 20
    )


def test_objects_come_and_go_through_the_emulator(aws: Aws) -> None:
    name = "in/ä b+c%20&.txt"
    aws.s3.put_object(Bucket="bucket", Key=name, Body=b"x" * 9_000_000)
    script = (
        "import pathlib, shutil\n"
        "(file,) = pathlib.Path('/opt/ml/processing/i').iterdir()\n"
        "shutil.copy(file, '/opt/ml/processing/o/deep.bin')"
    )
    step = processing(
        "Copy",
        script,
        ProcessingInputs=[source("i", "s3://bucket/in", "/opt/ml/processing/i")],
        ProcessingOutputConfig={
            "Outputs": [target("o", "s3://bucket/out", "/opt/ml/processing/o")]
        },
    )
    status, steps = aws.run("copy", [step])
    assert status == "Succeeded", [s.get("FailureReason") for s in steps.values()]
    head = aws.s3.head_object(Bucket="bucket", Key="out/deep.bin")
    assert head["ContentLength"] == 9_000_000


@pytest.mark.parametrize("uri", ["s3://no-such-bucket-here/in", "s3://bucket/nothing-here"])
def test_missing_data_is_told_by_its_uri(aws: Aws, uri: str) -> None:
    step = processing("Read", "pass", ProcessingInputs=[source("i", uri, "/opt/ml/processing/i")])
    status, steps = aws.run(f"missing-{len(uri)}", [step])
    assert status == "Failed"
    reason = steps["Read"]["FailureReason"]
    assert uri in reason
    assert ("NoSuchBucket" in reason) == ("no-such-bucket" in uri)


def test_an_output_to_a_bucket_that_does_not_exist(aws: Aws) -> None:
    outputs = {"Outputs": [target("o", "s3://no-such-bucket-here/o", "/opt/ml/processing/o")]}
    script = "open('/opt/ml/processing/o/x', 'w').write('x')"
    status, steps = aws.run("no-bucket", [processing("W", script, ProcessingOutputConfig=outputs)])
    assert status == "Failed"
    assert "NoSuchBucket" in steps["W"]["FailureReason"]
