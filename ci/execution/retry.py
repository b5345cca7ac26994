"""Decides whether an execution that failed is gone on with.

RetryPipelineExecution runs the same execution again from the steps that did not succeed, with
its definition and parameters. The request's token is made of the execution and of when it last
changed: two jobs that see the same failure ask for one retry, and a job that is killed and run
again finds it running.
"""

from collections.abc import Callable

from ci.errors import AwsError
from ci.execution.identity import derived_token
from ci.sagemaker.executions import Executions
from ci.sagemaker.model import ExecutionSnapshot, ExecutionStatus

RETRYABLE = frozenset(
    {
        ExecutionStatus.FAILED,
        ExecutionStatus.STOPPED,
        ExecutionStatus.COMPLETED_WITH_FAILURES,
    }
)
_WAITS = 30
_PAUSE = 2.0  # seconds
_PASSING = frozenset({"ConflictException"})


def retry_token(execution: ExecutionSnapshot) -> str:
    changed = execution.modified.isoformat() if execution.modified else ""
    return derived_token("retry", execution.arn, changed)


def retry_failed(
    executions: Executions,
    arn: str,
    *,
    tell: Callable[[str], None],
    sleep: Callable[[float], None],
) -> bool:
    """Go on from the failed step, and wait until the service says so. False: nothing failed."""
    before = executions.snapshot(arn)
    if before.status not in RETRYABLE:
        return False
    _ask(executions, before, sleep)
    for _ in range(_WAITS):
        now = executions.snapshot(arn)
        if not now.status.terminal or now.modified != before.modified:
            failed = [step.name for step in before.steps if step.status in {"Failed", "Stopped"}]
            tell(f"Went on with {arn}" + (f" from {', '.join(failed)}" if failed else ""))
            return True
        sleep(_PAUSE)
    raise AwsError(
        "The execution was asked to go on, and still says that it ended",
        code="Timeout",
        operation="RetryPipelineExecution",
        where=arn,
        fix="Run again, or start a new execution with --again.",
    )


def _ask(
    executions: Executions, execution: ExecutionSnapshot, sleep: Callable[[float], None]
) -> None:
    """A moment after its end an execution may not be ready to go on yet."""
    for _ in range(_WAITS):
        try:
            executions.retry(execution.arn, token=retry_token(execution))
        except AwsError as error:
            if error.code not in _PASSING:
                raise
            latest = executions.snapshot(execution.arn)
            if latest.modified != execution.modified or not latest.status.terminal:
                return
            sleep(_PAUSE)
        else:
            return
    executions.retry(execution.arn, token=retry_token(execution))
