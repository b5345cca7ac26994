"""Where a report meets the repository's host: comment, job summary, outputs.

What the forge refuses is said once and ends nothing: the run is about the model.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ci.errors import ForgeError
from ci.forge.comments import amend_comment, find_comments, post_comment
from ci.forge.model import CommentAction, CommentResult, Forge
from ci.forge.summary import write_summary
from ci.metrics.model import Outcome
from ci.project.model import CommentPolicy
from ci.report.document import report_to_json
from ci.report.markdown import render_comment
from ci.report.marker import Marker, marker_of
from ci.report.model import PlanSection, Report, supersede
from ci.text.redact import Redactor
from ci.trigger.model import Trigger

# GitHub's own subjects of merge commits and of squashed ones.
_MERGED = re.compile(r"\AMerge pull request #([1-9][0-9]{0,8}) from |\(#([1-9][0-9]{0,8})\)\Z")


@dataclass(slots=True, kw_only=True)
class Comments:
    """Keeps the pull request's comment at the latest report. `warn` is told each problem once;
    what the forge refuses is handed to `refuse`, where it is given. `place` is that of the project
    file, where it is not the root's."""

    forge: Forge
    pull_request: int
    redactor: Redactor
    warn: Callable[[str], None]
    policy: CommentPolicy = CommentPolicy.UPDATE
    refuse: Callable[[ForgeError], None] | None = None
    place: str | None = None
    _warned: set[str] = field(default_factory=set)
    _held: dict[tuple[str, str], str | None] = field(default_factory=dict)

    def post(self, report: Report) -> None:
        report = self._with_plan(report)
        render = partial(_render, report, self.redactor)
        result = post_comment(self.forge, self.pull_request, render, policy=self.policy)
        if result.action is CommentAction.KEPT_NEWER:
            result = self._amend(report, result)
            self._tell("the pull request's comment is about a newer commit, and was left as it is")
        if result.refused is not None and self.refuse is not None:
            self.refuse(result.refused)
        elif result.problem is not None:
            self._tell(result.problem)

    def _amend(self, report: Report, kept: CommentResult) -> CommentResult:
        """Where each commit has its own comment, this one's says that it was overtaken."""
        if kept.newer is None or self.policy is CommentPolicy.UPDATE:
            return kept
        render = partial(_render, supersede(report, kept.newer), self.redactor)
        return amend_comment(self.forge, self.pull_request, render, policy=self.policy)

    def _tell(self, problem: str) -> None:
        if problem not in self._warned:
            self._warned.add(problem)
            self.warn(problem)

    def _with_plan(self, report: Report) -> Report:
        """A report of an execution that was picked up has no plan of its own. The comment's stays
        named: a merge is held against it."""
        if report.plan is not None:
            return report
        subject = (report.pipeline, report.environment)
        if subject not in self._held:
            self._held[subject] = self._shown_plan(marker_of(report))
        digest = self._held[subject]
        if digest is None:
            return report
        headline = f"as it was shown before this run was picked up ({digest[:12]})"
        return replace(report, plan=PlanSection(headline=headline, digest=digest))

    def _shown_plan(self, marker: Marker) -> str | None:
        try:
            own = find_comments(self.forge, self.pull_request, marker)
        except ForgeError:
            return None
        plans = (found.plan for _, found in reversed(own) if found.commit == marker.commit)
        return next((plan for plan in plans if plan is not None), None)

    def commit_order(self) -> tuple[str, ...]:
        """The pull request's commits, oldest first; none where the forge does not tell."""
        try:
            return self.forge.commit_order(self.pull_request)
        except ForgeError:
            return ()


def comments_on(
    forge: Forge,
    trigger: Trigger,
    *,
    redactor: Redactor,
    warn: Callable[[str], None],
    place: str | None,
) -> Comments | None:
    """The comment of the pull request this run is for; None without a pull request. `place` is
    that of the project file, where it is not the root's."""
    number = find_number(forge, trigger, warn=warn)
    if number is None:
        return None
    return Comments(
        forge=forge,
        pull_request=number,
        redactor=redactor,
        warn=warn,
        place=place,
    )


def find_number(forge: Forge, trigger: Trigger, *, warn: Callable[[str], None]) -> int | None:
    """The pull request this run is for. A commit that was merged finds the one it came from: the
    forge knows, though not always in the first seconds after the merge; then the one that the
    commit's subject names, where that was merged as this very commit."""
    if trigger.pull_request is not None:
        return trigger.pull_request
    try:
        return forge.pull_request_of(trigger.commit) or _named(forge, trigger)
    except ForgeError as error:
        warn(str(error))
        return None


def _named(forge: Forge, trigger: Trigger) -> int | None:
    found = _MERGED.search(trigger.subject or "")
    if found is None:
        return None
    try:
        pull_request = forge.pull_request(int(found[1] or found[2]))
    except ForgeError:
        return None
    merged = pull_request.merged and pull_request.merge_commit == trigger.commit
    return pull_request.number if merged else None


def write_job_summary(
    reports: Sequence[Report], environ: Mapping[str, str], redactor: Redactor
) -> None:
    """The job's summary page, where this is a GitHub job."""
    summary = environ.get("GITHUB_STEP_SUMMARY")
    for report in reports if summary else ():
        write_summary(Path(str(summary)), partial(_render, report, redactor))


def job_outputs(reports: Sequence[Report], file: Path | None, redactor: Redactor) -> dict[str, str]:
    """The action's outputs (`ci.cli.workflow.OUTPUTS`). With several pipelines those of the
    first that did not end well, else of the first."""
    told = [report_to_json(report, redactor=redactor) for report in reports]
    first = next((each for each in told if not _succeeded(each)), told[0])
    execution, verdict = first.get("execution") or {}, first.get("verdict") or {}
    package = first.get("model_package") or {}
    plans = [report.plan for report in reports if report.plan is not None]
    values = {
        "execution-arn": execution.get("arn"),
        "status": execution.get("status"),
        "verdict": verdict.get("outcome"),
        "metrics": json.dumps({each["name"]: each for each in verdict.get("metrics") or ()}),
        "model-package-arn": package.get("arn"),
        "approval": package.get("approval"),
        "changes": str(any(plan.markdown for plan in plans)).lower() if plans else None,
        "report": None if file is None else str(file),
    }
    return {name: value for name, value in values.items() if value is not None}


def _succeeded(document: Mapping[str, Any]) -> bool:
    return (document.get("verdict") or {}).get("outcome") == Outcome.SUCCEEDED


def _render(report: Report, redactor: Redactor, limit: int) -> str:
    return render_comment(report, limit=limit, redactor=redactor)
