"""`plan`: what a commit changes, and what will run again because of it. Changes nothing."""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ci.cli.options import (
    add_pipeline_options,
    add_place_options,
    settle_pipelines,
    settle_session,
)
from ci.cli.shell import Shell
from ci.errors import ExitCode

if TYPE_CHECKING:
    from ci.delivery.planning import Planned
    from ci.session.job import Job
    from ci.session.session import Session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pipeline_options(parser)
    add_place_options(parser)
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        help="write the plan and its bundle, one folder a pipeline; deploy --plan takes it",
    )
    parser.add_argument(
        "--against",
        metavar="FOLDER",
        help="compare with what --out wrote, and not with what is deployed",
    )
    parser.add_argument("--markdown", metavar="FILE", help="write the plan as Markdown")
    parser.add_argument(
        "--verbose", action="store_true", help="all arguments of a new pipeline, not its outline"
    )
    parser.add_argument(
        "--detailed-exitcode", action="store_true", help="end in 1 where anything changes"
    )


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.delivery.planning import describe_subject, planned_session, subject_to_json
    from ci.plan.document import plan_to_json
    from ci.plan.markdown import render_markdown
    from ci.plan.terminal import render_terminal
    from ci.session.preparing import prepare_jobs
    from ci.session.session import parse_overrides
    from ci.session.writing import write_whole

    session = planned_session(settle_session(arguments, shell))
    names = settle_pipelines(arguments, session.project)
    jobs = prepare_jobs(session, names, parse_overrides(arguments.parameter), warn=shell.warn)
    plans = _make_plans(arguments, shell, session, jobs)
    if arguments.out:
        _make_folder(shell.cwd / arguments.out)
    for index, planned in enumerate(plans):
        shell.show(("\n" if index else "") + describe_subject(session, planned.target))
        shown = render_terminal(
            planned.plan,
            given=planned.target.parameters,
            verbose=arguments.verbose,
            width=shell.columns,
            color=shell.color,
        )
        shell.show(shown.rstrip("\n"))
        if arguments.out:
            from ci.delivery.recorded import write_plan

            write_plan(planned, shell.cwd / arguments.out / planned.target.pipeline.name)
    if arguments.out:
        count = "the plan" if len(plans) == 1 else f"{len(plans)} plans"
        when = "once merged" if session.proposed else "and nothing else"
        shell.show(f"Wrote {count} to {arguments.out}. To apply it, {when}:")
        shell.show(f"  {_deploy_command(arguments)}")
    if arguments.markdown:
        texts = [
            render_markdown(
                planned.plan,
                subject=describe_subject(session, planned.target),
                given=planned.target.parameters,
            )
            for planned in plans
        ]
        write_whole(shell.cwd / arguments.markdown, "\n".join(texts), what="the plan")
    documents = [
        {**plan_to_json(planned.plan), **subject_to_json(session, planned.target)}
        for planned in plans
    ]
    shell.emit({"plans": documents})
    changes = any(not planned.plan.empty for planned in plans)
    return ExitCode.FAILED if changes and arguments.detailed_exitcode else ExitCode.OK


def _deploy_command(arguments: argparse.Namespace) -> str:
    """What applies the plans that `--out` wrote, as a line for a shell."""
    words = ["sagemaker-gitops", "deploy", *arguments.pipelines, "--plan", arguments.out]
    if arguments.environment:
        words += ["--environment", arguments.environment]
    for pair in arguments.parameter:
        words += ["--parameter", pair]
    return shlex.join([*words, *(["--local"] if arguments.local else [])])


def _make_plans(
    arguments: argparse.Namespace, shell: Shell, session: "Session", jobs: "tuple[Job, ...]"
) -> "list[Planned]":
    from ci.delivery.planning import plan_against, plan_pipeline

    if arguments.against:
        from ci.delivery.recorded import as_baseline, find_recorded
        from ci.plan.model import Baseline

        folder = shell.cwd / arguments.against
        recorded = [(job, find_recorded(folder, job.name)) for job in jobs]
        return [
            plan_against(
                job.target,
                job.bundle,
                as_baseline(found, job.target.role),
                baseline=Baseline.RECORDED,
            )
            for job, found in recorded
        ]
    adapter = session.adapter(jobs[0].target.region)
    if not adapter.clients.has_credentials():
        shell.warn("warning: no AWS credentials are at hand: the plan is compared with nothing")
    return [plan_pipeline(session, adapter, job) for job in jobs]


def _make_folder(folder: Path) -> None:
    """A folder that git does not see: a plan in the work tree is no change of it. One that holds
    something is left as it is."""
    if not folder.is_dir() or not any(folder.iterdir()):
        from ci.session.writing import write_whole

        write_whole(folder / ".gitignore", "*\n", what="the plan")
