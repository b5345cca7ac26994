"""A step engine of a test's own: a store, a loopback S3, real processes."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ci.local.engine.engine import Engine
from ci.local.store import Document, Store
from support.loopback_s3 import LoopbackS3

PYTHON = Path(sys.executable).parent.parent
ROLE = "arn:aws:iam::000000000000:role/local"


def processing(name: str, script: str, *needs: str, **arguments: Any) -> Document:
    """A Processing step that runs Python text. Keys that steps have beside Arguments are taken
    out of `arguments`."""
    beside = {k: arguments.pop(k) for k in ("CacheConfig", "PropertyFiles") if k in arguments}
    return {
        "Name": name,
        "Type": "Processing",
        "DependsOn": list(needs),
        "Arguments": {
            "ProcessingResources": {
                "ClusterConfig": {
                    "InstanceType": "ml.t3.medium",
                    "InstanceCount": 1,
                    "VolumeSizeInGB": 1,
                }
            },
            "AppSpecification": {
                "ImageUri": "image",
                "ContainerEntrypoint": ["python3", "-c", _one_line(script)],
            },
            "RoleArn": ROLE,
            **arguments,
        },
        **beside,
    }


def source(name: str, uri: object, local: str) -> Document:
    return {
        "InputName": name,
        "S3Input": {"S3Uri": uri, "LocalPath": local, "S3DataType": "S3Prefix"},
    }


def target(name: str, uri: object, local: str) -> Document:
    return {
        "OutputName": name,
        "S3Output": {"S3Uri": uri, "LocalPath": local, "S3UploadMode": "EndOfJob"},
    }


def _one_line(script: str) -> str:
    """The API's pattern for an entry point takes no line break."""
    return f"exec({script!r})" if "\n" in script else script


class Lab:
    """`calls` are what the engine asked of the API; `answer` is replied to it."""

    def __init__(self, home: Path, s3: LoopbackS3, **options: Any) -> None:
        self.home = home
        self.s3 = s3
        self.store = Store(home / "state.db")
        self.calls: list[tuple[str, Document]] = []
        self.answers: dict[str, Callable[[Document], Document]] = {}
        self.options: dict[str, Any] = {"images": (("image", PYTHON),), "grace": 1.0, **options}
        self.engine = self.make_engine()
        self._number = 0

    def make_engine(self) -> Engine:
        return Engine(
            store=self.store,
            clock=time.time,
            call=self._call,
            home=self.home,
            region="us-east-1",
            address=self.s3.address,
            **self.options,
        )

    def _call(self, operation: str, request: Document) -> Document:
        self.calls.append((operation, request))
        return self.answers[operation](request)

    def record(self, steps: list[Document], *, parallel: int | None = None, **more: Any) -> str:
        self._number += 1
        pipeline = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/demo"
        arn = f"{pipeline}/execution/exec{self._number:08d}"
        definition = {
            "Version": "2020-12-01",
            "Parameters": more.pop("declared", []),
            "Steps": steps,
        }
        body = {
            "PipelineArn": pipeline,
            "PipelineName": "demo",
            "PipelineExecutionArn": arn,
            "PipelineExecutionStatus": "Executing",
            "CreationTime": time.time(),
            "Parameters": {},
            "Definition": json.dumps(definition),
            **more,
        }
        if parallel is not None:
            body["ParallelismConfiguration"] = {"MaxParallelExecutionSteps": parallel}
        self.store.put("execution", arn, body, parent="demo")
        return arn

    def run(self, steps: list[Document], **more: Any) -> "Ended":
        arn = self.record(steps, **more)
        self.engine.submit(arn)
        return self.finish(arn)

    def finish(self, arn: str, seconds: float = 30) -> "Ended":
        assert self.engine.wait(arn, seconds), "the execution did not end"
        return Ended(self.store, arn)

    def step(self, arn: str, name: str) -> Document:
        return self.store.get("step", f"{arn}#{name}") or {}

    def until(self, what: Callable[[], object], seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end, "it did not come to pass"
            time.sleep(0.01)


class Ended:
    """An execution as its records tell it."""

    def __init__(self, store: Store, arn: str) -> None:
        self.arn = arn
        self.body = store.get("execution", arn) or {}
        self.status = self.body["PipelineExecutionStatus"]
        self.steps = {s["StepName"]: s for s in store.all("step", parent=arn)}
        self.store = store

    def statuses(self) -> dict[str, str]:
        return {name: body["StepStatus"] for name, body in self.steps.items()}

    def reasons(self) -> dict[str, str]:
        return {n: str(b["FailureReason"]) for n, b in self.steps.items() if "FailureReason" in b}

    def reason(self, name: str) -> str:
        return str(self.steps[name].get("FailureReason"))
