"""Decides the mark that a report puts beside its commit."""

import re

from ci.errors import ForgeError
from ci.forge.model import CommitStatus, Statuses, StatusState
from ci.metrics.model import Outcome
from ci.report.model import Report, State
from ci.report.words import headline
from ci.text.clean import clean, cut
from ci.text.redact import Redactor

# GitHub cuts nothing: a longer description is refused with 422.
_DESCRIPTION = 140
_CONTEXT = 200


def status_of(
    report: Report, *, require_approval: bool = False, redactor: Redactor | None = None
) -> CommitStatus:
    """A plan alone is a success; a superseded run is an error: it tells nothing of its commit."""
    shown = (redactor or Redactor()).value(report)
    name = f"sagemaker-gitops/{clean(shown.pipeline)}/{clean(shown.environment)}"
    url = shown.trigger.run_url or ""
    return CommitStatus(
        context=cut(name, _CONTEXT),
        state=_state(shown, require_approval=require_approval),
        description=cut(clean(headline(shown)), _DESCRIPTION),
        url=url if re.fullmatch(r"https?://[!-~]+", url) else None,
    )


def post_status(forge: Statuses, commit: str, status: CommitStatus) -> str | None:
    """Set it; what the forge refuses comes back as text and ends nothing."""
    try:
        forge.set_status(commit, status)
    except ForgeError as error:
        return str(error)
    return None


def _state(report: Report, *, require_approval: bool) -> StatusState:
    if report.state is State.SUPERSEDED:
        return StatusState.ERROR
    if report.verdict is None:
        planned = report.state is State.PLANNED
        return StatusState.SUCCESS if planned else StatusState.PENDING
    waits = StatusState.PENDING if require_approval else StatusState.SUCCESS
    refused = StatusState.FAILURE if require_approval else StatusState.SUCCESS
    states = {
        Outcome.SUCCEEDED: StatusState.SUCCESS,
        Outcome.RUNNING: StatusState.PENDING,
        Outcome.APPROVAL_PENDING: waits,
        Outcome.REJECTED: refused,
        Outcome.GATE_FAILED: StatusState.FAILURE,
        Outcome.FAILED: StatusState.FAILURE,
        Outcome.NOT_REGISTERED: StatusState.FAILURE,
        Outcome.UNVERIFIED: StatusState.FAILURE,
        Outcome.STOPPED: StatusState.ERROR,
    }
    return states[report.verdict.outcome]
