"""Decides which execution a model package comes from.

What the package says of it is held against that execution: whoever registers a package may write
anything into its metadata. One that says nothing (its job ended before it was stamped) is looked
for among the executions of the pipelines that register in its group.
"""

from dataclasses import dataclass, replace
from itertools import islice

from ci.approval.groups import is_own_group, pull_request_of
from ci.delivery.evidence import registered_package
from ci.errors import AwsError, UsageError
from ci.execution.find import record_of
from ci.execution.identity import ExecutionRecord
from ci.project.target import deployed_name, is_isolated
from ci.registry.packages import Provenance, read_provenance
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.model import ExecutionSummary, ModelPackage
from ci.sagemaker.retry import is_gone
from ci.session.session import Session

# Of each pipeline: executions that are listed, and those whose steps are read (two calls each).
_MOST_LISTED = 300
_MOST_READ = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The execution that registered a package last, and what it says of its commit."""

    execution: str
    record: ExecutionRecord

    @property
    def provenance(self) -> Provenance:
        record = self.record
        return Provenance(
            commit=record.commit,
            execution=self.execution,
            environment=record.environment,
            digest=record.digest,
            repository=record.repository,
            pull_request=record.pull_request,
            run_url=record.run_url,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """`reason` says why the package comes from no execution that could be shown."""

    reason: str


def read_origin(adapter: SageMaker, package: ModelPackage, execution: str) -> Origin | Unknown:
    """The execution, if it registered the package and nothing after it."""
    try:
        snapshot = adapter.executions.snapshot(execution)
    except AwsError as error:
        if error.code == "ValidationException" or is_gone(error):
            return Unknown(reason=f"its execution {execution} is gone")
        raise
    if package.arn != registered_package(snapshot):
        return Unknown(reason=f"its execution {execution} did not register it last")
    record = record_of(adapter.pipelines, snapshot)
    if record is None:
        return Unknown(
            reason=f"its execution {execution} is of no commit that sagemaker-gitops deployed"
        )
    return Origin(execution=execution, record=record)


def find_origin(session: Session, adapter: SageMaker, package: ModelPackage) -> Origin | Unknown:
    """As the package says, else as the executions do."""
    made = read_provenance(package)
    if made is not None:
        return read_origin(adapter, package, made.execution)
    if not is_own_group(session.project, package.group):
        return Unknown(
            reason="its metadata names no execution of sagemaker-gitops, and the project file does"
            f" not name its group {package.group}"
        )
    names = sorted(_pipeline_names(session, package.group))
    found = next(filter(None, (search_origin(adapter, package, name) for name in names)), None)
    return found or Unknown(
        reason="its metadata names no execution of sagemaker-gitops, and none of the newest ones"
        f" registered it: {', '.join(names) or 'no pipeline'}"
    )


def search_origin(adapter: SageMaker, package: ModelPackage, pipeline_name: str) -> Origin | None:
    """Among the executions of one pipeline that were started before the package was made, the
    nearest first."""
    listed = islice(adapter.executions.summaries(pipeline_name), _MOST_LISTED)
    fitting = (each for each in listed if _may_have_made(each, package))
    for summary in islice(fitting, _MOST_READ):
        origin = read_origin(adapter, package, summary.arn)
        if isinstance(origin, Origin):
            return origin
    return None


def _may_have_made(summary: ExecutionSummary, package: ModelPackage) -> bool:
    if summary.started is None or package.created is None:
        return True
    return summary.started <= package.created


def _pipeline_names(session: Session, group: str) -> set[str]:
    """As what the project's pipelines are deployed that may register in the group: where its name
    tells a pull request, that one's alone."""
    told = pull_request_of(session.project, group)
    number = session.trigger.pull_request if told is None else told
    trigger = replace(session.trigger, pull_request=number)
    names = set()
    for environment in session.project.environments.values():
        if told is not None and not is_isolated(environment):
            continue
        for pipeline in session.project.pipelines.values():
            try:
                names.add(deployed_name(pipeline, environment, trigger))
            except UsageError:
                continue
    return names


def of_pipeline(
    adapter: SageMaker, package: ModelPackage, *, like: str, environment: str
) -> Origin | None:
    """The package's origin, if that is an execution of the pipeline that the execution `like` is
    of, in the same environment: by what the package says, then by what the execution does."""
    pipeline = like.partition("/execution/")[0]
    made = read_provenance(package)
    if made is None:
        origin: Origin | Unknown | None = search_origin(
            adapter, package, pipeline.rpartition(":pipeline/")[2]
        )
    elif (made.execution.partition("/execution/")[0], made.environment) == (pipeline, environment):
        origin = read_origin(adapter, package, made.execution)
    else:
        return None
    if not isinstance(origin, Origin) or origin.record.environment != environment:
        return None
    return origin
