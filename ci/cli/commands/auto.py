"""`auto`: reads the trigger and picks what to do, or nothing."""

import argparse
from typing import TYPE_CHECKING

from ci.cli.answering import answer_comment
from ci.cli.commands import approvals, cleanup, deploy
from ci.cli.options import settle_deadline, settle_project, settle_trigger
from ci.cli.previewing import preview
from ci.cli.shell import Shell
from ci.errors import ExitCode

if TYPE_CHECKING:
    from ci.delivery.choosing import Choice
    from ci.project.model import Project
    from ci.trigger.model import Trigger


def add_arguments(parser: argparse.ArgumentParser) -> None:
    deploy.add_arguments(parser, unnamed="those that a push or a pull request touches, else all")


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.delivery.choosing import Action, choose_action
    from ci.session.session import parse_overrides

    # A bad one is told by the first job that has it, and not by the first that needs it.
    settle_deadline(arguments.deadline)
    parse_overrides(arguments.parameter)
    trigger = settle_trigger(arguments, shell)
    project = settle_project(arguments, shell)
    choice = choose_action(
        project,
        trigger,
        named=arguments.environment,
        credentials=not trigger.from_fork or arguments.local or _has_credentials(shell),
    )
    shell.say(f"{_told(trigger)}: {choice.reason}")
    if choice.action not in {Action.PLAN, Action.RUN}:
        return _without_compile(choice, arguments, shell, project, trigger)
    arguments.environment = choice.environment
    if choice.touched and not (arguments.pipelines or arguments.all):
        arguments.pipelines = _touched(project, trigger, shell)
        if not arguments.pipelines:
            return _nothing(shell, "the commit touches no pipeline")
    if choice.action is Action.PLAN:
        return preview(arguments, shell)
    return deploy.run(arguments, shell)


def _without_compile(
    choice: "Choice",
    arguments: argparse.Namespace,
    shell: Shell,
    project: "Project",
    trigger: "Trigger",
) -> int:
    from ci.delivery.choosing import Action

    match choice.action:
        case Action.CLEANUP:
            arguments.environment = choice.environment
            return cleanup.run(arguments, shell)
        case Action.CHAT:
            return answer_comment(arguments, shell, project, trigger)
        case Action.APPROVALS:
            arguments.packages, arguments.since = [], None
            return approvals.run(arguments, shell)
        case _:
            return _nothing(shell, choice.reason)


def _has_credentials(shell: Shell) -> bool:
    from ci.sagemaker.clients import open_clients

    return open_clients("us-east-1", shell.environ).has_credentials()


def _told(trigger: "Trigger") -> str:
    event = trigger.event.value.replace("_", " ").capitalize()
    number = f" {trigger.pull_request}" if trigger.pull_request is not None else ""
    return f"{event}{number}, commit {trigger.commit[:12]}"


def _nothing(shell: Shell, reason: str) -> int:
    from ci.cli.workflow import write_outputs

    write_outputs(shell.environ, {"changes": "false"})
    shell.emit({"reports": [], "reason": reason})
    return int(ExitCode.OK)


def _touched(project: "Project", trigger: "Trigger", shell: Shell) -> list[str]:
    from ci.session.touching import touched_pipelines

    touched = touched_pipelines(project, trigger)
    names = [pipeline.name for pipeline in touched.pipelines]
    if touched.problem:
        shell.say(f"All pipelines count: {touched.problem}")
    elif len(names) < len(project.pipelines):
        shell.say(f"Of {len(project.pipelines)} pipelines touched: {', '.join(names) or 'none'}")
    return names
