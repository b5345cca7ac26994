"""Options that several commands share, and the values that they settle."""

import argparse
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ci.cli.shell import Shell
from ci.errors import CompileError, UsageError

if TYPE_CHECKING:
    from ci.project.model import OnCancel, Project
    from ci.session.session import Session
    from ci.trigger.model import Trigger


def add_pipeline_options(parser: argparse.ArgumentParser, *, unnamed: str = "all") -> None:
    """Which pipelines, with which parameters. `unnamed` says which they are where none is named."""
    parser.add_argument("pipelines", nargs="*", metavar="PIPELINE", help=f"default: {unnamed}")
    parser.add_argument(
        "--all", action="store_true", help="every pipeline, whatever the settings name"
    )
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a pipeline parameter; may be given again",
    )
    add_python_option(parser)


def add_python_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--python", help="Python that compiles modules without one of their own")


def add_place_options(parser: argparse.ArgumentParser) -> None:
    """Where to: the environment, the pull request, the endpoint."""
    parser.add_argument("--environment", help="default: what the commit is for")
    parser.add_argument(
        "--pull-request", type=_number, metavar="NUMBER", help="the pull request the commit is on"
    )
    parser.add_argument("--region", help="AWS region, before what the project file names")
    parser.add_argument(
        "--role-to-assume", metavar="ARN", help="role assumed by GitHub's OIDC, and renewed"
    )
    parser.add_argument(
        "--local", action="store_true", help="on the local endpoint, started where none runs"
    )


def add_execution_options(parser: argparse.ArgumentParser) -> None:
    """Which execution."""
    parser.add_argument(
        "execution", nargs="?", metavar="ARN|PIPELINE", help="default: the project's only pipeline"
    )
    parser.add_argument("--commit", help="of this commit (7 digits are enough); default: HEAD")


def add_follow_options(parser: argparse.ArgumentParser) -> None:
    """How to follow an execution, and where its report goes."""
    parser.add_argument("--deadline", metavar="TIME", help="how long to follow: 90, 30m, 6h")
    parser.add_argument(
        "--poll",
        type=_interval,
        metavar="SECONDS",
        help="look at this interval; default: by history",
    )
    parser.add_argument(
        "--queue", metavar="URL", help="SQS queue that EventBridge sends SageMaker's events to"
    )
    parser.add_argument("--logs", action="store_true", help="show what running steps log")
    parser.add_argument(
        "--report", metavar="BASE", help="write BASE.md, .json, .html and .junit.xml"
    )
    parser.add_argument(
        "--comment", choices=("true", "false"), default="true", help="false posts no comment"
    )


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None


def _interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.01 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0.01 and 3600 seconds")
    return seconds


def names_itself(arguments: argparse.Namespace) -> bool:
    """Whether the execution is named by its ARN, and so needs no environment."""
    return str(arguments.execution or "").startswith("arn:")


def settle_session(
    arguments: argparse.Namespace, shell: Shell, *, anywhere: bool = False
) -> "Session":
    """The project, the trigger and the environment that the arguments name; `anywhere` for what
    is named by its ARN."""
    from ci.session.session import open_session

    trigger = settle_trigger(arguments, shell)
    project = settle_project(arguments, shell)
    if project.report.mask_accounts:
        shell.mask_accounts()
    session = open_session(
        project,
        trigger,
        environ=_settle_environ(arguments, shell, trigger),
        environment=arguments.environment,
        local=arguments.local,
        anywhere=anywhere,
    )
    if not arguments.region:
        return session
    return replace(session, reach=(*session.reach, f"--region {arguments.region}"))


def settle_project(arguments: argparse.Namespace, shell: Shell) -> "Project":
    """The project in the region that is named, with `--python` (of commands that compile) where a
    module names none, or one that is not here."""
    from ci.project.model import ModuleSource
    from ci.project.target import in_region

    project = in_region(shell.load_project(), getattr(arguments, "region", None))
    python = getattr(arguments, "python", None)
    if not python:
        return project
    pipelines = {
        name: replace(pipeline, python=python)
        if isinstance(pipeline.source, ModuleSource) and _lacks(pipeline.python, project, shell)
        else pipeline
        for name, pipeline in project.pipelines.items()
    }
    return replace(project, pipelines=pipelines)


