"""Decides the mark that a report puts beside its commit, and whether it may: a plan's status never
takes the place of one that an execution has left."""

import re

from ci.forge.model import CommitStatus, Statuses, StatusState
from ci.metrics.model import Outcome
from ci.report.model import Report, State
from ci.report.words import headline
from ci.text.clean import clean, cut
from ci.text.redact import Redactor
from ci.trigger.model import Trigger

# GitHub cuts nothing: a longer description is refused with 422.
DESCRIPTION = 140
_CONTEXT = 200
# What a plan's headline begins with (`ci.report.words.plan_title`), and no verdict's sentence.
_PLAN = ("Plan: ", "Plan for main: ")


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


def is_plan(report: Report) -> bool:
    """Whether the report says nothing of an execution."""
    return report.state is State.PLANNED and report.verdict is None


def post_status(forge: Statuses, commit: str, status: CommitStatus, *, planned: bool) -> bool:
    """Set the commit's status; False where it is a plan's, and an execution's stays. ForgeError
    where the forge refuses."""
    if planned:
        there = forge.status(commit, status.context)
        if there is not None and not _is_of_plan(there):
            return False
    forge.set_status(commit, status)
    return True


def _is_of_plan(status: CommitStatus) -> bool:
    return status.state is StatusState.SUCCESS and status.description.startswith(_PLAN)


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
        return StatusState.SUCCESS if is_plan(report) else StatusState.PENDING
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
