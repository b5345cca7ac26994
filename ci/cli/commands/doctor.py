"""`doctor`: looks for what would fail later, and changes nothing."""

import argparse
import os
import time
from typing import TYPE_CHECKING

from ci.cli.options import add_place_options, add_python_option, settle_deadline, settle_project
from ci.cli.shell import Shell
from ci.errors import GitOpsError

if TYPE_CHECKING:
    from ci.doctor.model import Site
    from ci.project.model import Project
    from ci.trigger.model import Trigger

_SECONDS = 30.0
_MAIN = "main"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_place_options(parser)
    add_python_option(parser)
    parser.add_argument("--deadline", metavar="TIME", help="how long runs follow: 90, 30m, 6h")
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=_SECONDS,
        help="how long all checks together may take, in seconds, 1 to 600; what has not answered"
        f" by then is told as such; default: {_SECONDS:g}",
    )


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.doctor.checks import CHECKS
    from ci.doctor.render import document, render_lines, summary
    from ci.doctor.run import exit_code, run_checks

    site = make_site(arguments, shell)
    answers = run_checks(CHECKS, site, seconds=arguments.seconds, clock=time.monotonic)
    for line in render_lines(answers, color=shell.color):
        shell.show(line)
    shell.show(summary(answers))
    shell.emit(document(answers))
    return int(exit_code(answers))


def make_site(arguments: argparse.Namespace, shell: Shell) -> "Site":
    """What there is to look at. What is broken is left out, for the checks to say so."""
    from ci.doctor.model import Site

    problem: GitOpsError | None = None
    project: Project | None = None
    try:
        project = settle_project(arguments, shell)
    except GitOpsError as error:
        problem = error
    root = project.root if project is not None else shell.cwd
    site = Site(
        root=root,
        environ=_environ(arguments, shell),
        project=project,
        problem=problem,
        trigger=_trigger(shell, root),
        local=arguments.local,
        deadline=settle_deadline(arguments.deadline),
    )
    return _placed(arguments, site)


def _placed(arguments: argparse.Namespace, site: "Site") -> "Site":
    """The site with what the project file and its environment say."""
    from dataclasses import replace

    from ci.project.target import choose_environment, region_of_job
    from ci.sagemaker.clients import open_clients
    from ci.sagemaker.credentials import find_web_identity
    from ci.session.session import LOCAL_ROLE, point_at_local

    environ, project = site.environ, site.project
    if arguments.local and project is not None:
        environ = point_at_local(project, environ)
    named = arguments.environment or (
        "pull_request" if site.trigger and site.trigger.pull_request else _MAIN
    )
    place = None
    if project is not None and site.trigger is not None:
        place = project.environments[choose_environment(project, site.trigger, named)]
    role = (place.role if place else None) or (project.role if project else None)
    role = role or (LOCAL_ROLE if arguments.local else None)
    region = arguments.region or (place.region if place else None)
    region = region or (project.region if project else None)
    region = region or region_of_job(environ)
    account = role.split(":")[4] if role else None
    bucket = project.artifacts.bucket if project else None
    if bucket is None and region and account:
        bucket = f"sagemaker-{region}-{account}"
    deadline = site.deadline if site.deadline is not None else place.deadline if place else None
    return replace(
        site,
        environ=environ,
        environment=place,
        role=role,
        region=region,
        account=account,
        bucket=bucket,
        deadline=deadline,
        repository=site.trigger.repository if site.trigger else None,
        renews=find_web_identity(environ) is not None,
        clients=open_clients(region, environ) if region else None,
    )


def _environ(arguments: argparse.Namespace, shell: Shell) -> dict[str, str]:
    from ci.sagemaker.credentials import ROLE_VARIABLE

    environ = dict(shell.environ)
    if arguments.region:
        environ["AWS_REGION"] = arguments.region
    if arguments.role_to_assume and not arguments.local:
        environ[ROLE_VARIABLE] = arguments.role_to_assume
    return environ


def _trigger(shell: Shell, root: "os.PathLike[str]") -> "Trigger | None":
    from pathlib import Path

    from ci.trigger.detect import detect_trigger

    try:
        return detect_trigger(shell.environ, Path(root))
    except GitOpsError:
        return None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 600:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 1 and 600 seconds")
    return seconds
