"""Finds the model package that a command means without naming its ARN: the one that is reported of
a pull request or a commit, or the one of a pipeline."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ci.approval.origin import Origin, read_origin, search_origin
from ci.approval.reported import (
    Reported,
    choose_reported,
    from_executions,
    from_reports,
    shown_reports,
)
from ci.approval.waiting import read_waiting
from ci.errors import ForgeError, UsageError
from ci.execution.find import find_executions
from ci.forge.model import Forge
from ci.posting.place import find_place
from ci.registry.packages import read_provenance
from ci.sagemaker.model import ApprovalStatus
from ci.session.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a command says of the package. `environment` is where it asks for one by name;
    `expected` and `approval` are the status before and after the decision."""

    expected: ApprovalStatus
    approval: ApprovalStatus
    pipeline: str | None = None
    commit: str | None = None
    environment: str | None = None


def find_named(
    session: Session,
    wanted: Wanted,
    *,
    forge: Callable[[], Forge | None],
    warn: Callable[[str], None],
) -> Reported:
    """ApprovalError where there is none, or more than one could be meant; UsageError where nothing
    says which."""
    if session.trigger.pull_request is not None or wanted.commit is not None:
        reported = _shown(session, wanted, forge=forge, warn=warn) or from_executions(
            session, commit=wanted.commit
        )
        found = [each for each in reported if wanted.pipeline in {None, each.pipeline}]
    elif wanted.pipeline is not None:
        found = list(_of_pipeline(session, wanted.pipeline))
    else:
        raise UsageError(
            "no model package is named",
            fix="approve ARN | PIPELINE | --pull-request NUMBER | --commit COMMIT; status lists"
            " what waits",
        )
    return choose_reported(
        found,
        expected=wanted.expected,
        approval=wanted.approval,
        commit=wanted.commit,
        how=lambda each: _how(session, each),
    )


def _of_pipeline(session: Session, pipeline: str) -> Iterator[Reported]:
    """What HEAD's execution registered; where HEAD has none, what waits in the environment."""
    target, head = session.target(pipeline), session.trigger.commit
    adapter = session.adapter(target.region)
    found = find_executions(
        adapter, target.pipeline_name, commit=head, environment=session.environment
    )
    if next(iter(found), None) is not None:
        yield from from_executions(session, commit=head, pipelines=[pipeline])
        return
    for package in read_waiting(session, pipeline):
        made = read_provenance(package)
        origin = (
            search_origin(adapter, package, target.pipeline_name)
            if made is None
            else read_origin(adapter, package, made.execution)
        )
        if isinstance(origin, Origin) and origin.record.environment == session.environment:
            yield Reported(
                pipeline=pipeline,
                environment=session.environment,
                commit=origin.record.commit,
                execution=origin.execution,
                package=package,
            )


def _how(session: Session, each: Reported) -> str:
    if not session.project.report.mask_accounts:
        return each.package.arn
    named = f"{each.pipeline} --environment {each.environment}"
    of_one = session.trigger.pull_request is not None
    return named if of_one else f"{named} --commit {each.commit[:12]}"


def _shown(
    session: Session,
    wanted: Wanted,
    *,
    forge: Callable[[], Forge | None],
    warn: Callable[[str], None],
) -> list[Reported]:
    """What the pull request's comments name; nothing where the forge cannot be asked."""
    number = session.trigger.pull_request
    place = find_place(session.project.file, session.environ).project
    try:
        opened = None if number is None else forge()
        shown = () if opened is None or number is None else shown_reports(opened, number, place)
    except ForgeError as error:
        warn(f"warning: {error}")
        return []
    named = wanted.environment
    meant = (each for each in shown if named in {None, "", each.marker.environment})
    return list(from_reports(session, meant))
