"""Decides which runs a newer commit of a pull request ends, and ends them."""

import uuid
from collections.abc import Callable, Sequence

from ci.execution.find import superseded_executions
from ci.project.model import OnCancel
from ci.sagemaker.executions import Executions
from ci.session.job import Job


def stop_superseded(
    executions: Executions,
    job: Job,
    commit_order: Callable[[], Sequence[str]],
    *,
    tell: Callable[[str], None],
) -> tuple[str, ...]:
    """Stop the runs of older commits of the job's pull request; a note on each. `main` is never
    stopped for being older."""
    number = job.trigger.pull_request
    if number is None or job.target.environment.on_cancel is not OnCancel.STOP:
        return ()
    others = superseded_executions(
        executions,
        job.target.pipeline_name,
        pull_request=number,
        commit=job.trigger.commit,
        commit_order=commit_order,
    )
    notes = []
    for summary, record in others:
        executions.stop(summary.arn, token=uuid.uuid4().hex)
        notes.append(f"Stopped the execution of {record.commit[:12]}: this commit is newer.")
        tell(notes[-1])
    return tuple(notes)
