"""Reads how long which instances ran for an execution, and the file of prices."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from ci.cost.estimate import estimate_cost
from ci.cost.model import Estimate, Kind, Prices, Usage
from ci.cost.prices import parse_prices
from ci.errors import AwsError, ProjectError
from ci.project.document import parse_document
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.model import ExecutionSnapshot, StepSnapshot

_MOST_JOBS = 100
_LONGEST = 15.0
# Step types whose jobs run on instances that this program does not ask about one by one.
_UNREAD = frozenset(
    {"AutoML", "ClarifyCheck", "EMR", "EMRServerless", "Job", "QualityCheck", "Tuning"}
)
_KINDS = {kind.value.capitalize(): kind for kind in Kind}

Answer = Mapping[str, Any]


def read_prices(file: Path) -> Prices:
    """The prices of a file. ProjectError where it holds none."""
    try:
        return parse_prices(_document(file, file.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise ProjectError(
            f"the prices cannot be read: {error}",
            where=str(file),
            fix="Write them as docs/report.md shows, or remove `prices` from `report:`.",
        ) from error


def _document(file: Path, text: str) -> object:
    if file.suffix == ".json":
        return json.loads(text)
    document = parse_document(text)
    for problem in document.problems:
        raise ValueError(f"line {problem.mark.line}: {problem.what}")
    return document.data


def gather_cost(
    adapter: SageMaker,
    execution: ExecutionSnapshot,
    prices: Prices,
    region: str,
    *,
    clock: Callable[[], float],
) -> Estimate | None:
    """The estimate for an execution that has ended. Never raises AwsError: a job that cannot be
    read is named as not counted."""
    ends = clock() + _LONGEST
    usages: list[Usage] = []
    uncounted: list[str] = []
    ran = [step for step in execution.steps if step.job and not step.cache_hit]
    jobs = [step for step in ran if step.kind in _KINDS]
    for step in islice(jobs, _MOST_JOBS):
        if clock() >= ends:
            break
        try:
            usages += _usages(step, _describe(adapter, step))
        except (AwsError, KeyError, TypeError, ValueError):
            uncounted.append(f"{step.name}: its job could not be read")
            continue
    done = {usage.step for usage in usages} | {line.partition(": ")[0] for line in uncounted}
    left = sum(step.name not in done for step in jobs)
    if left:
        uncounted.append(f"{left} more jobs: there was no time to read them")
    uncounted += _beyond(ran)
    return estimate_cost(prices, region, usages, uncounted=uncounted)


def _beyond(steps: list[StepSnapshot]) -> Iterator[str]:
    for step in steps:
        if step.kind in _UNREAD:
            yield f"{step.name}: {step.kind} jobs are not counted"
        elif step.attempts > 1 and step.kind in _KINDS:
            yield f"{step.name}: the last of {step.attempts} attempts is counted alone"


def _describe(adapter: SageMaker, step: StepSnapshot) -> Answer:
    name = str(step.job).rpartition("/")[2]
    match _KINDS[str(step.kind)]:
        case Kind.PROCESSING:
            return adapter.jobs.processing(name)
        case Kind.TRAINING:
            return adapter.jobs.training(name)
        case Kind.TRANSFORM:
            return adapter.jobs.transform(name)


def _usages(step: StepSnapshot, job: Answer) -> Iterator[Usage]:
    """Training is billed for BillableTimeInSeconds on each instance (DescribeTrainingJob), the
    others from their start to their end."""
    kind = _KINDS[str(step.kind)]
    match kind:
        case Kind.TRAINING:
            resources = job["ResourceConfig"]
            running = _between(job.get("TrainingStartTime"), job.get("TrainingEndTime"))
            seconds = _told(job, "BillableTimeInSeconds", running)
            spot = job.get("EnableManagedSpotTraining")
            saved = _told(job, "TrainingTimeInSeconds", running) - seconds if spot else 0.0
        case Kind.PROCESSING:
            resources = job["ProcessingResources"]["ClusterConfig"]
            seconds, saved = _ran(job, "Processing"), 0.0
        case Kind.TRANSFORM:
            resources = job["TransformResources"]
            seconds, saved = _ran(job, "Transform"), 0.0
    for group in resources.get("InstanceGroups") or (resources,):
        instance = group.get("SelectedInstanceType") or group["InstanceType"]
        yield Usage(
            step=step.name,
            kind=kind,
            instance=str(instance),
            count=int(group.get("SelectedInstanceCount") or group["InstanceCount"]),
            seconds=seconds,
            saved=max(0.0, saved),
        )


def _told(job: Answer, name: str, otherwise: float) -> float:
    """Nothing billed is a figure too."""
    value = job.get(name)
    return otherwise if value is None else float(value)


def _ran(job: Answer, kind: str) -> float:
    return _between(job.get(f"{kind}StartTime"), job.get(f"{kind}EndTime"))


def _between(started: datetime | None, ended: datetime | None) -> float:
    """Seconds; none where a job never came to start."""
    return max(0.0, (ended - started).total_seconds()) if started and ended else 0.0
