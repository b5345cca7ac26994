"""Decides by which commands a reader of a report goes on: attach, approve, reject. Pure.

By ARN, which leaves nothing to guess. Where accounts are masked the ARN that is shown leads
nowhere: then by the pipeline's name and its commit, which the report shows anyway. `reach` are
the options that bring a command to where this run was.
"""

from collections.abc import Iterator, Sequence

from ci.delivery.chat import COMMAND
from ci.delivery.planning import PULL_REQUEST
from ci.execution.follow import attach_command
from ci.report.model import Command
from ci.sagemaker.model import ApprovalStatus, ModelPackage
from ci.session.job import Job

# Not twelve: twelve digits in a row are an account to whoever masks them.
_DIGITS = 10


def attach_line(job: Job, execution: str, *, masked: bool, reach: Sequence[str]) -> str:
    """The command that picks an execution up again."""
    return attach_command(_named(job) if masked else execution, reach)


def decision_commands(
    job: Job, package: ModelPackage | None, *, masked: bool, chat: bool, reach: Sequence[str]
) -> Iterator[Command]:
    """Those that decide on a package that waits; none for any other. `chat` says that the
    repository obeys comments."""
    if package is None or package.approval is not ApprovalStatus.PENDING:
        return
    if chat and job.trigger.pull_request is not None:
        yield Command(label="Approve in a comment here", line=f"{COMMAND} approve {_in_chat(job)}")
        reject = f"{COMMAND} reject --pipeline {_in_chat(job)} REASON"
        yield Command(label="Reject in a comment here", line=reject)
    named = _named(job) if masked else package.arn
    named = " ".join([named, *reach])
    yield Command(label="Approve", line=f"sagemaker-gitops approve {named}")
    yield Command(label="Reject", line=f'sagemaker-gitops reject {named} --reason "..."')


def _named(job: Job) -> str:
    number = job.trigger.pull_request
    environment = job.target.environment.name
    words = [job.name]
    if number is not None:
        words.append(f"--pull-request {number}")
    if number is None or environment != PULL_REQUEST:
        words.append(f"--environment {environment}")
    return " ".join([*words, f"--commit {job.trigger.commit[:_DIGITS]}"])


def _in_chat(job: Job) -> str:
    environment = job.target.environment.name
    return job.name if environment == PULL_REQUEST else f"{job.name} --environment {environment}"
