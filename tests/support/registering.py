"""A registry, an endpoint and executions in memory, for what follows from decisions on packages."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ci.errors import AwsError
from ci.execution.identity import ExecutionRecord, describe
from ci.project.names import OWN
from ci.sagemaker.model import (
    ApprovalStatus,
    Endpoint,
    ExecutionSnapshot,
    ExecutionStatus,
    ExecutionSummary,
    ModelPackage,
    StepSnapshot,
)

ACCOUNT = "arn:aws:sagemaker:eu-west-1:123456789012"
BORN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:"


@dataclass(slots=True, kw_only=True)
class Registry:
    """Packages by ARN, executions by ARN, and one endpoint. `role` is whom the service names for
    changes that the program makes."""

    held: dict[str, ModelPackage] = field(default_factory=dict)
    snapshots: dict[str, ExecutionSnapshot] = field(default_factory=dict)
    functions_of: dict[str, str] = field(default_factory=dict)
    serves: str | None = None
    statuses: list[str] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    role: str = "gitops/ci"
    minutes: int = 0
    before_call: Callable[[], None] = lambda: None
    during_call: Callable[[], None] = lambda: None

    @property
    def packages(self) -> Any:
        return self

    @property
    def executions(self) -> Any:
        return _Executions(self)

    @property
    def pipelines(self) -> Any:
        return self

    @property
    def functions(self) -> Any:
        return _Functions(self)

    def add(
        self,
        version: int,
        approval: ApprovalStatus = ApprovalStatus.APPROVED,
        *,
        pipeline: str = "alpha",
        environment: str = "main",
        pull_request: int | None = None,
        commit: str | None = None,
        stamped: bool = True,
        registers: bool = True,
    ) -> str:
        """A package and its execution, which `registers` it or another one."""
        arn = f"{ACCOUNT}:model-package/models/{version}"
        execution = f"{ACCOUNT}:pipeline/{pipeline}/execution/e{version}"
        record = ExecutionRecord(
            commit=commit or f"{version:040x}",
            environment=environment,
            digest="d" * 64,
            token="t" * 64,
            pull_request=pull_request,
        )
        made = {
            f"{OWN}commit": record.commit,
            f"{OWN}execution": execution,
            f"{OWN}environment": environment,
            f"{OWN}digest": record.digest,
        }
        if pull_request is not None:
            made[f"{OWN}pull-request"] = str(pull_request)
        self.held[arn] = ModelPackage(
            arn=arn,
            group="models",
            version=version,
            approval=approval,
            status="Completed",
            metadata=made if stamped else {},
            created=BORN + timedelta(hours=version),
        )
        job = arn if registers else f"{ACCOUNT}:model-package/models/999"
        step = StepSnapshot(name="R", status="Succeeded", kind="RegisterModel", job=job)
        self.snapshots[execution] = ExecutionSnapshot(
            arn=execution,
            pipeline_name=pipeline,
            status=ExecutionStatus.SUCCEEDED,
            raw_status="Succeeded",
            steps=(step,),
            description=describe(record),
            started=BORN + timedelta(hours=version, minutes=-5),
        )
        self.functions_of[execution] = f"{pipeline}-deploy"
        return arn

    def execution(self, arn: str) -> str:
        return next(e for e, held in self.snapshots.items() if held.steps[0].job == arn)

    def turn(self, arn: str, approval: ApprovalStatus, by: str = "studio/eve", **more: Any) -> None:
        """As someone else does it."""
        self._change(arn, by, approval=approval, **more)

    def describe(self, arn: str) -> ModelPackage:
        return self.held[arn]

    def in_group(
        self, group: str, *, approval: ApprovalStatus | None = None, before: Any = None
    ) -> Iterator[ModelPackage]:
        for package in sorted(self.held.values(), key=lambda each: -each.version):
            if package.group == group and approval in {None, package.approval}:
                yield replace(package, metadata={})

    def groups(self) -> Iterator[str]:
        return iter({package.group for package in self.held.values()})

    def update(
        self,
        arn: str,
        *,
        approval: ApprovalStatus | None = None,
        description: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        held = self.held[arn]
        self._change(
            arn,
            self.role,
            approval=approval or held.approval,
            approval_description=description or held.approval_description,
            metadata={**held.metadata, **(metadata or {})},
        )

    def endpoint(self, name: str) -> Endpoint:
        """In one of `statuses`, as long as there are any."""
        status = self.statuses.pop(0) if self.statuses else "InService"
        return Endpoint(name=name, arn=name, status=status, model_package=self.serves)

    def _change(self, arn: str, by: str, **changes: Any) -> None:
        self.minutes += 1
        now = BORN + timedelta(days=1, minutes=self.minutes)
        self.held[arn] = replace(self.held[arn], modified=now, modified_by=by, **changes)


@dataclass(frozen=True, slots=True)
class _Executions:
    registry: Registry

    def snapshot(self, arn: str) -> ExecutionSnapshot:
        if arn not in self.registry.snapshots:
            raise AwsError("gone", code="ResourceNotFound", operation="DescribePipelineExecution")
        return self.registry.snapshots[arn]

    def summaries(self, pipeline_name: str) -> Iterator[ExecutionSummary]:
        for each in reversed(self.registry.snapshots.values()):
            if each.pipeline_name == pipeline_name:
                yield ExecutionSummary(
                    arn=each.arn,
                    status=each.status,
                    raw_status=each.raw_status,
                    description=each.description,
                    started=each.started,
                )

    def definition(self, arn: str) -> bytes:
        self.registry.before_call()
        package = {"Get": "Steps.R.ModelPackageArn"}
        steps = [
            {"Name": "R", "Type": "RegisterModel", "Arguments": {}},
            {
                "Name": "D",
                "Type": "Lambda",
                "FunctionArn": FUNCTION + self.registry.functions_of[arn],
                "Arguments": {"package": package},
            },
        ]
        return json.dumps({"Version": "2020-12-01", "Steps": steps}).encode()

    def parameters(self, arn: str) -> dict[str, str]:
        return {}


@dataclass(frozen=True, slots=True)
class _Functions:
    registry: Registry

    def invoke(self, name: str, inputs: Mapping[str, str]) -> str:
        registry = self.registry
        registry.calls.append((name.removeprefix(FUNCTION), inputs["package"].rpartition("/")[2]))
        registry.serves = inputs["package"]
        registry.during_call()
        return "{}"
