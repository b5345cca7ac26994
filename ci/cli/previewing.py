"""The plan as a report and a comment: what a pull request shows where nothing is run."""

import argparse

from ci.cli.options import settle_pipelines, settle_session
from ci.cli.shell import Shell
from ci.errors import ExitCode


def preview(arguments: argparse.Namespace, shell: Shell) -> int:
    """Plan, report and comment; nothing is deployed."""
    from datetime import UTC, datetime

    from ci.cli.reporting import Reporter, told_on_checks
    from ci.delivery.account import Account, make_report
    from ci.delivery.planning import describe_plan, plan_job
    from ci.session.preparing import prepare_jobs
    from ci.session.session import parse_overrides

    session = settle_session(arguments, shell)
    names = settle_pipelines(arguments, session.project)
    shell.say(f"Planning {', '.join(names)} for {session.environment}")
    with told_on_checks(arguments, shell, session, names, planned=True):
        overrides = parse_overrides(arguments.parameter)
        jobs = prepare_jobs(session, names, overrides, warn=shell.warn)
    adapter = session.adapter(jobs[0].target.region)
    reporter = Reporter(arguments, shell, session, several=len(jobs) > 1)
    reports = []
    for job in jobs:
        section = describe_plan(plan_job(session, adapter, job))
        account = Account(job=job, plan=section, settings=session.project.report)
        generated = datetime.fromtimestamp(shell.clock(), UTC)
        reports.append(make_report(account, generated=generated))
        reporter.publish(reports[-1])
    reporter.conclude(reports)
    return int(ExitCode.OK)
