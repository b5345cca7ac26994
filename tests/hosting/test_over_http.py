"""Endpoints through the whole local endpoint: boto3 over HTTP, S3 behind, and a kill in between."""

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from support.archives import model_archive
from support.endpoint import client, running_endpoint
from support.processes import gone

from ci.local.lifecycle import Endpoint, up

pytestmark = pytest.mark.endpoint

SCRIPT = """
import json, os
def model_fn(model_dir): return os.getpid()
def input_fn(body, content_type): return json.loads(body)
def predict_fn(data, model): return {"said": data, "pid": model}
def output_fn(prediction, accept): return json.dumps(prediction), "application/json"
"""


def create(endpoint: Endpoint, name: str, script: str) -> dict[str, Any]:
    s3, sagemaker = client(endpoint, "s3"), client(endpoint, "sagemaker")
    s3.create_bucket(Bucket="models")
    archive = model_archive({"code/inference.py": script})
    s3.put_object(Bucket="models", Key=f"{name}/model.tar.gz", Body=archive)
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn="arn:aws:iam::000000000000:role/sagemaker-gitops-local",
        PrimaryContainer={
            "Image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/model:1",
            "ModelDataUrl": f"s3://models/{name}/model.tar.gz",
        },
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": name,
                "InitialInstanceCount": 1,
                "InstanceType": "ml.m5.large",
            }
        ],
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    return settle(endpoint, name)


def settle(endpoint: Endpoint, name: str) -> dict[str, Any]:
    sagemaker = client(endpoint, "sagemaker")
    end = time.monotonic() + 30
    while time.monotonic() < end:
        body: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=name)
        if body["EndpointStatus"] != "Creating":
            return body
        time.sleep(0.1)
    raise AssertionError(body)


def logged(endpoint: Endpoint, name: str, text: str) -> bool:
    """Whether a line of the endpoint's log group holds the text, within ten seconds."""
    logs = client(endpoint, "logs")
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with contextlib.suppress(logs.exceptions.ResourceNotFoundException):
            events = logs.filter_log_events(logGroupName=f"/aws/sagemaker/Endpoints/{name}")
            if any(text in event["message"] for event in events["events"]):
                return True
        time.sleep(0.2)
    return False


def ask(endpoint: Endpoint, name: str, data: object) -> Any:
    answer = client(endpoint, "sagemaker-runtime").invoke_endpoint(
        EndpointName=name, Body=json.dumps(data), ContentType="application/json"
    )
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    return json.loads(answer["Body"].read())


def test_an_endpoint_answers_after_the_local_endpoint_was_killed(tmp_path: Path) -> None:
    with running_endpoint(tmp_path) as endpoint:
        assert create(endpoint, "e", SCRIPT)["EndpointStatus"] == "InService"
        first = ask(endpoint, "e", "hi")
        os.kill(endpoint.pid, signal.SIGKILL)
        again = up(tmp_path)
        assert again.pid != endpoint.pid
        second = ask(again, "e", {"çok": [1, 2]})
        assert second["said"] == {"çok": [1, 2]}
        assert second["pid"] != first["pid"]
        assert gone(first["pid"])


def test_errors_are_the_ones_boto3_knows(tmp_path: Path) -> None:
    with running_endpoint(tmp_path) as endpoint:
        runtime = client(endpoint, "sagemaker-runtime")
        with pytest.raises(runtime.exceptions.ValidationError, match="Endpoint nowhere of account"):
            runtime.invoke_endpoint(EndpointName="nowhere", Body=b"1")
        bad = create(endpoint, "bad", "raise RuntimeError('no licence')")
        assert bad["EndpointStatus"] == "Failed"
        assert "no licence" in bad["FailureReason"]
        assert logged(endpoint, "bad", "RuntimeError: no licence")
        waiter = client(endpoint, "sagemaker").get_waiter("endpoint_in_service")
        with pytest.raises(Exception, match="terminal failure state"):
            waiter.wait(EndpointName="bad")
        create(endpoint, "e", SCRIPT)
        with pytest.raises(runtime.exceptions.ModelError) as caught:
            runtime.invoke_endpoint(EndpointName="e", Body=b"{", ContentType="application/json")
        assert caught.value.response["OriginalStatusCode"] == 500
        assert "JSONDecodeError" in caught.value.response["OriginalMessage"]
        assert logged(endpoint, "e", "json.decoder.JSONDecodeError")
