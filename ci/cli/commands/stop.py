"""`stop`: stop a running execution, and wait until it has stopped."""

import argparse
import uuid

from ci.cli.options import (
    add_execution_options,
    add_follow_options,
    add_place_options,
    names_itself,
    settle_deadline,
    settle_session,
)
from ci.cli.shell import Shell
from ci.errors import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_execution_options(parser)
    add_place_options(parser)
    add_follow_options(parser)


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.cli.following import make_stage
    from ci.cli.picking import settle_execution
    from ci.cli.reporting import Reporter
    from ci.delivery.deploy import attach
    from ci.metrics.model import Outcome

    deadline = settle_deadline(arguments.deadline)
    opened = settle_session(arguments, shell, anywhere=names_itself(arguments))
    session, arn, job = settle_execution(arguments, shell, opened)
    adapter = session.adapter(job.target.region)
    # Stopping twice is stopping once; a token of an earlier stop would answer for an execution
    # that was retried since.
    adapter.executions.stop(arn, token=uuid.uuid4().hex)
    reporter = Reporter(arguments, shell, session, several=False)
    with make_stage(arguments, shell, reporter, title=job.name) as stage:
        ended = attach(session, {arn: job}, deadline, stage)
    stopped = [
        report.verdict and report.verdict.outcome is Outcome.STOPPED for report in ended.reports
    ]
    reporter.conclude(ended.reports, ended.error)
    return int(ExitCode.OK if all(stopped) else ended.code)
