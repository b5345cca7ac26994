"""`validate`: the project file, and the definitions it names, without AWS."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING

from ci.cli.options import add_python_option, settle_project
from ci.cli.shell import Shell
from ci.errors import ExitCode
from ci.text.paths import shown_path
from ci.trigger.model import Door, Event, Trigger

if TYPE_CHECKING:
    from ci.definition.model import Definition, Problem
    from ci.errors import ProjectError
    from ci.project.model import Pipeline, Project, Target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pipelines", nargs="*", metavar="PIPELINE", help="default: all")
    parser.add_argument(
        "--compile", action="store_true", help="compile modules too, and check what comes of them"
    )
    add_python_option(parser)


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.project.select import select_pipelines

    project = settle_project(arguments, shell)
    chosen = select_pipelines(project, arguments.pipelines)
    definitions: dict[str, Definition] = {}
    documents = [
        _check(project, pipeline, shell, definitions, compiles=arguments.compile)
        for pipeline in chosen
    ]
    undeclared = list(_undeclared(project, definitions, shell))
    for problem in undeclared:
        _tell(problem, project.file.name, shell)
    good = not undeclared and all(not document["problems"] for document in documents)
    shell.emit(
        {
            "project_file": str(project.file),
            "valid": good,
            "problems": [asdict(each) for each in undeclared],
            "pipelines": documents,
        }
    )
    return ExitCode.OK if good else ExitCode.USAGE


def _undeclared(
    project: "Project", definitions: "Mapping[str, Definition]", shell: Shell
) -> Iterator["Problem"]:
    """Parameters of any environment that no pipeline declares. A warning where not all were checked
    that could; a project's only pipeline tells them with its own problems."""
    from ci.session.parameters import find_undeclared

    if not definitions:
        return
    main = project.environments["main"]
    for found in find_undeclared(project, main, definitions):
        refusal = found.refusal(project.file)
        if not found.known:
            shell.warn(f"warning: {refusal.where}: {refusal.what}")
        elif len(project.pipelines) > 1:
            yield _as_problem(refusal)


def _as_problem(error: "ProjectError") -> "Problem":
    from ci.definition.model import Problem

    return Problem(rule="project-file", path=str(error.where), message=error.what, fix=error.fix)


def _check(
    project: "Project",
    pipeline: "Pipeline",
    shell: Shell,
    definitions: "dict[str, Definition]",
    *,
    compiles: bool,
) -> dict[str, object]:
    """What is wrong with one; its definition is put among `definitions`."""
    from ci.definition.validate import find_problems

    shown = shown_path(pipeline.source.file, project.root)
    definition = _definition(project, pipeline, shell, compiles=compiles)
    if definition is None:
        shell.show(f"{pipeline.name}: {shown} is there; --compile checks what it compiles to")
        return {"name": pipeline.name, "source": shown, "checked": False, "problems": []}
    definitions[pipeline.name] = definition
    given = {**pipeline.parameters, **project.environments["main"].parameters}
    problems = (*find_problems(definition, given=given), *_misfits(project, pipeline, definition))
    shell.show(f"{pipeline.name}: {shown}: {_counted(len(problems))}")
    for problem in problems:
        _tell(problem, shown, shell)
    return {
        "name": pipeline.name,
        "source": shown,
        "checked": True,
        "problems": [asdict(each) for each in problems],
    }