def _lacks(python: str | None, project: "Project", shell: Shell) -> bool:
    """A virtual environment in the work tree is of one machine, and the project file of all."""
    from ci.compile.interpreter import find_python

    try:
        return python is None or not find_python(python, root=project.root, environ=shell.environ)
    except CompileError:
        return True


def _settle_environ(
    arguments: argparse.Namespace, shell: Shell, trigger: "Trigger"
) -> dict[str, str]:
    """The environment that clients are made of. A role is assumed through GitHub's door alone;
    a fork's job has no door, and goes on without credentials."""
    from ci.sagemaker.credentials import ROLE_VARIABLE, find_web_identity

    environ = dict(shell.environ)
    if arguments.region:
        environ["AWS_REGION"] = arguments.region
    environ.pop(ROLE_VARIABLE, None)
    if not arguments.role_to_assume or arguments.local:
        return environ
    environ[ROLE_VARIABLE] = arguments.role_to_assume
    if find_web_identity(environ) is None and not trigger.from_fork:
        raise UsageError(
            "the role cannot be assumed: this job may not ask GitHub for an identity token",
            where=f"--role-to-assume {arguments.role_to_assume}",
            why="ACTIONS_ID_TOKEN_REQUEST_URL is not set; outside of GitHub Actions the "
            "credentials at hand are used",
            fix="permissions:\n  id-token: write",
        )
    return environ


def settle_trigger(arguments: argparse.Namespace, shell: Shell) -> "Trigger":
    """The trigger that was settled before, or that the job shows, for the pull request that the
    arguments name."""
    from ci.cli.forging import vouched
    from ci.trigger.detect import detect_trigger
    from ci.trigger.model import Event

    settled: Trigger | None = getattr(arguments, "settled_trigger", None)
    if settled is not None:
        return settled
    trigger = vouched(shell, detect_trigger(shell.environ, shell.find_project().parent))
    if arguments.pull_request is None:
        return trigger
    if arguments.pull_request < 1:
        raise UsageError("a pull request has a number above 0", where="--pull-request")
    return replace(trigger, pull_request=arguments.pull_request, event=Event.PULL_REQUEST)


def settle_pipelines(arguments: argparse.Namespace, project: "Project") -> list[str]:
    """The names that the arguments choose; all of them where they choose none."""
    from ci.project.select import select_pipelines

    names = [] if arguments.all else arguments.pipelines
    return [pipeline.name for pipeline in select_pipelines(project, names)]


def settle_pipeline(named: str | None, project: "Project") -> str:
    """The one that is named, or the only one. UsageError where several could be meant."""
    from ci.project.select import select_pipelines

    chosen = [pipeline.name for pipeline in select_pipelines(project, [named] if named else [])]
    if len(chosen) > 1:
        raise UsageError(
            "the project has several pipelines", fix=f"name one of them: {' | '.join(chosen)}"
        )
    return chosen[0]


def settle_commit(text: str | None, shell: Shell) -> str | None:
    """A commit's hash, or at least 7 digits of it. Whatever else names one, git resolves; digits
    are never asked of git, where a branch may have them as its name."""
    from ci.trigger.laptop import resolve_commit

    if text is None or re.fullmatch(r"[0-9a-fA-F]{7,64}", text):
        return text and text.lower()
    found = resolve_commit(shell.cwd, text)
    if found is None:
        raise UsageError(
            f"{text!r} is not a commit",
            where="--commit",
            why="git finds none of this name here",
            fix="7 to 40 digits of its hash, or what git resolves: HEAD, HEAD~1, a branch",
        )
    return found


def settle_deadline(text: str | None) -> float | None:
    from ci.project.durations import parse_duration

    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise UsageError(str(error), where="--deadline") from None


def settle_on_cancel(text: str | None) -> "OnCancel | None":
    from ci.project.model import OnCancel

    return None if text is None else OnCancel(text)
