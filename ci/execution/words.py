"""The words for an execution and its steps, the same while it runs and in its report. Pure."""

from ci.execution.model import Change, ChangeKind
from ci.execution.reason import short_reason
from ci.sagemaker.arn import pipeline_of
from ci.text.clean import output_line

DURATION = "Duration"
STEP_COLUMNS = ("Step", "Type", "Status", DURATION, "")
FROM_CACHE = "from cache"
_STEP_ICONS = {
    "Succeeded": "✅",
    "Failed": "❌",
    "Stopped": "⏹️",
    "Stopping": "⏳",
    "Executing": "⏳",
    "Starting": "⏳",
}


def format_duration(seconds: float) -> str:
    """`42 s`, `12 min 30 s`, `3 h 05 min`, `2 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02} min"
    return f"{hours // 24} d {hours % 24} h"


def status_icon(status: str) -> str:
    return _STEP_ICONS.get(status, "❔")


def condition_note(outcome: str) -> str:
    return f"condition is {outcome.lower()}"


def format_change(change: Change) -> str:
    """What happened, without a time stamp or line break: `train (Training): Succeeded, 42 s`."""
    match change.kind:
        case ChangeKind.TROUBLE:
            why = output_line(change.detail or "")
            return f"AWS does not answer ({output_line(change.status or '')}), going on: {why}"
        case ChangeKind.RECOVERED:
            return "AWS answers again"
        case _:
            return f"{_subject(change)}: {_predicate(change)}"


def _predicate(change: Change) -> str:
    status = output_line(change.status or "")
    detail = output_line(short_reason(change.detail or ""))
    match change.kind:
        case ChangeKind.CACHE_HIT:
            text = f"{FROM_CACHE}, of execution {detail.rpartition('/')[2]}"
        case ChangeKind.ATTEMPT:
            text = f"attempt {detail}"
        case ChangeKind.CONDITION:
            text = condition_note(detail)
        case ChangeKind.CALLBACK:
            text = f"waits for a callback through {detail}"
        case ChangeKind.UNKNOWN:
            text = f"status {status!r} is new to this version, taken as running"
        case _:
            took = f", {format_duration(change.seconds)}" if change.seconds is not None else ""
            text = f"{status}{took}" + (f": {detail}" if detail else "")
    return text


def _subject(change: Change) -> str:
    if change.step is None:
        return f"Execution of {output_line(pipeline_of(change.arn))}"
    kind = f" ({change.step_kind})" if change.step_kind else ""
    return f"{output_line(change.step)}{output_line(kind)}"