def _misfits(
    project: "Project", pipeline: "Pipeline", definition: "Definition"
) -> Iterator["Problem"]:
    """What the project file says of the pipeline, and the definition does not have."""
    from ci.errors import ProjectError
    from ci.execution.identity import execution_parameters
    from ci.session.parameters import (
        compiles_alike,
        own_parameters,
        refuse_gates,
        refuse_parameters,
    )

    main, file = project.environments["main"], project.file
    checks: list[Callable[[], None]] = []
    for place in project.environments.values():
        if not compiles_alike(pipeline, main, place):
            continue
        named = {**pipeline.parameters, **place.parameters}
        own = own_parameters(named, definition, pipeline, alone=len(project.pipelines) == 1)
        given = execution_parameters({}, own, commit="")
        if place is not main:  # a template is filled in with what only a run knows
            given = {name: text for name, text in given.items() if "{" not in text}
        checks.append(
            partial(refuse_parameters, definition, pipeline, place, given, overrides={}, file=file)
        )
    checks.append(partial(refuse_gates, definition, pipeline, file=file))
    told: set[str] = set()
    for check in checks:
        try:
            check()
        except ProjectError as error:
            if str(error.where) not in told:  # a pipeline's own are those of every environment
                told.add(str(error.where))
                yield _as_problem(error)


def _definition(
    project: "Project", pipeline: "Pipeline", shell: Shell, *, compiles: bool
) -> "Definition | None":
    """The definition of a file, or of a module that was compiled; None for one that was not."""
    from ci.definition.parse import definition_of, parse_definition
    from ci.project.model import DefinitionSource

    source = pipeline.source
    if isinstance(source, DefinitionSource):
        from ci.compile.compile import read_definition_file

        return definition_of(read_definition_file(source.file), where=str(source.file))
    if not compiles:
        from ci.compile.unread import check_unread

        check_unread(pipeline, source, root=project.root, environ=shell.environ)
        return None
    from ci.compile.compile import compile_pipeline

    target = _target(project, pipeline, shell)
    bundle = compile_pipeline(target, environ=shell.environ, root=project.root)
    return parse_definition(bundle.definition, where=shown_path(source.file, project.root))


def _target(project: "Project", pipeline: "Pipeline", shell: Shell) -> "Target":
    """As `deploy` has it on main, so that it finds what was compiled here: with `--local` where the
    project file names no role. Forks are refused as before any other compile."""
    from ci.session.job import refuse_live_compile
    from ci.session.session import LOCAL_REGION, LOCAL_ROLE, open_session
    from ci.session.trusting import refuse_foreign_settings

    trigger = _trigger(project, shell)
    asked = trigger or _NOBODY
    session = open_session(
        project,
        # A name may hold the branch, and a detached HEAD has none.
        replace(asked, branch=asked.branch or _NOBODY.branch),
        environ=shell.environ,
        environment="main",
        local=False,
    )
    session = replace(
        session, role_default=LOCAL_ROLE, region_default=session.region_default or LOCAL_REGION
    )
    target = session.target(pipeline.name)
    if trigger is not None:
        refuse_live_compile(target, trigger)
        refuse_foreign_settings(session, target)
    return target


def _trigger(project: "Project", shell: Shell) -> Trigger | None:
    """None outside of a repository: there is no fork then. But a job whose trigger cannot be told
    may hold secrets, and gets the error."""
    from ci.errors import TriggerError
    from ci.trigger.detect import detect_trigger

    try:
        return detect_trigger(shell.environ, project.root)
    except TriggerError:
        if shell.environ.keys() & {"GITHUB_ACTIONS", "CODEBUILD_BUILD_ID"}:
            raise
        return None


# Nothing is deployed: the commit and the branch only fill names that nobody sees.
_NOBODY = Trigger(door=Door.LAPTOP, event=Event.MANUAL, commit="0" * 40, branch="validate")


def _counted(count: int) -> str:
    return "valid" if not count else "1 problem" if count == 1 else f"{count} problems"


def _tell(problem: "Problem", shown: str, shell: Shell) -> None:
    step = f" (step {problem.step})" if problem.step else ""
    shell.show(f"  {problem.path}{step}: {problem.message}  [{problem.rule}]")
    if problem.fix:
        shell.show(f"      fix: {problem.fix}")
    fix = f"\nfix: {problem.fix}" if problem.fix else ""
    message = f"{problem.path}{step}: {problem.message}{fix}"
    shell.workflow("error", message, file=shown, title=problem.rule)
