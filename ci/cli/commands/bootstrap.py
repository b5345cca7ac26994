"""`bootstrap`: the CloudFormation templates of a set-up: printed, written, or deployed."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.cli.shell import Shell
from ci.errors import ExitCode, TriggerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.bootstrap.deploying import Deployment
    from ci.bootstrap.model import Setup
    from ci.bootstrap.steps import Step
    from ci.bootstrap.template import Template
    from ci.sagemaker.clients import Clients
    from ci.sagemaker.stacks import ResourceChange, Stacks

_DEADLINE = 1800.0  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "templates",
        nargs="*",
        metavar="TEMPLATE",
        help="artifacts, execution-role, github-oidc, events, codebuild, lambda,"
        " codepipeline; default: artifacts, github-oidc and events",
    )
    parser.add_argument("--out", metavar="FOLDER", help="write each template into a file")
    parser.add_argument("--deploy", action="store_true", help="show what a change set would change")
    parser.add_argument("--yes", action="store_true", help="with --deploy: execute the change sets")
    # Not `parameter`, whose values are hidden where their name says so: these name a secret at
    # most, and what is printed is to be deployed.
    parser.add_argument(
        "--parameter",
        dest="given",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the templates; may be given again",
    )
    parser.add_argument("--name", help="begins every resource's name; default: the repository's")
    parser.add_argument("--repository", metavar="OWNER/NAME", help="default: the remote's")
    parser.add_argument("--region", help="AWS region; default: the project file's, or AWS_REGION")
    parser.add_argument("--deadline", metavar="TIME", help="how long to wait; default: 30m")
    parser.add_argument(
        "--local", action="store_true", help="on the local endpoint, started where none runs"
    )


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.bootstrap.steps import preset
    from ci.bootstrap.templates import CONCERNS

    chosen = _chosen(arguments.templates)
    if arguments.deploy and arguments.out:
        raise UsageError("--deploy and --out are two things", fix="bootstrap --out FOLDER")
    if arguments.yes and not arguments.deploy:
        raise UsageError("--yes says so to --deploy alone", fix="bootstrap --deploy --yes")
    setup = _setup(arguments, shell)
    for remark in setup.remarks:
        shell.warn(f"warning: {remark}")
    templates = [CONCERNS[name].build(setup) for name in chosen]
    given = _given(arguments.given, templates)
    if arguments.deploy:
        return _deploy(arguments, shell, setup, templates, given)
    _hand_out(arguments, shell, setup, [preset(each, given) for each in templates])
    return int(ExitCode.OK)


def _chosen(names: "Sequence[str]") -> "Sequence[str]":
    from ci.bootstrap.templates import CONCERNS, USUAL

    for name in names:
        if name not in CONCERNS:
            raise UsageError(f"there is no template {name!r}", fix=f"one of: {', '.join(CONCERNS)}")
    # In the order in which one builds on the other, whatever order they were named in.
    return [name for name in CONCERNS if name in (names or USUAL)]


def _setup(arguments: argparse.Namespace, shell: Shell) -> "Setup":
    from ci.bootstrap.scope import plan_setup
    from ci.project.target import region_of_job

    project = shell.load_project()
    repository, branch = _repository(arguments, shell, project.root)
    return plan_setup(
        project,
        repository=repository,
        default_branch=branch,
        name=arguments.name,
        region=arguments.region or project.region or region_of_job(shell.environ),
    )


def _repository(arguments: argparse.Namespace, shell: Shell, root: Path) -> tuple[str, str]:
    """`owner/name` and the default branch, as the checkout or CI tells them."""
    from ci.trigger.detect import detect_trigger
    from ci.trigger.laptop import read_checkout

    branch, repository = "main", None
    try:
        branch = read_checkout(root).default_branch or branch
        repository = detect_trigger(shell.environ, root).repository
    except TriggerError:
        if not arguments.repository:
            raise
    repository = arguments.repository or repository
    if repository is None or "/" not in repository:
        raise UsageError(
            "which repository is this? Its remote does not tell",
            where=str(root),
            why="roles are for jobs of one repository",
            fix="--repository OWNER/NAME",
        )
    return repository, branch


def _given(pairs: list[str], templates: "Sequence[Template]") -> dict[str, str]:
    from ci.session.session import parse_overrides

    given = parse_overrides(pairs)
    known = {name for template in templates for name in template.parameters}
    for name in given:
        if name not in known:
            raise UsageError(
                f"no template has a parameter {name!r}", fix=f"one of: {', '.join(sorted(known))}"
            )
    return given


def _hand_out(
    arguments: argparse.Namespace, shell: Shell, setup: "Setup", templates: "Sequence[Template]"
) -> None:
    from ci.bootstrap.template import render_template
    from ci.session.writing import write_whole

    documents = []
    for template in templates:
        body = render_template(template)
        stack = f"{setup.name}-{template.name}"
        documents.append({"template": template.name, "stack": stack, "body": body})
        if arguments.out:
            file = shell.cwd / arguments.out / f"{template.name}.yaml"
            write_whole(file, body, what="the template")
            shell.show(f"{file}: deploy it as the stack {stack}")
        else:
            head = "---\n" if len(templates) > 1 else ""
            shell.show(f"{head}# The stack {stack}\n{body}".rstrip())
    shell.emit({"templates": documents, "remarks": list(setup.remarks)})


def _deploy(
    arguments: argparse.Namespace,
    shell: Shell,
    setup: "Setup",
    templates: "Sequence[Template]",
    given: "Mapping[str, str]",
) -> int:
    from ci.bootstrap.deploying import Deployment, Means, State, deploy_step
    from ci.bootstrap.standing import store_template
    from ci.cli.options import settle_deadline
    from ci.sagemaker.stacks import Stacks

    clients = _clients(arguments, shell, setup)
    ends = time.monotonic() + (settle_deadline(arguments.deadline) or _DEADLINE)
    means = Means(
        stacks=Stacks(clients),
        store=lambda body: store_template(clients, setup, body),
        sleep=shell.sleep,
        left=lambda: ends - time.monotonic(),
        show=lambda stack, changes: _show(shell, stack, changes),
    )
    done: list[Deployment] = []
    for step in _prepare(shell, clients, means.stacks, setup, templates, given):
        if isinstance(step, Deployment):
            done.append(step)
            continue
        done.append(deploy_step(means, step, execute=arguments.yes))
        _tell(shell, done[-1])
    if any(each.state is State.PROPOSED for each in done):
        shell.say("Nothing was changed. To do it: the same with --yes")
    shell.emit({"stacks": [_document(each) for each in done], "remarks": list(setup.remarks)})
    return int(ExitCode.OK)


def _prepare(
    shell: Shell,
    clients: "Clients",
    stacks: "Stacks",
    setup: "Setup",
    templates: "Sequence[Template]",
    given: "Mapping[str, str]",
) -> "list[Deployment | Step]":
    """What needs no change set, and the rest: what can be refused is, before the first change."""
    from ci.bootstrap.deploying import Deployment, State
    from ci.bootstrap.standing import known_parameters, stands_already
    from ci.bootstrap.steps import plan_step

    prepared: list[Deployment | Step] = []
    for template in templates:
        stack = f"{setup.name}-{template.name}"
        found = stacks.find(stack)
        if reason := stands_already(clients, template.name, found, setup):
            shell.say(f"{stack}: nothing to do: {reason}")
            prepared.append(Deployment(stack=stack, state=State.UNCHANGED))
            continue
        settled = {**known_parameters(clients, template.name, found), **given}
        prepared.append(plan_step(template, found, settled, stack=stack))
    return prepared


def _clients(arguments: argparse.Namespace, shell: Shell, setup: "Setup") -> "Clients":
    from ci.sagemaker.clients import open_clients
    from ci.session.session import point_at_local

    environ = shell.environ
    if arguments.local:
        environ = point_at_local(shell.load_project(), environ)
    if setup.region is None:
        raise UsageError("in which region? Nothing tells", fix="--region eu-west-1")
    return open_clients(setup.region, environ, sleep=shell.sleep)


def _show(shell: Shell, stack: str, changes: "Sequence[ResourceChange]") -> None:
    """The change set as a table: what happens to which resource, and what is made anew."""
    from ci.bootstrap.table import render_changes

    shell.say(f"{stack}: {len(changes)} change{'s' if len(changes) != 1 else ''}")
    for line in render_changes(changes):
        shell.say(f"  {line}")


def _tell(shell: Shell, done: "Deployment") -> None:
    from ci.bootstrap.deploying import State

    match done.state:
        case State.UNCHANGED:
            shell.say(f"{done.stack}: no changes")
        case State.DEPLOYED:
            shell.say(f"{done.stack}: deployed")
        case State.PROPOSED:
            return
    for name, value in done.outputs.items():
        shell.say(f"  {name}: {value}")


def _document(done: "Deployment") -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "stack": done.stack,
        "state": done.state.value,
        "changes": [asdict(each) for each in done.changes],
        "outputs": dict(done.outputs),
    }
