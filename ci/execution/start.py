"""Starts an execution exactly once.

First the execution is looked for by its token: where it exists nothing is touched, so that a late
rerun never puts an old definition back. Then the pipeline is brought to what is wanted
(`ci.execution.upsert`), and the start carries the token.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ci.compile.bundle import Bundle
from ci.errors import AwsError
from ci.execution.identity import parse_description
from ci.execution.upsert import Deployed, Run, deploy
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.executions import Executions, StartRequest
from ci.sagemaker.model import ExecutionStatus, ExecutionSummary
from ci.sagemaker.pipelines import Pipelines


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """`created` False: it had been started before, and nothing was touched."""

    arn: str
    created: bool
    deployed: Deployed | None = None


def ensure_execution(
    aws: SageMaker,
    bundle: Bundle,
    run: Run,
    *,
    tell: Callable[[str], None] = lambda _line: None,
) -> Started:
    """Bring the bundle to the service and start its execution, or find it started before."""
    found = find_by_token(aws.executions, run.pipeline_name, run.token)
    if found is not None:
        tell(f"Execution {found.arn} was started before: attached to it{_way_out(found.status)}")
        return Started(arn=found.arn, created=False)
    deployed = deploy(aws, bundle, run, tell=tell)
    arn = start(aws.executions, run, version_id=deployed.version_id)
    tell(f"Started {arn}")
    _tag_execution(aws.pipelines, arn, run.tags)
    return Started(arn=arn, created=True, deployed=deployed)


def find_by_token(
    executions: Executions, pipeline_name: str, token: str
) -> ExecutionSummary | None:
    """The execution that was started with this token: the API does not give it back, the
    description does."""

    def wanted(summary: ExecutionSummary) -> bool:
        record = parse_description(summary.description)
        return record is not None and record.token == token

    return executions.find(pipeline_name, wanted)


def start(executions: Executions, run: Run, *, version_id: int | None) -> str:
    """Start the execution, or find the one that this token has started; its ARN."""
    request = StartRequest(
        pipeline_name=run.pipeline_name,
        token=run.token,
        display_name=run.display_name,
        description=run.description,
        parameters=run.parameters,
        version_id=version_id,
    )
    try:
        return executions.start(request)
    except AwsError as error:
        # The token is known with other words (another job's URL): it is the same execution.
        if error.code not in {"ConflictException", "ValidationException"}:
            raise
        found = find_by_token(executions, run.pipeline_name, run.token)
        if found is None:
            raise
        return found.arn


def _way_out(status: ExecutionStatus) -> str:
    """What to do with an execution that did not succeed, which another run only shows again."""
    if not status.terminal or status is ExecutionStatus.SUCCEEDED:
        return ""
    return (
        f". It ended as {status}: `--again` runs this commit anew,"
        " `--retry-failed` goes on from the failed step"
    )


def _tag_execution(pipelines: Pipelines, arn: str, tags: Mapping[str, str]) -> None:
    """AddTags is not documented for executions: where it is refused, the description serves."""
    try:
        pipelines.add_tags(arn, tags)
    except AwsError:
        return
