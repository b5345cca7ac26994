"""The words and signs that every rendering shares: headline, states, directions, notes."""

import re
from collections.abc import Iterable
from datetime import datetime

from ci.execution.words import FROM_CACHE, condition_note, format_duration, status_icon
from ci.metrics.facts import EndpointFact
from ci.metrics.model import (
    GateOutcome,
    GateResult,
    Goal,
    MetricValue,
    Outcome,
)
from ci.metrics.steps import failure_text
from ci.metrics.words import describe_change, format_number
from ci.report.driver import is_drivers_reason
from ci.report.model import ParameterValue, Report, State
from ci.sagemaker.model import ApprovalStatus, ModelPackage, StepSnapshot

_OUTCOME_ICONS = {
    Outcome.RUNNING: "⏳",
    Outcome.SUCCEEDED: "✅",
    Outcome.APPROVAL_PENDING: "🟡",
    Outcome.REJECTED: "⛔",
    Outcome.NOT_REGISTERED: "❌",
    Outcome.GATE_FAILED: "❌",
    Outcome.FAILED: "❌",
    Outcome.STOPPED: "⏹️",
    Outcome.UNVERIFIED: "⚠️",
}
_GATE_ICONS = {
    GateOutcome.PASSED: "✅",
    GateOutcome.NO_CHAMPION: "✅",
    GateOutcome.FAILED: "❌",
    GateOutcome.UNKNOWN: "❔",
}
_APPROVALS = {
    ApprovalStatus.APPROVED: "approved",
    ApprovalStatus.REJECTED: "rejected",
    ApprovalStatus.PENDING: "awaiting approval",
}
MINUS = "\u2212"
_PLAIN = re.compile(r"-?\d{1,15}(?:\.(\d+))?")
_MOST_PLACES = 4


def icon(report: Report) -> str:
    if report.state is State.SUPERSEDED:
        return "⏭️"
    if report.verdict is not None:
        return _OUTCOME_ICONS[report.verdict.outcome]
    return "📋" if report.state is State.PLANNED else "⏳"


def headline(report: Report) -> str:
    """The verdict in words, as plain text on one line."""
    sentence = report.verdict.sentence if report.verdict else None
    match report.state:
        case State.PLANNED:
            return sentence or (plan_title(report) if report.plan else "Plan: no changes told")
        case State.RUNNING:
            return sentence or "Running"
        case State.SUPERSEDED:
            newer = f"commit {report.superseded_by[:12]}" if report.superseded_by else "a newer run"
            return f"Superseded by {newer}" + (f"; {_lower(sentence)}" if sentence else "")
        case State.FINAL:
            return sentence or "Ended"


def plan_title(report: Report) -> str:
    """The plan in one line. A pull request's is about what merging it changes, and not about the
    execution that the rest of its report tells of."""
    subject = "Plan for main" if report.environment == "pull_request" else "Plan"
    return f"{subject}: {report.plan.headline if report.plan else 'none'}"


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def production_name(report: Report) -> str:
    return f"Production v{report.champion.version}" if report.champion else "Production"


def approvers(report: Report) -> str:
    return report.approvers or "someone who may call sagemaker:UpdateModelPackage"


def knows_main(parameters: Iterable[ParameterValue]) -> bool:
    """Whether a column with main's values tells anything: on main itself it does not."""
    return any(parameter.main is not None for parameter in parameters)


def on_main(parameter: ParameterValue) -> str:
    """What is said of a parameter's value on main beside the value itself."""
    return "—" if parameter.main is None else "same"


def approval(status: ApprovalStatus) -> str:
    return _APPROVALS[status]


def serving(endpoint: EndpointFact, package: ModelPackage) -> str:
    """Whether the endpoint serves the package, as both were read."""
    return "serves it" if endpoint.serves(package.arn) else "does not serve it"


def step_icon(step: StepSnapshot) -> str:
    return status_icon(step.status)


def gate_icon(result: GateResult) -> str:
    if result.outcome is GateOutcome.FAILED and not result.gate.required:
        return "⚠️"
    return _GATE_ICONS[result.outcome]


