"""Decides the check run that a report puts beside its commit, and what becomes of the one there.

One for each pipeline, environment and commit, found again by its name and reference. GitHub lets
nobody open a completed check run again, nor take an annotation away: where the conclusion changes,
or a remark no longer holds, a new one takes the old one's place, and GitHub shows the newest of
a name. An unchanged one is not written.

A plan says nothing of an execution: where one has left its check run, also one that still runs or
that could not be started, none of a plan comes beside it. A failed check that a branch protection
rule asks for would be replaced by the success of having compared.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ci.errors import GitOpsError
from ci.forge.marks import Annotation, Check, CheckRun, CheckRuns, Conclusion
from ci.forge.model import UncertainWrite
from ci.forge.status import is_plan, mark_name, run_url
from ci.metrics.model import Outcome
from ci.report.escape import fence
from ci.report.markdown import render_comment
from ci.report.marker import Marker, parse_marker, render_marker
from ci.report.model import Report, State
from ci.report.words import headline
from ci.text.clean import clean, cut
from ci.text.redact import Redactor
from ci.trigger.model import Trigger

# "Maximum length: 65535 characters", which GitHub may count as bytes. A unit takes three at most.
_SUMMARY_BYTES = 65_535
_LIMITS = (60_000, 32_000, 21_000)
_TITLE = 200
_NAMED = 80
_TOLD = 15_000


def check_of(
    report: Report,
    *,
    require_approval: bool = False,
    redactor: Redactor | None = None,
    annotations: Iterable[Annotation] = (),
) -> Check:
    """The check run that says what the report says. Annotations only once it is completed: they
    cannot be taken back."""
    redactor = redactor or Redactor()
    shown = redactor.value(report)
    conclusion = _conclusion(shown, require_approval=require_approval)
    return Check(
        name=mark_name(shown.project, shown.pipeline, shown.environment),
        commit=report.trigger.commit,
        reference=_reference(report.project, report.pipeline, report.environment),
        conclusion=conclusion,
        title=cut(clean(headline(shown)), _TITLE),
        summary=_summary(shown),
        url=run_url(shown.trigger),
        started=shown.execution.started if shown.execution else None,
        annotations=tuple(redactor.value(each) for each in annotations) if conclusion else (),
        planned=is_plan(report),
    )


def refused_check(
    error: GitOpsError,
    trigger: Trigger,
    *,
    project: str | None,
    pipeline: str,
    environment: str,
    redactor: Redactor,
    annotations: Iterable[Annotation] = (),
    planned: bool = False,
) -> Check:
    """The check run of what ended before anything was started; `planned` where nothing was to be
    started."""
    told = fence(cut(redactor.text(str(error)), _TOLD))
    marker = _plan_marker(project, pipeline, environment, trigger.commit) if planned else ""
    return Check(
        name=mark_name(project, pipeline, environment),
        commit=trigger.commit,
        reference=_reference(project, pipeline, environment),
        conclusion=Conclusion.FAILURE,
        title=cut(f"Not started: {clean(redactor.text(error.what))}", _TITLE),
        summary=f"{marker}Nothing was started.\n\n{told}",
        url=run_url(trigger),
        annotations=tuple(redactor.value(each) for each in annotations),
        planned=planned,
    )


def _plan_marker(project: str | None, pipeline: str, environment: str, commit: str) -> str:
    marker = Marker(
        pipeline=cut(clean(pipeline), _NAMED),
        environment=cut(clean(environment), _NAMED),
        commit=commit,
        execution=None,
        digest=None,
        state=State.PLANNED,
        project=None if project is None else cut(clean(project), _NAMED),
    )
    return f"{render_marker(marker)}\n\n"


def _reference(project: str | None, pipeline: str, environment: str) -> str:
    """What tells the project's check runs from all others; the same for every run."""
    subject = "\0".join((project or "", pipeline, environment))
    return f"sagemaker-gitops:{hashlib.sha256(subject.encode('utf-8', 'replace')).hexdigest()[:32]}"


