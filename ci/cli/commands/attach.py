"""`attach`: follow an execution that was started before, to its verdict and report."""

import argparse

from ci.cli.options import (
    add_execution_options,
    add_follow_options,
    add_place_options,
    names_itself,
    settle_deadline,
    settle_session,
)
from ci.cli.shell import Shell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_execution_options(parser)
    add_place_options(parser)
    add_follow_options(parser)


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.cli.following import finish, make_stage
    from ci.cli.picking import settle_execution
    from ci.cli.reporting import Reporter
    from ci.delivery.deploy import attach

    deadline = settle_deadline(arguments.deadline)
    opened = settle_session(arguments, shell, anywhere=names_itself(arguments))
    session, arn, job = settle_execution(arguments, shell, opened)
    reporter = Reporter(arguments, shell, session, several=False)
    with make_stage(arguments, shell, reporter, title=job.name) as stage:
        ended = attach(session, {arn: job}, deadline, stage)
    return finish(ended, reporter)
