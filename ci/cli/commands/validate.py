"""`validate`: the project file, and the definitions it names, without AWS."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ci.cli.shell import Shell
from ci.errors import DefinitionError, ExitCode

if TYPE_CHECKING:
    from ci.definition.model import Definition, Problem
    from ci.project.model import Pipeline, Project


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pipelines", nargs="*", metavar="PIPELINE", help="default: all")


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.project.select import select_pipelines

    project = shell.load_project()
    chosen = select_pipelines(project, arguments.pipelines)
    documents = [_check(project, pipeline, shell) for pipeline in chosen]
    good = all(not document["problems"] for document in documents)
    shell.emit({"project_file": str(project.file), "valid": good, "pipelines": documents})
    return ExitCode.OK if good else ExitCode.USAGE


def _check(project: "Project", pipeline: "Pipeline", shell: Shell) -> dict[str, object]:
    from ci.project.model import DefinitionSource

    source = pipeline.source
    shown = _shown(source.file, project.root)
    if not isinstance(source, DefinitionSource):
        shell.say(f"{pipeline.name}: {shown} is there; it was not compiled")
        return {"name": pipeline.name, "source": shown, "checked": False, "problems": []}
    from ci.definition.validate import find_problems

    main = project.environments["main"]
    given = {**pipeline.parameters, **main.parameters}
    problems = find_problems(read_definition(source.file), given=given)
    count = len(problems)
    said = "valid" if not count else "1 problem" if count == 1 else f"{count} problems"
    shell.say(f"{pipeline.name}: {shown}: {said}")
    for problem in problems:
        _tell(problem, shown, shell)
    return {
        "name": pipeline.name,
        "source": shown,
        "checked": True,
        "problems": [
            {
                "rule": each.rule,
                "path": each.path,
                "step": each.step,
                "message": each.message,
                "fix": each.fix,
            }
            for each in problems
        ],
    }


def read_definition(file: Path) -> "Definition":
    """A definition file, JSON or YAML. DefinitionError for one that cannot be read."""
    from ci.definition.parse import definition_of, parse_definition

    try:
        data = file.read_bytes()
    except OSError as error:
        raise DefinitionError(
            f"the definition cannot be read: {error.strerror}", where=str(file)
        ) from error
    if file.suffix == ".json":
        return parse_definition(data, where=str(file))
    from ci.project.document import parse_document

    try:
        document = parse_document(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise DefinitionError("the definition is not UTF-8", where=str(file)) from None
    for problem in document.problems:
        place = f"{file}:{problem.mark.line}:{problem.mark.column}"
        raise DefinitionError(problem.what, where=place, fix=problem.fix)
    return definition_of(document.data, where=str(file))


def _tell(problem: "Problem", shown: str, shell: Shell) -> None:
    step = f" (step {problem.step})" if problem.step else ""
    shell.say(f"  {problem.path}{step}: {problem.message}  [{problem.rule}]")
    if problem.fix:
        shell.say(f"      fix: {problem.fix}")
    fix = f"\nfix: {problem.fix}" if problem.fix else ""
    message = f"{problem.path}{step}: {problem.message}{fix}"
    shell.workflow("error", message, file=shown, title=problem.rule)


def _shown(file: Path, root: Path) -> str:
    return str(file.relative_to(root)) if file.is_relative_to(root) else str(file)
