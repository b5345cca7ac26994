"""Decides the mark that a report puts beside its commit."""

import re

from ci.forge.model import CommitStatus, StatusState
from ci.metrics.model import Outcome
from ci.report.model import Report, State
from ci.report.words import headline
from ci.text.clean import clean, cut
from ci.text.redact import Redactor
from ci.trigger.model import Trigger

# GitHub cuts nothing: a longer description is refused with 422.
DESCRIPTION = 140
_CONTEXT = 200


def status_of(
    report: Report, *, require_approval: bool = False, redactor: Redactor | None = None
) -> CommitStatus:
    """A plan alone is a success; a superseded run is an error: it tells nothing of its commit."""
    shown = (redactor or Redactor()).value(report)
    return CommitStatus(
        context=mark_name(shown.project, shown.pipeline, shown.environment),
        state=_state(shown, require_approval=require_approval),
        description=cut(clean(headline(shown)), DESCRIPTION),
        url=run_url(shown.trigger),
    )


def mark_name(project: str | None, pipeline: str, environment: str) -> str:
    """`sagemaker-gitops/<pipeline>/<environment>`, with the project's place before the pipeline
    where it has one: what a branch protection rule names, whichever kind of mark it is."""
    place = ("sagemaker-gitops", project, pipeline, environment)
    return cut("/".join(clean(part) for part in place if part), _CONTEXT)


def run_url(trigger: Trigger) -> str | None:
    """Where the run is shown; None for what is no address."""
    url = trigger.run_url or ""
    return url if re.fullmatch(r"https?://[!-~]+", url) else None


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
