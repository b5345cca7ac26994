"""All operations behind the real dispatcher, in this process, over an engine that runs no steps."""

import json
from itertools import count
from pathlib import Path
from typing import Any

from ci.local.context import Context
from ci.local.dispatch import Dispatcher
from ci.local.service import sagemaker
from ci.local.store import Store

ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"
FAIL_STEP = {"Name": "stop", "Type": "Fail", "Arguments": {"ErrorMessage": "as told"}}


def definition(*, parameters: list[dict[str, Any]] | None = None, **changes: Any) -> str:
    """A definition of one Fail step; `changes` replace its top-level members."""
    document = {
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": parameters or [],
        "Steps": [FAIL_STEP],
    }
    return json.dumps(document | changes)


class HandEngine:
    """Keeps the records an engine keeps; `finish` says how an execution ends."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.submitted: list[str] = []

    def submit(self, execution_arn: str) -> None:
        self.submitted.append(execution_arn)

    def stop(self, execution_arn: str) -> None:
        self.finish(execution_arn, "Stopped")

    def retry(self, execution_arn: str) -> None:
        self.finish(execution_arn, "Executing")

    def finish(self, execution_arn: str, status: str) -> None:
        record = self._store.get("execution", execution_arn)
        assert record is not None
        self._store.update(
            "execution",
            execution_arn,
            PipelineExecutionStatus=status,
            LastModifiedTime=record["LastModifiedTime"] + 0.125,
        )


class LocalApi:
    """`api("DescribePipeline", PipelineName="p")`, checked as over HTTP. Tokens fill in themselves,
    as boto3's do."""

    def __init__(self, home: Path) -> None:
        from ci.local.api import all_operations

        self.time = 1_800_000_000.0
        self.store = Store(home / "state.db")
        self.engine = HandEngine(self.store)
        self.dispatcher = Dispatcher(sagemaker(), all_operations())
        self._tokens = count()
        self.context = Context(
            store=self.store,
            clock=self._tick,
            call=self.dispatcher.call,
            engine=self.engine,
            address="http://127.0.0.1:9",
            home=home,
            region="us-east-1",
        )
        self.dispatcher.bind(self.context)

    def _tick(self) -> float:
        self.time += 1
        return self.time

    def __call__(self, operation: str, **request: Any) -> dict[str, Any]:
        model = sagemaker()
        shape_name = model.input(operation)
        members = model.shape(shape_name)["members"] if shape_name else {}
        if "ClientRequestToken" in members:
            request.setdefault("ClientRequestToken", f"token-{next(self._tokens):040}")
        return self.dispatcher.call(operation, request)

    def create(self, name: str = "p", **request: Any) -> str:
        made = self(
            "CreatePipeline",
            **{"PipelineName": name, "RoleArn": ROLE, "PipelineDefinition": definition()} | request,
        )
        return str(made["PipelineArn"])

    def start(self, name: str = "p", **request: Any) -> str:
        made = self("StartPipelineExecution", PipelineName=name, **request)
        return str(made["PipelineExecutionArn"])
