"""Decides whether to upsert, and starts an execution exactly once.

The order makes a kill anywhere harmless. First the execution is looked for by its token: where
it exists nothing is touched, so that a late rerun never puts an old definition back. Uploads go
to content-addressed keys, an upsert is skipped where the service holds what is wanted, and the
start carries the token. Tags come last and are repaired by the next run.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ci.compile.bundle import Bundle
from ci.errors import AwsError
from ci.execution.identity import parse_description
from ci.execution.ownership import claim, owner_tags
from ci.project.names import OWN
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.executions import Executions, StartRequest
from ci.sagemaker.model import DeployedPipeline, ExecutionStatus, ExecutionSummary
from ci.sagemaker.pipelines import PipelineRequest, Pipelines

_VERSIONS_SEARCHED = 20
_EXISTS = ("already exist", "must be unique")


class UpsertKind(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upsert:
    """`reason` says in words what differs. `tags` are those to add or overwrite."""

    kind: UpsertKind
    reason: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is wanted: the pipeline as it is to be, and the execution to start of it.

    `role`, `parallelism`, `tags` are the pipeline's. `token`, `display_name`, `description`
    come from `ci.execution.identity`, `parameters` are text.
    """

    pipeline_name: str
    role: str
    tags: Mapping[str, str]
    token: str
    display_name: str
    description: str
    parameters: Mapping[str, str]
    parallelism: int | None = None
    pipeline_description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A pipeline that holds what was wanted, and the version that does (None: no versions)."""

    arn: str
    version_id: int | None
    upsert: Upsert


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """`created` False: it had been started before, and nothing was touched."""

    arn: str
    created: bool
    deployed: Deployed | None = None


def ownership_tags(
    *, project: str, pipeline: str, environment: str, commit: str, digest: str
) -> dict[str, str]:
    """The tags that say whose pipeline this is and which commit it holds."""
    return {
        f"{OWN}project": project,
        f"{OWN}pipeline": pipeline,
        f"{OWN}environment": environment,
        f"{OWN}commit": commit,
        f"{OWN}digest": digest,
    }


def plan_upsert(bundle: Bundle, deployed: DeployedPipeline | None, run: Run) -> Upsert:
    """What has to be done so that the service holds `bundle`. Pure.

    The definition itself is compared, not only the digest in the tag: someone may have changed
    the pipeline by hand, and a kill may have come between the update and its tags.
    """
    if deployed is None:
        return Upsert(kind=UpsertKind.CREATE, reason="there is no such pipeline", tags=run.tags)
    tags = {key: value for key, value in run.tags.items() if deployed.tags.get(key) != value}
    differences = []
    if not same_definition(bundle.definition, deployed.definition):
        differences.append("the definition")
    if run.role != deployed.role:
        differences.append("the role")
    if run.parallelism is not None and run.parallelism != deployed.parallelism:
        differences.append("the parallelism")
    if differences:
        reason = " and ".join(differences) + " changed"
        return Upsert(kind=UpsertKind.UPDATE, reason=reason, tags=tags)
    return Upsert(kind=UpsertKind.UNCHANGED, reason="the service holds the same", tags=tags)


def same_definition(one: bytes, other: bytes) -> bool:
    """Equal as JSON: the service may answer other white space than it was given."""
    if one == other:
        return True
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


def apply_upsert(aws: SageMaker, bundle: Bundle, upsert: Upsert, run: Run) -> Deployed:
    """Perform it. A pipeline that another job made in between is updated instead."""
    request = _request(bundle, run)
    match upsert.kind:
        case UpsertKind.CREATE:
            try:
                aws.pipelines.create(request)
            except AwsError as error:
                if not any(text in error.what for text in _EXISTS):
                    raise
            # Read back: with a token or a race, what stands there may not be what was sent.
            return _settle(aws, bundle, run, UpsertKind.CREATE)
        case UpsertKind.UPDATE:
            version = aws.pipelines.update(request)
            return _settle(aws, bundle, run, UpsertKind.UPDATE, version, upsert.reason)
        case UpsertKind.UNCHANGED:
            return _settle(aws, bundle, run, UpsertKind.UNCHANGED)


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


def _way_out(status: ExecutionStatus) -> str:
    """What to do with an execution that did not succeed, which another run only shows again."""
    if not status.terminal or status is ExecutionStatus.SUCCEEDED:
        return ""
    return (
        f". It ended as {status}: `--again` runs this commit anew,"
        " `--retry-failed` goes on from the failed step"
    )


def deploy(
    aws: SageMaker,
    bundle: Bundle,
    run: Run,
    *,
    tell: Callable[[str], None] = lambda _line: None,
) -> Deployed:
    """Artifacts, functions, then the pipeline: what a definition names is there before it."""
    owners = [claim(aws.functions, each, owner_tags(run.tags)) for each in bundle.functions]
    uploaded = aws.artifacts.upload(bundle)
    if bundle.artifacts:
        tell(f"Artifacts: {uploaded.written} uploaded, {uploaded.present} were there")
    for function, owner in zip(bundle.functions, owners, strict=True):
        code = bundle.code_of(function).path.read_bytes()
        tell(f"Function {function.name}: {aws.functions.put(function, code, owner=owner)}")
    upsert = plan_upsert(bundle, aws.pipelines.find(run.pipeline_name), run)
    tell(f"Pipeline {run.pipeline_name}: {upsert.kind} ({upsert.reason})")
    return apply_upsert(aws, bundle, upsert, run)


def _request(bundle: Bundle, run: Run) -> PipelineRequest:
    return PipelineRequest(
        name=run.pipeline_name,
        definition=bundle.definition,
        role=run.role,
        # The name is unique, so the token need not be the same in another process; a token of
        # the content would answer for a pipeline that was deleted since.
        token=uuid.uuid4().hex,
        bucket=bundle.bucket,
        prefix=bundle.prefix,
        description=run.pipeline_description,
        parallelism=run.parallelism,
        tags=run.tags,
    )


def _settle(
    aws: SageMaker,
    bundle: Bundle,
    run: Run,
    done: UpsertKind,
    version: int | None = None,
    reason: str = "there is no such pipeline",
) -> Deployed:
    """Find the version that holds the definition, repair tags, label the version."""
    deployed = aws.pipelines.find(run.pipeline_name)
    if deployed is None:
        raise AwsError(
            "The pipeline was deleted by someone else while it was being deployed",
            code="ResourceNotFound",
            operation="DescribePipeline",
            where=run.pipeline_name,
            fix="Run again.",
        )
    upsert = plan_upsert(bundle, deployed, run)
    if version is None:
        version = _version_holding(aws.pipelines, bundle, deployed)
        if version is None and upsert.kind is UpsertKind.UPDATE:
            # Someone else's definition stands there and ours is in no version yet.
            version = aws.pipelines.update(_request(bundle, run))
            done, reason = UpsertKind.UPDATE, upsert.reason
    if same_definition(bundle.definition, deployed.definition):
        # Else another job's definition stands there by now, and its tags with it.
        aws.pipelines.add_tags(deployed.arn, upsert.tags)
    if version is not None and done is not UpsertKind.UNCHANGED:
        _label(aws.pipelines, deployed.arn, version, run)
    told = Upsert(
        kind=done,
        reason=upsert.reason if done is UpsertKind.UNCHANGED else reason,
        tags=upsert.tags,
    )
    return Deployed(arn=deployed.arn, version_id=version, upsert=told)


def _version_holding(
    pipelines: Pipelines, bundle: Bundle, deployed: DeployedPipeline
) -> int | None:
    """The newest version whose definition is the bundle's: two jobs may upsert at once."""
    for version in pipelines.versions(deployed.name, limit=_VERSIONS_SEARCHED):
        held = pipelines.definition_of(deployed.name, version.number)
        if same_definition(held, bundle.definition):
            return version.number
    return None


def _label(pipelines: Pipelines, arn: str, version: int, run: Run) -> None:
    """A label helps people, nothing depends on it."""
    try:
        pipelines.label_version(arn, version, name=run.display_name, description=run.description)
    except AwsError:
        return


def _tag_execution(pipelines: Pipelines, arn: str, tags: Mapping[str, str]) -> None:
    """AddTags is not documented for executions: where it is refused, the description serves."""
    try:
        pipelines.add_tags(arn, tags)
    except AwsError:
        return