def post_check(forge: CheckRuns, check: Check) -> bool:
    """Bring the commit's check run to `check`; False where it is a plan's, and an execution's
    stays. ForgeError where the forge refuses."""
    runs = forge.check_runs(check)
    if check.planned and not all(_is_of_plan(run) for run in runs):
        return False
    _bring(forge, check, runs)
    return True


def _is_of_plan(run: CheckRun) -> bool:
    """What cannot be read is taken for an execution's."""
    marker = parse_marker(run.summary or "")
    return marker is not None and marker.state is State.PLANNED and marker.execution is None


def _bring(forge: CheckRuns, check: Check, runs: Sequence[CheckRun]) -> None:
    if not runs:
        _create(forge, check, runs)
        return
    run = runs[-1]
    _close(forge, check, runs[:-1])
    there = forge.annotations(run) if run.annotated and check.conclusion else ()
    stale = set(there) - set(check.annotations)
    if run.completed and (run.conclusion != check.conclusion or stale):
        _create(forge, check, runs)
        return
    missing = tuple(each for each in check.annotations if each not in there)
    if missing or not _says(run, check):
        forge.update_check_run(run, replace(check, annotations=missing))


def _create(forge: CheckRuns, check: Check, before: Sequence[CheckRun]) -> None:
    try:
        forge.create_check_run(check)
    except UncertainWrite:
        if len(forge.check_runs(check)) == len(before):
            forge.create_check_run(check)
    if not check.planned:
        _close(forge, check, forge.check_runs(check)[:-1])


def _close(forge: CheckRuns, check: Check, others: Sequence[CheckRun]) -> None:
    """Two runs may create one at the same moment: the newest counts, and no other stays open.
    A plan's is complete from the start."""
    told = "A newer check run of this name says what came of it"
    for run in others:
        if not run.completed:
            ended = replace(
                check, conclusion=Conclusion.NEUTRAL, title=told, summary=told, annotations=()
            )
            forge.update_check_run(run, ended)


def _says(run: CheckRun, check: Check) -> bool:
    ended = (run.completed, run.conclusion) == (check.conclusion is not None, check.conclusion)
    texts = (_plain(run.title), _plain(run.summary)) == (_plain(check.title), _plain(check.summary))
    return ended and texts and (check.url is None or run.url == check.url)


def _plain(text: str | None) -> str:
    return (text or "").replace("\r\n", "\n").strip()


def _summary(report: Report) -> str:
    """The comment's text; its marker stays, since nobody looks for it here."""
    for limit in _LIMITS:
        text = render_comment(report, limit=limit)
        if len(text.encode()) <= _SUMMARY_BYTES:
            break
    return text


def _conclusion(report: Report, *, require_approval: bool) -> Conclusion | None:
    """A plan alone is a success. A model that nobody is asked to approve is one as well, and a
    rejected one neither."""
    if report.state is State.SUPERSEDED:
        return Conclusion.CANCELLED
    if report.verdict is None:
        return Conclusion.SUCCESS if is_plan(report) else None
    waits = Conclusion.ACTION_REQUIRED if require_approval else Conclusion.SUCCESS
    refused = Conclusion.FAILURE if require_approval else Conclusion.NEUTRAL
    conclusions = {
        Outcome.RUNNING: None,
        Outcome.SUCCEEDED: Conclusion.SUCCESS,
        Outcome.APPROVAL_PENDING: waits,
        Outcome.REJECTED: refused,
        Outcome.GATE_FAILED: Conclusion.FAILURE,
        Outcome.FAILED: Conclusion.FAILURE,
        Outcome.NOT_REGISTERED: Conclusion.FAILURE,
        Outcome.UNVERIFIED: Conclusion.FAILURE,
        Outcome.STOPPED: Conclusion.CANCELLED,
    }
    return conclusions[report.verdict.outcome]
