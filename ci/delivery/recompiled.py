"""Decides that a commit keeps its execution though its source compiles to something else this time.

A module that writes the time or chance into its definition has another digest at each compile,
and another token with it: a job that is run again would start a second execution beside the first.
"""

from collections.abc import Callable
from dataclasses import replace

from ci.delivery.pickup import pick_up
from ci.execution.find import other_compile
from ci.sagemaker.adapter import SageMaker
from ci.session.job import Job
from ci.session.session import Session
from ci.trigger.model import Door

_NOTE = (
    "The source of this commit compiled to something else this time. Its execution was started"
    " before, and is the one that is reported; `--again` starts another."
)


def find_started(
    session: Session, adapter: SageMaker, job: Job, *, tell: Callable[[str], None]
) -> tuple[str, Job, str] | None:
    """The ARN of the execution that this commit has by another definition, the job with what it
    runs, and a note on it; None where there is none that runs or has succeeded.

    Only jobs of CI are run again without anyone's wish: on a laptop the work tree may have changed.
    A pull request's commit may be compiled as merged into a base that has moved since: what it has
    succeeded with says nothing of that.
    """
    if job.trigger.door is Door.LAPTOP:
        return None
    alone = job.trigger.pull_request is None
    found = other_compile(adapter.executions, job.identity, done=alone)
    if found is None:
        return None
    arn = found[0].arn
    _, held = pick_up(session, adapter, arn)
    tell(f"{_NOTE} It is {arn}")
    identity = replace(job.identity, digest=held.identity.digest)
    job = replace(job, bundle=held.bundle, definition=held.definition, identity=identity)
    return arn, job, _NOTE