def gate_text(result: GateResult) -> str:
    return result.reason if result.gate.required else f"advisory: {result.reason}"


def direction(goal: Goal) -> str:
    return "lower is better" if goal is Goal.MINIMIZE else "higher is better"


def arrow(goal: Goal) -> str:
    return "↓" if goal is Goal.MINIMIZE else "↑"


def number(value: float | None, other: float | None = None, unit: str | None = None) -> str:
    """The number and its unit, or a dash; precise enough to differ from `other`, and with as many
    decimals: the two stand side by side."""
    if value is None:
        return "—"
    text = format_number(value, apart_from=other)
    if other is not None:
        text, _ = same_places([text, format_number(other, apart_from=value)])
    return text + (f" {unit}" if unit else "")


def same_places(numbers: Iterable[str]) -> list[str]:
    """The numbers with as many decimals as the most exact of them has; those that have more than
    people read side by side stay as they are."""
    told = list(numbers)
    found = [_PLAIN.fullmatch(text) for text in told]
    most = max((len(each[1] or "") for each in found if each), default=0)
    if most > _MOST_PLACES:
        return told
    return [
        f"{float(text):.{most}f}" if each else text for text, each in zip(told, found, strict=True)
    ]


def difference(metric: MetricValue) -> tuple[str, str]:
    """A sign for better or worse, and the signed difference: `("🟢", "−0.088 (4.1 % better)")`."""
    if metric.value is None or metric.champion is None:
        return "", "—"
    change = metric.value - metric.champion
    if change == 0:
        return "⚪", "no change"
    words = describe_change(metric.value, metric.champion, metric.source.goal)
    sign = MINUS if change < 0 else "+"
    amount = f"{sign}{format_number(abs(change))}"
    return ("🟢" if words.endswith("better") else "🔴"), f"{amount} ({words})"


def step_duration(step: StepSnapshot, now: datetime | None) -> str:
    """Until `now` where the step still runs; a dash where nothing is known.

    `now` None is for what is only written again when something changed: since when it runs.
    """
    if step.started is None:
        return "—"
    if step.ended is not None:
        return format_duration((step.ended - step.started).total_seconds())
    if step.status in {"Succeeded", "Failed", "Stopped"}:
        return "—"
    if now is None:
        return f"since {moment(step.started)}"
    return format_duration((now - step.started).total_seconds())


def execution_duration(report: Report, now: datetime | None) -> str | None:
    """As `step_duration`, None where nothing is known."""
    execution = report.execution
    if execution is None or execution.started is None:
        return None
    if not execution.status.terminal:
        if now is None:
            return f"since {moment(execution.started)}"
        return format_duration((now - execution.started).total_seconds())
    if execution.modified is None:
        return None
    return format_duration((execution.modified - execution.started).total_seconds())


def step_notes(step: StepSnapshot) -> str:
    """Cache hit, attempts and a condition's outcome, in words."""
    notes = []
    if step.cache_hit:
        notes.append(FROM_CACHE)
    if step.attempts > 1:
        notes.append(f"{step.attempts} attempts")
    if step.outcome is not None:
        notes.append(condition_note(step.outcome))
    return ", ".join(notes)


def why_failed(report: Report, step: StepSnapshot) -> str | None:
    """The exception that the step's log ends in; else the service's reason, if it gives one."""
    raised = (log.raised for log in report.logs if log.step == step.name)
    return next(raised, None) or failure_text(step)


def untold_reason(report: Report, step: StepSnapshot) -> str | None:
    """Why the step failed, where the headline does not say it whole: a reader needs it once."""
    told = headline(report)
    reason = failure_text(step)
    if reason is not None and is_drivers_reason(reason) and why_failed(report, step) != reason:
        return None
    if reason is None:
        return None if "gives no reason" in told else "The service gives no reason."
    return None if " ".join(reason.split()).rstrip(".") in told else reason


def moment(time: datetime) -> str:
    """`2026-03-02 09:25 UTC`."""
    return time.strftime("%Y-%m-%d %H:%M ") + (time.tzname() or "UTC")


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
