"""What `attach` and `stop` share: which execution is named, and following it."""

import argparse
from typing import TYPE_CHECKING

from ci.cli.options import (
    add_execution_options,
    add_follow_options,
    add_place_options,
    names_itself,
    settle_commit,
    settle_deadline,
    settle_pipeline,
    settle_session,
)
from ci.cli.shell import Shell
from ci.errors import AwsError, UsageError
from ci.sagemaker.arn import is_execution

if TYPE_CHECKING:
    from ci.cli.reporting import Reporter
    from ci.delivery.stage import Ended
    from ci.session.job import Job
    from ci.session.session import Session


def add_picking_arguments(parser: argparse.ArgumentParser) -> None:
    add_execution_options(parser)
    add_place_options(parser)
    add_follow_options(parser)


def follow_picked(
    arguments: argparse.Namespace, shell: Shell, picked: "tuple[Session, str, Job]"
) -> "tuple[Ended, Reporter]":
    """Follow the execution to its report. A signal only ends the following."""
    from ci.cli.following import make_stage
    from ci.cli.reporting import Reporter
    from ci.delivery.deploy import attach

    session, arn, job = picked
    deadline = settle_deadline(arguments.deadline)
    reporter = Reporter(arguments, shell, session, several=False)
    with make_stage(arguments, shell, reporter, title=job.name) as stage:
        return attach(session, {arn: job}, deadline, stage), reporter


def tell_ended(shell: Shell, picked: "tuple[Session, str, Job]") -> None:
    """Say so where there is nothing left to follow or to stop."""
    session, arn, job = picked
    status = session.adapter(job.target.region).executions.snapshot(arn).status
    if status.terminal:
        shell.say(f"The execution had ended before: {status}")


def _refuse_other_arn(named: str | None) -> None:
    if named is not None and named.startswith("arn:") and not is_execution(named):
        raise UsageError(
            "this is not the ARN of an execution",
            where=named,
            fix="arn:aws:sagemaker:REGION:ACCOUNT:pipeline/NAME/execution/ID, or the pipeline's"
            " name in the project file",
        )


def _pick_up_named(session: "Session", arn: str) -> "tuple[Session, str, Job]":
    """One that is not there was named wrongly; nothing was refused."""
    from ci.delivery.pickup import pick_up
    from ci.sagemaker.retry import is_gone

    try:
        picked, job = pick_up(session, session.adapter(arn.split(":")[3]), arn)
    except AwsError as error:
        if not is_gone(error):
            raise
        raise UsageError(
            "there is no such execution",
            where=arn,
            why="Its pipeline was deleted, and its executions with it; or a part of the ARN is"
            " wrong.",
            fix=error.fix,
        ) from error
    return picked, arn, job


def settle_execution(arguments: argparse.Namespace, shell: Shell) -> "tuple[Session, str, Job]":
    """The session as the execution's own commit has it, the ARN, and the job it is of."""
    from ci.delivery.pickup import find_arn, pick_up

    settle_deadline(arguments.deadline)  # a bad one is told before anything is looked up
    _refuse_other_arn(arguments.execution)
    arguments.commit = settle_commit(arguments.commit, shell)
    session = settle_session(arguments, shell, anywhere=names_itself(arguments))
    named = arguments.execution
    if named is not None and named.startswith("arn:"):
        return _pick_up_named(session, named)
    target = session.target(settle_pipeline(named, session.project))
    adapter = session.adapter(target.region)
    arn = find_arn(session, adapter, target, arguments.commit)
    shell.say(f"Found {arn}")
    found = pick_up(session, adapter, arn)
    return found[0], arn, found[1]
