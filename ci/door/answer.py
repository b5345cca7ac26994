"""Decides what CodePipeline is told: go on, succeeded, or failed, and with which words. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from ci.delivery.polling import Polled, is_passing
from ci.door.progress import Progress, encode
from ci.errors import (
    AwsError,
    CompileError,
    DefinitionError,
    ExitCode,
    GitOpsError,
    NotReviewed,
)
from ci.execution.follow import PATIENCE, attach_command
from ci.sagemaker.codepipeline import Failure, FailureType, Success
from ci.sagemaker.translate import DENIED

Answer = Success | Failure

MOST_LATE = 5  # calls in a row that ran out of time
_NO_OBJECT = frozenset({"NoSuchKey", "NoSuchBucket", "NoSuchVersion", "404"})
_BAD_KEYS = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"})


def answer_look(
    progress: Progress,
    polled: Polled,
    variables: Mapping[str, str],
    *,
    now: float,
    deadline: float | None,
) -> Answer:
    """The answer to a look. `deadline` is in seconds from the job's first call."""
    if polled.problem is not None and is_passing(polled.problem):
        return answer_trouble(progress, polled.problem, now=now)
    external = progress.executions[0] if progress.executions else None
    if polled.running:
        if deadline is not None and now - progress.began >= deadline:
            return _past_deadline(progress)
        return Success(
            summary=polled.sentence,
            continuation=encode(progress.at(progress.executions, polled.state)),
            percent=polled.percent,
            external=external,
        )
    ended = polled.ended
    if ended.code is ExitCode.OK and ended.error is None:
        return Success(summary=polled.sentence, percent=100, external=external, variables=variables)
    message = polled.sentence if ended.error is None else f"{polled.sentence}\n{ended.error}"
    return Failure(kind=FailureType.JOB_FAILED, message=message, external=external)


def answer_trouble(progress: Progress, error: AwsError, *, now: float) -> Answer:
    """AWS gave no answer that serves: go on as before, unless it is so for too long."""
    troubled = progress.in_trouble(now)
    began = now if troubled.troubled is None else troubled.troubled
    if now - began >= PATIENCE:
        return answer_error(error, progress)
    return Success(
        summary=f"AWS does not answer as it should; trying again: {error.what}",
        continuation=encode(troubled),
        external=progress.executions[0] if progress.executions else None,
    )


def answer_late(progress: Progress, *, seconds: float) -> Answer:
    """The function's time is nearly up. The next call goes on; where none gets any further, the
    function's timeout (`seconds`) is too short for the work."""
    late = progress.is_late()
    if late.late >= MOST_LATE:
        return Failure(
            kind=FailureType.CONFIGURATION,
            message=f"the function's timeout of {seconds:.0f} s is too short: {late.late} calls "
            "in a row have come to no end\n  fix:   Timeout: 300, and MemorySize: 1024",
            external=progress.executions[0] if progress.executions else None,
        )
    return Success(
        summary="The function's time was up before AWS had answered; going on.",
        continuation=encode(late),
        external=progress.executions[0] if progress.executions else None,
    )


def answer_error(error: GitOpsError, progress: Progress) -> Failure:
    """What ended the job. Executions that were started go on, and the reader is told how to
    follow them."""
    failure = Failure(kind=_kind(error), message=str(error))
    if not progress.executions:
        return failure
    onwards = "\n".join(attach_command(arn) for arn in progress.executions)
    message = f"{error}\nTo follow what was started:\n{onwards}"
    return replace(failure, message=message, external=progress.executions[0])


def answer_bug(error: BaseException, progress: Progress) -> Failure:
    """An exception that is none of this program's errors."""
    what = f"a bug in this program: {type(error).__name__}: {error}"
    external = progress.executions[0] if progress.executions else None
    fix = "The function's log holds the traceback. Retry the stage: nothing is done twice."
    return Failure(
        kind=FailureType.JOB_FAILED, message=f"{what}\n  fix:   {fix}", external=external
    )


def _past_deadline(progress: Progress) -> Failure:
    onwards = "\n".join(attach_command(arn) for arn in progress.executions)
    return Failure(
        kind=FailureType.JOB_FAILED,
        message=f"The deadline came while it was still running. It runs on:\n{onwards}",
        external=progress.executions[0] if progress.executions else None,
    )


def _kind(error: GitOpsError) -> FailureType:
    if isinstance(error, AwsError):
        return _kind_of_refusal(error)
    if isinstance(error, NotReviewed):
        return FailureType.OUT_OF_SYNC
    failed = isinstance(error, CompileError | DefinitionError)
    usage = error.exit_code is ExitCode.USAGE and not failed
    return FailureType.CONFIGURATION if usage else FailureType.JOB_FAILED


def _kind_of_refusal(error: AwsError) -> FailureType:
    if error.code in DENIED | _BAD_KEYS or error.status == 403:
        return FailureType.PERMISSION
    if error.code in _NO_OBJECT:
        return FailureType.UNAVAILABLE_REVISION
    return FailureType.UNAVAILABLE if is_passing(error) else FailureType.JOB_FAILED
