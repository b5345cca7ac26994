"""`deploy`: compile, upsert, start, follow, judge, report."""

import argparse
from typing import TYPE_CHECKING

from ci.cli.options import (
    add_follow_options,
    add_pipeline_options,
    add_place_options,
    settle_deadline,
    settle_on_cancel,
    settle_pipelines,
    settle_session,
)
from ci.cli.shell import Shell
from ci.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.delivery.planning import Planned
    from ci.session.job import Job
    from ci.session.session import Session


def add_arguments(parser: argparse.ArgumentParser, *, unnamed: str = "all") -> None:
    add_pipeline_options(parser, unnamed=unnamed)
    add_place_options(parser)
    rerun = parser.add_mutually_exclusive_group()
    rerun.add_argument(
        "--again",
        action="store_true",
        help="a new execution of the same commit; what it runs costs anew",
    )
    rerun.add_argument(
        "--retry-failed",
        action="store_true",
        help="go on from the failed step of the commit's execution",
    )
    parser.add_argument("--detach", action="store_true", help="start, and do not follow")
    parser.add_argument(
        "--on-cancel", choices=("stop", "detach"), help="what a signal does with the execution"
    )
    parser.add_argument(
        "--plan",
        action="append",
        default=[],
        metavar="DIGEST|FOLDER",
        help="apply this reviewed plan and nothing else; one for each pipeline, or a folder of"
        " plan --out",
    )
    add_follow_options(parser)


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.cli.following import finish, make_stage
    from ci.cli.reporting import Reporter, told_on_checks
    from ci.delivery.deploy import Options, deploy
    from ci.delivery.order import drop_overtaken
    from ci.delivery.planning import describe_plan, plan_pipeline
    from ci.session.preparing import prepare_jobs
    from ci.session.session import parse_overrides

    options = Options(
        overrides=parse_overrides(arguments.parameter),
        again=arguments.again,
        retry_failed=arguments.retry_failed,
        detach=arguments.detach,
        deadline=settle_deadline(arguments.deadline),
        on_cancel=settle_on_cancel(arguments.on_cancel),
    )
    session = settle_session(arguments, shell)
    names = settle_pipelines(arguments, session.project)
    shell.say(f"Compiling {', '.join(names)} for {session.environment}")
    with told_on_checks(arguments, shell, session, names):
        jobs = prepare_jobs(session, names, options.overrides, warn=shell.warn)
        adapter = session.adapter(jobs[0].target.region)
        planned = {job.name: plan_pipeline(session, adapter, job) for job in jobs}
        if not (arguments.plan or arguments.again or arguments.retry_failed):
            jobs = drop_overtaken(session, adapter, jobs, planned, tell=shell.say)
            if not jobs:
                return _overtaken(shell)
        jobs, remarks = _reviewed(arguments, shell, session, jobs, planned)
    plans = {name: describe_plan(each.plan) for name, each in planned.items()}
    reporter = Reporter(arguments, shell, session, several=len(jobs) > 1)
    with make_stage(arguments, shell, reporter, title=", ".join(names)) as stage:
        ended = deploy(session, jobs, options, stage, plans=plans, remarks=remarks)
    return finish(ended, reporter)


def _overtaken(shell: Shell) -> int:
    """Nothing is left to do: that is no failure of this commit."""
    from ci.cli.workflow import write_outputs

    write_outputs(shell.environ, {"changes": "false"})
    shell.emit({"reports": [], "reason": "later commits are deployed"})
    return int(ExitCode.OK)


def _reviewed(
    arguments: argparse.Namespace,
    shell: Shell,
    session: "Session",
    jobs: "tuple[Job, ...]",
    planned: "Mapping[str, Planned]",
) -> "tuple[tuple[Job, ...], Mapping[str, Sequence[str]]]":
    """The jobs as they were reviewed, and what their reports have to say of the review."""
    from ci.delivery.planning import PULL_REQUEST
    from ci.delivery.reviewed import compare_with_comment, require_reviewed

    if arguments.plan:
        return require_reviewed(jobs, planned, arguments.plan, shell.cwd), {}
    if session.environment == PULL_REQUEST or session.trigger.pull_request is not None:
        return jobs, {}
    from ci.cli.forging import open_session_forge
    from ci.posting.forging import comments_on
    from ci.posting.place import find_place
    from ci.text.redact import Redactor

    def warn(problem: str) -> None:
        shell.warn(f"warning: {problem}")

    forge, comments = open_session_forge(shell, session, warn=warn), None
    if forge is not None:
        hide = Redactor(shell.hidden)
        place = find_place(session.project.file, session.environ).project
        comments = comments_on(forge, session.trigger, redactor=hide, warn=warn, place=place)
    policy = session.project.environments[session.environment].on_unreviewed
    remarks = {job.name: compare_with_comment(planned[job.name], comments, policy) for job in jobs}
    for remark in (remark for found in remarks.values() for remark in found):
        shell.workflow("warning", remark)
    return jobs, remarks
