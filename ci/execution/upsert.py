"""Decides whether to upsert a pipeline, and leaves the version that holds what is wanted.

The order makes a kill anywhere harmless. Uploads go to content-addressed keys, an upsert is
skipped where the service holds what is wanted, and tags and the version's label come last: what
is missing of them is written by the next run.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ci.compile.bundle import Bundle
from ci.definition.canonical import canonical_bytes
from ci.errors import AwsError
from ci.execution.ownership import claim, owner_tags
from ci.project.names import OWN
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.model import DeployedPipeline, PipelineVersion
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A pipeline that holds what was wanted, and the version that does (None: no versions)."""

    arn: str
    version_id: int | None
    upsert: Upsert


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
    """Equal as JSON, where 1, 1.0 and true are three things: the service may answer other white
    space than it was given."""
    if one == other:
        return True
    try:
        return canonical_bytes(json.loads(one)) == canonical_bytes(json.loads(other))
    except (ValueError, RecursionError):
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
    labelled = False
    if version is None:
        held = _version_holding(aws.pipelines, bundle, deployed)
        if held is not None:
            version, labelled = held.number, bool(held.description)
        elif upsert.kind is UpsertKind.UPDATE:
            # Someone else's definition stands there and ours is in no version yet.
            version = aws.pipelines.update(_request(bundle, run))
            done, reason = UpsertKind.UPDATE, upsert.reason
    if same_definition(bundle.definition, deployed.definition):
        # Else another job's definition stands there by now, and its tags with it.
        aws.pipelines.add_tags(deployed.arn, upsert.tags)
    if version is not None and not labelled:
        _label(aws.pipelines, deployed.arn, version, run)
    told = Upsert(
        kind=done,
        reason=upsert.reason if done is UpsertKind.UNCHANGED else reason,
        tags=upsert.tags,
    )
    return Deployed(arn=deployed.arn, version_id=version, upsert=told)


def _version_holding(
    pipelines: Pipelines, bundle: Bundle, deployed: DeployedPipeline
) -> PipelineVersion | None:
    """The newest version whose definition is the bundle's: two jobs may upsert at once."""
    for version in pipelines.versions(deployed.name, limit=_VERSIONS_SEARCHED):
        held = pipelines.definition_of(deployed.name, version.number)
        if same_definition(held, bundle.definition):
            return version
    return None


def _label(pipelines: Pipelines, arn: str, version: int, run: Run) -> None:
    """By it `promote` and people tell of which commit a version is; where it is refused, the
    executions of the version tell."""
    try:
        pipelines.label_version(arn, version, name=run.display_name, description=run.description)
    except AwsError:
        return
