"""`plan`: what a commit changes, and what will run again because of it. Changes nothing."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.cli.options import add_pipeline_options, add_place_options, settle_session
from ci.cli.shell import Shell
from ci.errors import ExitCode

if TYPE_CHECKING:
    from ci.delivery.job import Job
    from ci.plan.model import Plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pipeline_options(parser)
    add_place_options(parser)
    parser.add_argument(
        "--out", metavar="FOLDER", help="write the bundle that was planned, one folder a pipeline"
    )
    parser.add_argument("--markdown", metavar="FILE", help="write the plan as Markdown")


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.delivery.deploy import Options, prepare_jobs
    from ci.delivery.planning import plan_job
    from ci.delivery.session import parse_overrides
    from ci.plan.document import plan_to_json
    from ci.plan.render import render_markdown, render_terminal
    from ci.project.select import select_pipelines

    session = settle_session(arguments, shell)
    names = [each.name for each in select_pipelines(session.project, arguments.pipelines)]
    jobs = prepare_jobs(session, names, Options(overrides=parse_overrides(arguments.parameter)))
    adapter = session.adapter(jobs[0].target.region)
    documents: list[Any] = []
    texts: list[str] = []
    for job in jobs:
        plan: Plan = plan_job(session, adapter, job)
        documents.append(plan_to_json(plan))
        texts.append(render_markdown(plan))
        shell.say(render_terminal(plan, color=shell.color).rstrip("\n"))
        if arguments.out:
            _write_bundle(job, shell.cwd / arguments.out / job.name)
    if arguments.markdown:
        (shell.cwd / arguments.markdown).write_text("\n".join(texts), encoding="utf-8")
    shell.emit({"plans": documents})
    return ExitCode.OK


def _write_bundle(job: "Job", folder: Path) -> None:
    from ci.compile.store import write_bundle

    write_bundle(job.bundle, folder)
