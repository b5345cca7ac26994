"""Reads the ends of the logs of steps that failed."""

from collections.abc import Callable, Sequence

from ci.errors import AwsError
from ci.metrics.steps import failed_steps
from ci.report.model import LogTail
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.logs import find_place
from ci.sagemaker.model import ExecutionSnapshot

_LINES = 40
_MOST = 20


def read_tails(
    adapter: SageMaker,
    execution: ExecutionSnapshot,
    show: Callable[[str, Sequence[str]], None] | None = None,
) -> tuple[LogTail, ...]:
    """Those of the first twenty; `show` is handed each title and its lines. A log that cannot be
    read is no reason to fail."""
    tails = []
    for step in failed_steps(execution)[:_MOST]:
        place = find_place(step)
        if place is None:
            continue
        try:
            lines = adapter.logs.tail(step, lines=_LINES)
        except AwsError as error:
            lines = (f"(the log cannot be read: {error.what})",)
        if show is not None:
            show(f"Log of {step.name}", lines)
        text = "\n".join(lines)
        tails.append(LogTail(step=step.name, text=text, group=place.group, prefix=place.prefix))
    return tuple(tails)
