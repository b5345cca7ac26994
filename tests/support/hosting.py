"""The API with hosting in this process, and a loopback S3."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ci.local.api import hosting, registry
from ci.local.api.invoke import Invocation, invoke
from ci.local.context import ApiError
from support.archives import model_archive
from support.local_api import Api
from support.loopback_s3 import LoopbackS3

IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/model:1"
ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"

ECHO = """
import json, os
def model_fn(model_dir):
    return {"name": open(os.path.join(model_dir, "name")).read(), "pid": os.getpid()}
def input_fn(body, content_type):
    if content_type == "text/plain":
        raise KeyError("şöyle")
    return json.loads(body)
def predict_fn(data, model):
    if data == "die":
        os._exit(3)
    if data == "sleep":
        import time; time.sleep(2)
    return {"said": data, **model}
def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""


class Hosting(Api):
    """The API with hosting, a loopback S3, and shorthands for the steps to an endpoint."""

    def __init__(
        self, home: Path, s3: LoopbackS3, images: tuple[tuple[str, Path], ...] = ()
    ) -> None:
        operations = {**registry.OPERATIONS, **hosting.OPERATIONS}
        super().__init__(home, address=s3.address, operations=operations, images=images)
        self.s3 = s3

    def model(self, name: str, files: dict[str, str | bytes] | None = None) -> str:
        self.s3.objects[f"bucket/{name}/model.tar.gz"] = model_archive(
            files if files is not None else {"code/inference.py": ECHO, "name": name}
        )
        container = {"Image": IMAGE, "ModelDataUrl": f"s3://bucket/{name}/model.tar.gz"}
        self("CreateModel", ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
        self.config(name, {name: 1.0})
        return name

    def config(self, name: str, weights: dict[str, float], **more: Any) -> None:
        self(
            "CreateEndpointConfig",
            EndpointConfigName=name,
            ProductionVariants=[
                {
                    "VariantName": f"v-{model}",
                    "ModelName": model,
                    "InitialInstanceCount": 1,
                    "InstanceType": "ml.m5.large",
                    "InitialVariantWeight": weight,
                    **more,
                }
                for model, weight in weights.items()
            ],
        )

    def settle(self, endpoint: str = "e") -> dict[str, Any]:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            body = self("DescribeEndpoint", EndpointName=endpoint)
            if body["EndpointStatus"] not in hosting.IN_WORK:
                return body
            time.sleep(0.05)
        raise AssertionError(body)

    def create(self, config: str, endpoint: str = "e") -> dict[str, Any]:
        self("CreateEndpoint", EndpointName=endpoint, EndpointConfigName=config)
        return self.settle(endpoint)

    def ask(
        self, data: object, headers: dict[str, str] | None = None, **more: Any
    ) -> tuple[int, dict[str, Any]]:
        asked = Invocation(endpoint="e", headers=headers or {}, body=json.dumps(data).encode())
        status, _, body = invoke(self.context, asked, **more)
        return status, json.loads(body)


def refused(call: Callable[..., Any], *arguments: Any, **request: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        call(*arguments, **request)
    assert caught.value.code == "ValidationException"
    return caught.value


def folders(home: Path) -> list[str]:
    """The deployments whose files are kept, as `endpoint/number`."""
    return [f"{path.parent.name}/{path.name}" for path in (home / "endpoints").glob("*/*")]
