"""The words for what happens to an execution. Pure: one change, one line."""

from ci.execution.model import Change, ChangeKind
from ci.sagemaker.arn import pipeline_of
from ci.text.clean import output_line


def format_seconds(seconds: float) -> str:
    """`42s`, `3m07s`, `2h05m`, `1d04h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"


def format_change(change: Change) -> str:
    """What happened, without a time stamp or line break: `train (Training): Succeeded, 4m12s`."""
    match change.kind:
        case ChangeKind.TROUBLE:
            why = output_line(change.detail or "")
            return f"AWS does not answer ({output_line(change.status or '')}), going on: {why}"
        case ChangeKind.RECOVERED:
            return "AWS answers again"
        case _:
            return f"{_subject(change)}: {_predicate(change)}"


def _predicate(change: Change) -> str:
    detail, status = output_line(change.detail or ""), output_line(change.status or "")
    match change.kind:
        case ChangeKind.CACHE_HIT:
            text = f"taken from the cache of execution {detail.rpartition('/')[2]}"
        case ChangeKind.ATTEMPT:
            text = f"attempt {detail}"
        case ChangeKind.CONDITION:
            text = f"the condition is {detail.lower()}"
        case ChangeKind.CALLBACK:
            text = f"waits for a callback through {detail}"
        case ChangeKind.UNKNOWN:
            text = f"status {status!r} is new to this version, taken as running"
        case _:
            took = f", {format_seconds(change.seconds)}" if change.seconds is not None else ""
            text = f"{status}{took}" + (f": {detail}" if detail else "")
    return text


def _subject(change: Change) -> str:
    if change.step is None:
        return f"Execution of {output_line(pipeline_of(change.arn))}"
    kind = f" ({change.step_kind})" if change.step_kind else ""
    return f"{output_line(change.step)}{output_line(kind)}"
