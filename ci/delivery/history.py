"""Reads what earlier models of main were measured at.

The registry holds it: each package that a run registers is stamped with its metrics, so that one
listing and one description of each are enough. A package that something else registered is read by
its own ModelMetrics document. Packages that say that they come from another environment, or from
another pipeline that registers into the same group, are left out; rejected ones are not. Nothing
here is needed for a verdict: what cannot be read is left out, and time is bounded.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from ci.errors import AwsError, UsageError
from ci.metrics.facts import Facts
from ci.metrics.model import MetricSource, Origin
from ci.metrics.read import read_metrics
from ci.metrics.trend import Measured, Trend, make_trends
from ci.project.model import Pipeline
from ci.project.names import OWN
from ci.registry.measures import read_measures, stamp_measures
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.model import ModelPackage
from ci.session.session import MAIN

_LONGEST = 10.0
# Of a group that pull requests register into as well, so many packages are looked at for each one.
_LOOKED_AT = 3
_FORBIDDEN = 403


@dataclass(slots=True, kw_only=True)
class History:
    """Reads the metrics of earlier packages of a group. `pipeline` is the deployed name on main of
    the one they are of, `clock` is in seconds."""

    adapter: SageMaker
    sources: tuple[MetricSource, ...]
    clock: Callable[[], float]
    pipeline: str | None = None
    _documents: bool = True
    _ends: float = field(init=False)

    def __post_init__(self) -> None:
        self._ends = self.clock() + _LONGEST

    def trends(
        self, group: str, count: int, *, but: str | None, before: datetime | None
    ) -> tuple[Trend, ...]:
        """The last `count` models of the group from before `before`, the package `but` left out;
        as many of them as could be read. Never raises AwsError."""
        found: list[Measured] = []
        try:
            for package in self._packages(group, count * _LOOKED_AT, before):
                if package.arn != but:
                    found += self._measured(package)
                if len(found) >= count:
                    break
        except AwsError:
            pass
        return make_trends(self.sources, found)

    def _packages(self, group: str, most: int, before: datetime | None) -> Iterator[ModelPackage]:
        listed = self.adapter.packages.in_group(group, before=before)
        for _, package in zip(range(most), listed, strict=False):
            if self.clock() >= self._ends:
                return
            yield package

    def _measured(self, listed: ModelPackage) -> Iterable[Measured]:
        try:
            package = self.adapter.packages.describe(listed.arn)
        except AwsError:
            return
        if not self._is_ours(package):
            return
        values = read_measures(package.metadata, (source.name for source in self.sources))
        missing = [source for source in self.sources if source.name not in values]
        values |= self._from_document(package, missing)
        if values:
            commit = package.metadata.get(f"{OWN}commit")
            yield Measured(version=package.version, values=values, commit=commit)

    def _is_ours(self, package: ModelPackage) -> bool:
        """ARNs hold a pipeline's name in small letters."""
        if package.metadata.get(f"{OWN}environment", MAIN) != MAIN:
            return False
        _, _, place = package.metadata.get(f"{OWN}execution", "").partition(":pipeline/")
        name = place.partition("/")[0].lower()
        return not name or self.pipeline is None or name == self.pipeline.lower()

    def _from_document(
        self, package: ModelPackage, sources: Iterable[MetricSource]
    ) -> dict[str, float]:
        """By the package's own document. After the first that may not be read no other is tried."""
        held = tuple(each for each in sources if each.origin is not Origin.TRAINING_JOB)
        if not self._documents or not held or package.metrics_uri is None:
            return {}
        try:
            body = self.adapter.artifacts.read(package.metrics_uri)
        except UsageError:
            return {}
        except AwsError as error:
            self._documents = error.status != _FORBIDDEN
            return {}
        plain = (replace(source, champion_path=None) for source in held)
        read = read_metrics(body, plain, where=package.metrics_uri)
        return {each.source.name: each.value for each in read if each.value is not None}


def gather_trends(
    adapter: SageMaker,
    pipeline: Pipeline,
    facts: Facts,
    *,
    count: int,
    main: str | None,
    clock: Callable[[], float],
) -> tuple[Trend, ...]:
    """The trend that this execution goes on from; none where nothing is measured or registered.
    `main` is the name of the pipeline as main has it, where that is known."""
    group = pipeline.model_package_group
    if not count or group is None or not pipeline.metrics:
        return ()
    history = History(adapter=adapter, sources=pipeline.metrics, clock=clock, pipeline=main)
    but = facts.package.arn if facts.package else None
    return history.trends(group, count, but=but, before=facts.execution.started)


def remember_metrics(adapter: SageMaker, facts: Facts) -> None:
    """Stamp the package that was registered with what was measured of it. A role that may not
    write to it changes no verdict."""
    if facts.package is None:
        return
    values = {m.source.name: m.value for m in facts.metrics if m.value is not None}
    try:
        stamp_measures(adapter.packages, facts.package, values)
    except AwsError:
        return
