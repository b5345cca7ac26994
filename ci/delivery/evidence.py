"""Reads back what an execution left behind: package, champion, metrics, endpoint."""

from collections.abc import Callable
from dataclasses import dataclass

from ci.definition.model import Definition
from ci.delivery.documents import MetricReader
from ci.errors import AwsError
from ci.metrics.facts import MISSING, EndpointFact, Facts
from ci.metrics.gates import evaluate_gates
from ci.project.model import Pipeline
from ci.registry.packages import champion, named_champion
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.model import ApprovalStatus, ExecutionSnapshot, ModelPackage
from ci.sagemaker.retry import is_gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Time, for what changes by itself: an endpoint, an execution that stops. `left()` is in
    seconds, None for no bound; `interval` is between two looks."""

    sleep: Callable[[float], None]
    left: Callable[[], float | None]
    interval: float = 5.0


def gather_facts(
    adapter: SageMaker,
    pipeline: Pipeline,
    definition: Definition,
    execution: ExecutionSnapshot,
    *,
    waiting: Waiting,
) -> Facts:
    """Everything a verdict rests on. Reads only what a terminal execution can have."""
    if not execution.status.terminal:
        return Facts(execution=execution)
    registered = registered_package(execution)
    package = fetch_package(adapter, execution)
    held, unknown = _champion(adapter, pipeline, execution, package)
    reader = MetricReader(
        adapter=adapter,
        definition=definition,
        execution=execution,
        package=package,
        champion=held,
        no_champion=unknown,
    )
    metrics = reader.read(pipeline.metrics)
    return Facts(
        execution=execution,
        metrics=metrics,
        gates=evaluate_gates(pipeline.gates, metrics, held),
        expected_group=expected_group(adapter, pipeline, definition, execution),
        package=package,
        champion=held,
        endpoint=fetch_endpoint(adapter, pipeline, package, waiting=waiting),
        deleted=registered if package is None else None,
    )


def registered_package(execution: ExecutionSnapshot) -> str | None:
    """The ARN of the model package that the execution registered; of several, the last."""
    registered = [s.job for s in execution.steps if s.kind == "RegisterModel" and s.job]
    return registered[-1] if registered else None


def fetch_package(adapter: SageMaker, execution: ExecutionSnapshot) -> ModelPackage | None:
    """The model package that the execution registered; None as well where it is gone."""
    registered = registered_package(execution)
    return None if registered is None else adapter.packages.find(registered)


def _champion(
    adapter: SageMaker,
    pipeline: Pipeline,
    execution: ExecutionSnapshot,
    package: ModelPackage | None,
) -> tuple[ModelPackage | None, str | None]:
    """The champion; or none, and why, where one is named that is not there."""
    if pipeline.champion is not None:
        try:
            return named_champion(
                adapter.packages, pipeline.champion, execution=execution.arn
            ), None
        except AwsError as error:
            if not is_gone(error):
                raise
            return None, f"the champion {pipeline.champion} of the project file is not there"
    group = pipeline.model_package_group
    if group is None:
        return None, None
    challenger = package.arn if package else None
    started = execution.started
    return champion(adapter.packages, group, challenger=challenger, before=started), None


def expected_group(
    adapter: SageMaker, pipeline: Pipeline, definition: Definition, execution: ExecutionSnapshot
) -> str | None:
    """The group the definition registers in, None where it registers nothing."""
    steps = [step for step in definition.walk() if step.type == "RegisterModel"]
    if not steps:
        return None
    group = steps[-1].arguments.get("ModelPackageGroupName")
    if isinstance(group, dict) and str(group.get("Get", "")).startswith("Parameters."):
        name = str(group["Get"]).removeprefix("Parameters.")
        group = adapter.executions.parameters(execution.arn).get(name)
    return group if isinstance(group, str) else pipeline.model_package_group


def fetch_endpoint(
    adapter: SageMaker, pipeline: Pipeline, package: ModelPackage | None, *, waiting: Waiting
) -> EndpointFact | None:
    """The endpoint that is to serve an approved package, once it has settled or time is up."""
    if pipeline.endpoint is None or package is None:
        return None
    if package.approval is not ApprovalStatus.APPROVED:
        return None
    return settled_endpoint(adapter, pipeline.endpoint, waiting=waiting)


def settled_endpoint(adapter: SageMaker, name: str, *, waiting: Waiting) -> EndpointFact:
    """An endpoint once it has settled or time is up."""
    while True:
        found = adapter.packages.endpoint(name)
        if found is None:
            return EndpointFact(name=name, status=MISSING)
        fact = EndpointFact(
            name=found.name,
            status=found.status,
            package=found.model_package,
            failure_reason=found.failure_reason,
        )
        left = waiting.left()
        if not fact.moving or (left is not None and left <= 0):
            return fact
        waiting.sleep(waiting.interval if left is None else min(waiting.interval, left))
