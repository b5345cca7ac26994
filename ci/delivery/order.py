"""Decides whether a commit comes too late: whether what is deployed comes from a later one.

Two pushes in a row are two jobs, and nothing says that they reach SageMaker in the order of their
commits. The job that was overtaken would put an older definition back, and its model after the
newer one. It is skipped; whoever wants an older commit says so (`--again`, or by hand).
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from ci.delivery.planning import Planned
from ci.errors import TriggerError
from ci.execution.start import find_by_token
from ci.project.names import OWN
from ci.sagemaker.adapter import SageMaker
from ci.session.job import Job
from ci.session.session import Session
from ci.trigger.model import Door, Event, Trigger


class Standing(StrEnum):
    """Where the commit of a job stands to the one that is deployed."""

    CURRENT = "current"
    OVERTAKEN = "overtaken"
    UNKNOWN = "unknown"


def standing(trigger: Trigger, deployed: str | None, *, is_later: bool | None) -> Standing:
    """`deployed` is the commit that the pipeline's tag names, None for none. `is_later` says
    whether it descends from the trigger's; None where the history cannot tell. Pure.

    Only pushes on a machine of CI come in an order of their own: the rest is somebody's wish.
    """
    if trigger.event is not Event.PUSH or trigger.door is Door.LAPTOP:
        return Standing.CURRENT
    if deployed is None or deployed == trigger.commit or is_later is False:
        return Standing.CURRENT
    return Standing.OVERTAKEN if is_later else Standing.UNKNOWN


def drop_overtaken(
    session: Session,
    adapter: SageMaker,
    jobs: Sequence[Job],
    planned: Mapping[str, Planned],
    *,
    tell: Callable[[str], None],
) -> tuple[Job, ...]:
    """The jobs that are not overtaken, or whose execution was started before they were."""
    return tuple(
        job for job in jobs if not _is_overtaken(session, adapter, job, planned[job.name], tell)
    )


def _is_overtaken(
    session: Session,
    adapter: SageMaker,
    job: Job,
    planned: Planned,
    tell: Callable[[str], None],
) -> bool:
    trigger = session.trigger
    deployed = None if planned.before is None else planned.before.tags.get(f"{OWN}commit")
    found = standing(trigger, deployed, is_later=None)
    if found is Standing.UNKNOWN and deployed is not None:
        found = standing(trigger, deployed, is_later=_is_later(session, deployed))
    name, ours, other = job.run.pipeline_name, trigger.commit[:12], str(deployed)[:12]
    match found:
        case Standing.CURRENT:
            return False
        case Standing.UNKNOWN:
            tell(
                f"{name} was deployed from {other}. Whether that is later than {ours} this checkout"
                " does not tell (with `fetch-depth: 0` it would); going on"
            )
            return False
        case Standing.OVERTAKEN:
            if find_by_token(adapter.executions, name, job.run.token) is not None:
                return False
            tell(
                f"{name}: skipped. {ours} was overtaken: what is deployed comes from {other}, which"
                " holds this commit and more. To run it all the same: --again"
            )
            return True


def _is_later(session: Session, deployed: str) -> bool | None:
    from ci.trigger.history import descends

    try:
        return descends(session.project.root, deployed, session.trigger.commit)
    except TriggerError:
        return None
