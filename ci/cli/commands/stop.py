"""`stop`: stop a running execution, and wait until it has stopped."""

import argparse
import uuid

from ci.cli.picking import add_picking_arguments, follow_picked, settle_execution, tell_ended
from ci.cli.shell import Shell
from ci.errors import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_picking_arguments(parser)


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.metrics.model import Outcome

    session, arn, job = picked = settle_execution(arguments, shell)
    executions = session.adapter(job.target.region).executions
    tell_ended(shell, picked)
    # Stopping twice is stopping once; a token of an earlier stop would answer for an execution
    # that was retried since.
    executions.stop(arn, token=uuid.uuid4().hex)
    ended, reporter = follow_picked(arguments, shell, picked)
    stopped = [
        report.verdict and report.verdict.outcome is Outcome.STOPPED for report in ended.reports
    ]
    reporter.conclude(ended.reports, ended.error)
    return int(ExitCode.OK if all(stopped) else ended.code)
