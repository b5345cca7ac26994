"""What stands of one pipeline in one environment: deployed, run, approved, waiting, served.

Read in calls that do not grow with a pipeline's past: four for the pipeline, its tags and versions
(one page), one page of executions, one call for each that is shown and has ended and another for
the steps of one that failed, two for the champion, one page of packages that wait and one call for
each, three for the endpoint. What the role at hand may not see is told, and the rest goes on.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import TypeVar

from ci.approval.waiting import read_waiting
from ci.errors import AwsError
from ci.execution.identity import ExecutionRecord, parse_description
from ci.metrics.steps import failed_steps
from ci.project.model import Target
from ci.project.names import OWN
from ci.registry.packages import champion, named_champion
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.model import (
    DeployedPipeline,
    Endpoint,
    ExecutionStatus,
    ExecutionSummary,
    ModelPackage,
    PipelineVersion,
    StepSnapshot,
)
from ci.sagemaker.retry import is_gone
from ci.sagemaker.translate import DENIED
from ci.session.session import Session

_FAILED = {ExecutionStatus.FAILED, ExecutionStatus.COMPLETED_WITH_FAILURES}
_PAGE = 100  # versions: an alias on an older one is not found
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """An execution; `ended` is None while it runs, or where it could not be asked. `failed` is the
    step that failed first."""

    summary: ExecutionSummary
    record: ExecutionRecord | None
    ended: datetime | None = None
    failed: StepSnapshot | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """`deployed` None: there is no such pipeline. `versions` are the newest, with whatever aliases
    they hold. `unread` tells what the role may not see, `reach` are the options that bring another
    command here."""

    target: Target
    deployed: DeployedPipeline | None
    versions: tuple[PipelineVersion, ...] = ()
    executions: tuple[Ran, ...] = ()
    champion: ModelPackage | None = None
    waiting: tuple[ModelPackage, ...] = ()
    endpoint: Endpoint | None = None
    unread: tuple[str, ...] = ()
    reach: tuple[str, ...] = ()

    @property
    def commit(self) -> str | None:
        return None if self.deployed is None else self.deployed.tags.get(f"{OWN}commit")

    @property
    def aliases(self) -> dict[str, PipelineVersion]:
        return {alias: version for version in self.versions for alias in version.aliases}


@dataclass(slots=True, kw_only=True)
class _Reader:
    session: Session
    adapter: SageMaker
    target: Target
    unread: list[str] = field(default_factory=list)

    def part(self, what: str, read: Callable[[], T], nothing: T) -> T:
        try:
            return read()
        except AwsError as error:
            if error.code not in DENIED:
                raise
            self.unread.append(f"{what}: {error.operation} is not allowed")
            return nothing

    def executions(self, count: int) -> tuple[Ran, ...]:
        listed = self.adapter.executions.summaries(self.target.pipeline_name)
        return tuple(self._ran(each) for each in islice(listed, count))

    def _ran(self, summary: ExecutionSummary) -> Ran:
        ran = Ran(summary=summary, record=parse_description(summary.description))
        if not summary.status.terminal:
            return ran
        executions = self.adapter.executions
        look = executions.snapshot if summary.status in _FAILED else executions.execution
        found = self.part("how it ended", lambda: look(summary.arn), None)
        if found is None:
            return ran
        return replace(ran, ended=found.modified, failed=next(iter(failed_steps(found)), None))

    def champion(self) -> ModelPackage | None:
        """Production's, in every environment."""
        pipeline, packages = self.target.pipeline, self.adapter.packages
        if pipeline.champion is not None:
            partition, place = self.target.role.split(":")[1], self.target
            account = f"arn:{partition}:sagemaker:{place.region}:{place.account}"
            try:
                return named_champion(packages, pipeline.champion, execution=f"{account}:pipeline/")
            except AwsError as error:
                if not is_gone(error):
                    raise
                return None
        group = pipeline.model_package_group
        return None if group is None else champion(packages, group, challenger=None, before=None)


def read_standing(session: Session, pipeline: str, *, executions: int) -> Standing:
    """Raises AwsError where the pipeline itself cannot be asked for."""
    target = session.target(pipeline)
    adapter = session.adapter(target.region)
    reader = _Reader(session=session, adapter=adapter, target=target)
    name, endpoint = target.pipeline_name, target.pipeline.endpoint
    deployed = adapter.pipelines.find(name)
    return Standing(
        target=target,
        deployed=deployed,
        versions=() if deployed is None else adapter.pipelines.versions(name, limit=_PAGE),
        executions=reader.part("executions", lambda: reader.executions(executions), ()),
        champion=reader.part("champion", reader.champion, None),
        waiting=reader.part("waiting", lambda: read_waiting(session, pipeline), ()),
        endpoint=None
        if endpoint is None
        else reader.part("endpoint", lambda: adapter.packages.endpoint(endpoint), None),
        unread=tuple(dict.fromkeys(reader.unread)),
        reach=session.reach,
    )
