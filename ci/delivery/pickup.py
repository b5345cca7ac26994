"""Picks up executions that were started before: by ARN, by commit, by pull request.

Nothing local is needed: the execution, or the version that it ran, tells its commit, parameters
and definition.
"""

from dataclasses import replace

from ci.compile.bundle import Bundle
from ci.definition.canonical import canonical_bytes
from ci.definition.parse import parse_definition
from ci.errors import UsageError
from ci.execution.find import find_executions, record_of
from ci.execution.identity import ExecutionRecord, Identity, name_checks
from ci.project.model import Pipeline, Target
from ci.project.target import in_region
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.arn import pipeline_of, region_of
from ci.session.job import Job
from ci.session.session import Session
from ci.trigger.model import Event, Trigger


def find_arn(session: Session, adapter: SageMaker, target: Target, commit: str | None) -> str:
    """The newest execution of a target for a commit (default: the trigger's), or for the pull
    request where the trigger has one. UsageError where there is none."""
    number = session.trigger.pull_request
    wanted = commit if commit or number is not None else session.trigger.commit
    found = find_executions(
        adapter,
        target.pipeline_name,
        commit=wanted,
        pull_request=None if commit else number,
        environment=session.environment,
    )
    newest = next(iter(found), None)
    if newest is None:
        of = f"commit {wanted[:12]}" if wanted else f"pull request {number}"
        raise UsageError(
            f"there is no execution of {of}",
            where=target.pipeline_name,
            fix="sagemaker-gitops deploy",
        )
    return newest[0].arn


def pick_up(session: Session, adapter: SageMaker, arn: str) -> tuple[Session, Job]:
    """The job that an execution is of, and the session as it was for that job.

    UsageError for an execution that none of the project's pipelines explains.
    """
    snapshot = adapter.executions.snapshot(arn)
    record = record_of(adapter.pipelines, snapshot)
    if record is None:
        raise UsageError(
            "this execution is of no commit that sagemaker-gitops deployed",
            where=arn,
            why="neither its description nor the label of its pipeline's version names one",
        )
    here = session.trigger
    session = _as_recorded(session, record, region_of(arn))
    target = _explain(session, pipeline_of(arn), arn)
    body = adapter.executions.definition(arn)
    definition = parse_definition(body, where=arn)
    parameters = adapter.executions.parameters(arn)
    job = Job(
        target=target,
        trigger=session.trigger,
        bundle=Bundle(
            definition=canonical_bytes(definition.raw),
            digest=record.digest,
            bucket=target.bucket,
            prefix=target.prefix,
        ),
        definition=definition,
        identity=Identity(
            pipeline_name=target.pipeline_name,
            environment=session.environment,
            commit=record.commit,
            digest=record.digest,
            parameters=parameters,
        ),
        judged_by=judged_by(here, record, target.pipeline),
    )
    return session, job


def judged_by(here: Trigger, record: ExecutionRecord, pipeline: Pipeline) -> str | None:
    """Whose metrics and gates those of `pipeline` are, which was read `here`; None where the
    execution was started with the same."""
    checkout = f"commit {here.commit[:12]}" + (" and changes to it" if here.dirty else "")
    if record.checks is not None:
        if record.checks == name_checks(pipeline.metrics, pipeline.gates):
            return None
        return (
            "The execution was started with other metrics or gates than those of the project file"
            f" that is checked out ({checkout}), which judge it here."
        )
    same = here.commit == record.commit and not here.dirty
    if same or not (pipeline.metrics or pipeline.gates):
        return None
    return (
        f"Metrics and gates are those of the project file that is checked out ({checkout});"
        " the execution does not tell which it was started with."
    )


def _as_recorded(session: Session, record: ExecutionRecord, region: str | None) -> Session:
    trigger = replace(
        session.trigger,
        event=Event.MANUAL if record.pull_request is None else Event.PULL_REQUEST,
        commit=record.commit,
        branch=record.branch,
        pull_request=record.pull_request,
        repository=record.repository or session.trigger.repository,
        run_url=record.run_url,
        dirty=False,
    )
    environments = session.project.environments
    name = record.environment if record.environment in environments else session.environment
    # It may have been started with `--region`, or before the project file named another.
    project = in_region(session.project, region)
    return replace(session, project=project, trigger=trigger, environment=name)


def _explain(session: Session, pipeline_name: str, arn: str) -> Target:
    for name in session.project.pipelines:
        target = session.target(name)
        if target.pipeline_name == pipeline_name:
            return target
    raise UsageError(
        f"no pipeline of this project deploys as {pipeline_name}",
        where=arn,
        fix="Run it in the repository that the execution is of.",
    )
