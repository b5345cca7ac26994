"""Reads the ends of the logs of steps that failed."""

from ci.errors import AwsError
from ci.metrics.steps import failed_steps
from ci.report.driver import leave_out_driver, raised_at_last
from ci.report.model import LogTail
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.logs import find_place
from ci.sagemaker.model import ExecutionSnapshot

# Of a short run some are SageMaker's, and left out.
_LINES = 60
_MOST = 20


def read_tails(adapter: SageMaker, execution: ExecutionSnapshot) -> tuple[LogTail, ...]:
    """Those of the first twenty. A log that cannot be read is no reason to fail."""
    tails = []
    for step in failed_steps(execution)[:_MOST]:
        place = find_place(step)
        if place is None:
            continue
        try:
            lines = adapter.logs.tail(step, lines=_LINES)
        except AwsError as error:
            lines = (f"(the log cannot be read: {error.what})",)
        tails.append(
            LogTail(
                step=step.name,
                text="\n".join(leave_out_driver(lines)),
                group=place.group,
                prefix=place.prefix,
                raised=raised_at_last(lines),
            )
        )
    return tuple(tails)
