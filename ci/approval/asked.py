"""Decides which model package an order in a pull request's comment means, and whether its author
can have seen its report."""

from ci.approval.reported import Reported, choose_reported, from_reports, shown_reports
from ci.delivery.chat import Order, Refused, unseen
from ci.forge.model import Forge, PullRequest
from ci.posting.place import find_place
from ci.report.marker import Marker
from ci.report.model import State
from ci.sagemaker.model import ApprovalStatus
from ci.session.session import Session
from ci.trigger.model import Remark, Trigger


def find_asked(
    session: Session, order: Order, approval: ApprovalStatus, *, pull: PullRequest, forge: Forge
) -> Reported:
    """The package that this pull request's comments report, of the commit that is its head or, once
    it was merged, of the commit that came of it. ApprovalError where none is meant, or several."""
    place = find_place(session.project.file, session.environ).project
    meant = [
        each
        for each in shown_reports(forge, pull.number, place)
        if order.pipeline in {None, each.marker.pipeline}
        and order.environment in {None, each.marker.environment}
        and _is_of(each.marker, pull, forge)
    ]
    return choose_reported(
        list(from_reports(session, meant)),
        expected=ApprovalStatus.PENDING,
        approval=approval,
        how=lambda each: (
            f"/sagemaker {order.verb} --pipeline {each.pipeline} --environment {each.environment}"
            f"{' REASON' if order.reason else ''}"
        ),
    )


def refuse_unseen(chosen: Reported, remark: Remark) -> None:
    """Refused where the comment's author cannot have seen the report that names the package."""
    shown = chosen.shown
    running = shown is not None and shown.marker.state in {State.PLANNED, State.RUNNING}
    changed = None if shown is None else shown.changed
    reason = unseen(remark, changed=changed, final=not running)
    if reason is not None:
        raise Refused(
            f"not done: of {chosen.pipeline} in {chosen.environment}, {reason}",
            where=chosen.package.arn,
        )


def was_run(forge: Forge, trigger: Trigger, place: str | None) -> bool:
    """Whether a comment on the trigger's pull request reports an execution of its commit. `place`
    is the project file's, as `shown_reports` takes it."""
    markers = (each.marker for each in shown_reports(forge, trigger.pull_request or 0, place))
    return any(m.commit == trigger.commit and m.execution is not None for m in markers)


def _is_of(marker: Marker, pull: PullRequest, forge: Forge) -> bool:
    if marker.commit == pull.head:
        return True
    return pull.merged and forge.pull_request_of(marker.commit) == pull.number
