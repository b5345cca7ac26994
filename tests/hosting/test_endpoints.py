"""Endpoints that really start what they serve, over an in-process context and a loopback S3."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.archives import model_archive
from support.hosting import ECHO, IMAGE, Hosting, refused
from support.loopback_s3 import LoopbackS3

from ci.local.api import hosting
from ci.local.api.invoke import Invocation, invoke
from ci.local.api.launching import launcher
from ci.local.serving.fleet import fleet_at


def test_an_endpoint_serves_the_model_and_says_what_it_serves(api: Hosting) -> None:
    api.model("one")
    api("CreateEndpoint", EndpointName="e", EndpointConfigName="one")
    assert refused(api, "DeleteEndpoint", EndpointName="e").message.startswith(
        'Cannot update in-progress endpoint "arn:aws:sagemaker:us-east-1:000000000000:endpoint/e"'
    )
    body = api.settle()
    assert body["EndpointStatus"] == "InService"
    assert body["ProductionVariants"][0]["DeployedImages"][0]["SpecifiedImage"] == IMAGE
    told = {"x-amzn-sagemaker-custom-attributes": "trace=1"}
    asked = Invocation(endpoint="e", headers=told, body=b'"hi"')
    status, headers, answer = invoke(api.context, asked)
    assert (status, json.loads(answer)["said"]) == (200, "hi")
    assert headers["x-Amzn-Invoked-Production-Variant"] == "v-one"
    assert headers["X-Amzn-SageMaker-Custom-Attributes"] == "trace=1"
    assert headers["Content-Type"] == "application/json"


def test_a_model_of_an_approved_package_is_served(api: Hosting, s3: LoopbackS3) -> None:
    s3.objects["bucket/p.tar.gz"] = model_archive({"src/serve.py": ECHO, "name": "packaged"})
    api("CreateModelPackageGroup", ModelPackageGroupName="g")
    arn = api(
        "CreateModelPackage",
        ModelPackageGroupName="g",
        InferenceSpecification={
            "Containers": [
                {
                    "Image": IMAGE,
                    "ModelDataUrl": "s3://bucket/p.tar.gz",
                    "Environment": {
                        "SAGEMAKER_PROGRAM": "serve.py",
                        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/src",
                    },
                }
            ]
        },
    )["ModelPackageArn"]
    api("CreateModel", ModelName="m", Containers=[{"ModelPackageName": arn}])
    api.config("m", {"m": 1.0})
    assert api.create("m")["EndpointStatus"] == "InService"
    assert api.ask(1)[1]["name"] == "packaged"


def test_code_and_data_may_come_from_places_of_their_own(api: Hosting, s3: LoopbackS3) -> None:
    s3.objects["bucket/source.tar.gz"] = model_archive({"serve.py": ECHO})
    s3.objects["bucket/open/name"] = b"uncompressed"
    s3.objects["bucket/open/deep/er/weights"] = b"x"
    s3.objects["bucket/opened/name"] = b"another model's"
    source = {
        "S3Uri": "s3://bucket/open",
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }
    environment = {
        "SAGEMAKER_PROGRAM": "serve.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "s3://bucket/source.tar.gz",
    }
    container = {
        "Image": IMAGE,
        "ModelDataSource": {"S3DataSource": source},
        "Environment": environment,
    }
    api("CreateModel", ModelName="m", PrimaryContainer=container)
    api.config("m", {"m": 1.0})
    assert api.create("m")["EndpointStatus"] == "InService"
    assert api.ask(1)[1]["name"] == "uncompressed"
    (weights,) = (api.context.home / "endpoints" / "e").glob("*/*/model/deep/er/weights")
    assert weights.read_bytes() == b"x"


def test_a_prefix_with_hostile_keys_is_refused(api: Hosting, s3: LoopbackS3) -> None:
    s3.objects["bucket/open/../../../evil"] = b"x"
    source = {"S3Uri": "s3://bucket/open/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    container = {"Image": IMAGE, "ModelDataSource": {"S3DataSource": source}}
    api("CreateModel", ModelName="m", PrimaryContainer=container)
    api.config("m", {"m": 1.0})
    body = api.create("m")
    assert body["EndpointStatus"] == "Failed"
    assert "reach out of" in body["FailureReason"]


def test_the_first_mapped_environment_serves_the_image(tmp_path: Path, s3: LoopbackS3) -> None:
    broken = tmp_path / "broken"
    images = (("*.dkr.ecr.*/other:*", broken), ("*/model:*", Path(sys.prefix)), ("*", broken))
    with Hosting(tmp_path, s3, images=images) as api:
        script = ECHO.replace("os.getpid()", "__import__('sys').prefix")
        api.model("one", {"code/inference.py": script, "name": "one"})
        api.create("one")
        assert api.ask(1)[1]["pid"] == sys.prefix
        hosting.close(api.context)
    with Hosting(tmp_path / "second", s3, images=(("*", broken),)) as api:
        api.model("two")
        assert "holds no bin/python" in api.create("two")["FailureReason"]
        hosting.close(api.context)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"code/inference.py": "raise RuntimeError('no licence for çay')"}, "no licence for çay"),
        ({"code/inference.py": "def model_fn(d): return 1/0"}, "ZeroDivisionError"),
        ({"code/inference.py": "x = 1"}, "defines no model_fn"),
        ({"model.joblib": "x"}, "no inference.py in"),
        ({"../evil": "x"}, "reaches out of"),
    ],
)
def test_a_model_that_does_not_come_up_fails_with_the_reason(
    api: Hosting, files: dict[str, str | bytes], says: str
) -> None:
    api.model("bad", files)
    body = api.create("bad")
    assert body["EndpointStatus"] == "Failed"
    assert says in body["FailureReason"]
    assert len(body["FailureReason"]) <= 1024
    status, answer = api.ask(1)
    assert (status, answer["ErrorCode"]) == (400, "ValidationError")
    assert "Failed" in answer["Message"]
    refused(api, "UpdateEndpoint", EndpointName="e", EndpointConfigName="bad")
    api("DeleteEndpoint", EndpointName="e")
    assert "Could not find endpoint" in refused(api, "DescribeEndpoint", EndpointName="e").message


def test_missing_model_data_and_a_model_that_hangs_fail(api: Hosting) -> None:
    api.model("lost")
    api.s3.objects.clear()
    assert "404" in api.create("lost")["FailureReason"]
    api.model("hangs", {"code/inference.py": "import time; time.sleep(60)"})
    record = hosting._plan(api.context, "hangs")
    fleet = fleet_at(api.context.home)
    short = {**hosting.as_document(record)}
    short["variants"] = [{**variant, "startup": 1} for variant in short["variants"]]
    with pytest.raises(Exception, match="no answer to GET /ping within 1 s"):
        fleet.start("h", hosting.from_document(short), launcher(api.context))


def test_errors_of_the_model_are_model_errors(api: Hosting) -> None:
    api.model("one")
    api.create("one")
    status, answer = api.ask("x", {"content-type": "text/plain"})
    assert status == 424
    assert answer["ErrorCode"] == "ModelError"
    assert answer["OriginalStatusCode"] == 500
    assert json.loads(answer["OriginalMessage"])["error"] == "KeyError"
    assert answer["Message"].startswith("Received server error (500) from primary with message")
    status, answer = api.ask("sleep", timeout=0.5)
    assert (status, answer["OriginalStatusCode"]) == (424, 0)
    assert "timed out" in answer["OriginalMessage"]
    assert api.ask("die")[0] == 424


def test_variants_share_the_traffic_by_weight(api: Hosting) -> None:
    for name in ("a", "b"):
        api.model(name)
    api.config("both", {"a": 3.0, "b": 1.0})
    api.create("both")
    points = [0.0, 0.74, 0.76, 0.99]
    answers = [api.ask(1, chance=lambda point=point: point)[1]["name"] for point in points]
    assert answers == ["a", "a", "b", "b"]
    assert api.ask(1, {"x-amzn-sagemaker-target-variant": "v-b"})[1]["name"] == "b"
    assert (
        api.ask(1, {"x-amzn-sagemaker-target-variant": "v-x"})[1]["ErrorCode"] == "ValidationError"
    )


def test_containers_answer_one_after_the_other(api: Hosting, s3: LoopbackS3) -> None:
    containers = []
    for name in ("first", "second"):
        s3.objects[f"bucket/{name}"] = model_archive({"code/inference.py": ECHO, "name": name})
        containers.append({"Image": IMAGE, "ModelDataUrl": f"s3://bucket/{name}"})
    api("CreateModel", ModelName="chain", Containers=containers)
    api.config("chain", {"chain": 1.0})
    api.create("chain")
    answer = api.ask("x")[1]
    assert (answer["name"], answer["said"]["name"], answer["said"]["said"]) == (
        "second",
        "first",
        "x",
    )


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("DescribeModel", {"ModelName": "x"}),
        ("DeleteModel", {"ModelName": "x"}),
        ("DescribeEndpointConfig", {"EndpointConfigName": "x"}),
        ("DeleteEndpointConfig", {"EndpointConfigName": "x"}),
        ("DescribeEndpoint", {"EndpointName": "x"}),
        ("UpdateEndpoint", {"EndpointName": "x", "EndpointConfigName": "x"}),
        ("CreateEndpoint", {"EndpointName": "x", "EndpointConfigName": "x"}),
        ("DeleteEndpoint", {"EndpointName": "x"}),
    ],
)
def test_what_is_not_there_is_named(api: Hosting, operation: str, request_: dict[str, Any]) -> None:
    message = refused(api, operation, **request_).message
    assert message.startswith("Could not find")
    assert "arn:aws:sagemaker:us-east-1:000000000000:" in message


def test_names_are_taken_once_and_lists_show_them(api: Hosting) -> None:
    api.model("one")
    assert "already existing" in refused(api.model, "one").message
    assert "already existing" in refused(api.config, "one", {"one": 1.0}).message
    api.create("one")
    assert (
        "already existing"
        in refused(api, "CreateEndpoint", EndpointName="e", EndpointConfigName="one").message
    )
    assert [model["ModelName"] for model in api("ListModels")["Models"]] == ["one"]
    assert api("ListEndpointConfigs")["EndpointConfigs"][0]["EndpointConfigName"] == "one"
    assert api("ListEndpoints", StatusEquals="InService")["Endpoints"][0]["EndpointName"] == "e"
    assert api("ListEndpoints", StatusEquals="Failed")["Endpoints"] == []


@pytest.mark.parametrize(
    "container",
    [
        {"Image": IMAGE, "Mode": "MultiModel", "ModelDataUrl": "s3://bucket/models/"},
        {"ModelPackageName": "nowhere/1"},
        {},
    ],
)
def test_containers_that_cannot_be_served_are_refused(
    api: Hosting, container: dict[str, Any]
) -> None:
    refused(api, "CreateModel", ModelName="m", PrimaryContainer=container)
    assert api("ListModels")["Models"] == []


def test_what_the_local_endpoint_does_not_do_is_refused_by_name(api: Hosting) -> None:
    api.model("one")
    error = refused(
        api,
        "CreateEndpointConfig",
        EndpointConfigName="captured",
        ProductionVariants=[{"VariantName": "v", "ModelName": "one"}],
        DataCaptureConfig={
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": "s3://bucket/capture",
            "CaptureOptions": [{"CaptureMode": "Input"}],
        },
    )
    assert "DataCaptureConfig" in error.message
