"""`deploy`: compile, upsert, start, follow, judge, report."""

import argparse

from ci.cli.options import (
    add_follow_options,
    add_pipeline_options,
    add_place_options,
    settle_deadline,
    settle_on_cancel,
    settle_session,
)
from ci.cli.shell import Shell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pipeline_options(parser)
    add_place_options(parser)
    parser.add_argument("--again", action="store_true", help="a new execution of the same commit")
    parser.add_argument("--detach", action="store_true", help="start, and do not follow")
    parser.add_argument(
        "--on-cancel", choices=("stop", "detach"), help="what a signal does with the execution"
    )
    add_follow_options(parser)


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.cli.following import finish, make_stage
    from ci.cli.reporting import Reporter
    from ci.delivery.deploy import Options, deploy, prepare_jobs
    from ci.delivery.planning import describe_plan, plan_job
    from ci.delivery.session import parse_overrides
    from ci.project.select import select_pipelines

    options = Options(
        overrides=parse_overrides(arguments.parameter),
        again=arguments.again,
        detach=arguments.detach,
        deadline=settle_deadline(arguments.deadline),
        on_cancel=settle_on_cancel(arguments.on_cancel),
    )
    session = settle_session(arguments, shell)
    names = [each.name for each in select_pipelines(session.project, arguments.pipelines)]
    shell.say(f"Compiling {', '.join(names)} for {session.environment}")
    jobs = prepare_jobs(session, names, options)
    adapter = session.adapter(jobs[0].target.region)
    plans = {job.name: describe_plan(plan_job(session, adapter, job)) for job in jobs}
    reporter = Reporter(arguments, shell, session, several=len(jobs) > 1)
    with make_stage(arguments, shell, reporter, title=", ".join(names)) as stage:
        ended = deploy(session, jobs, options, stage, plans=plans)
    return finish(ended, reporter)
