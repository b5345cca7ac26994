"""Finds and loads the project file; tells everything that is wrong with it at once."""

import os
from pathlib import Path

from ci.errors import ProjectError
from ci.project.build import build_project
from ci.project.document import Document, Mark, Problem, parse_document
from ci.project.model import Project
from ci.project.validate import check_schema

FILE_NAME = "sagemaker-gitops.yaml"
_OTHER_NAMES = ("sagemaker-gitops.yml", ".sagemaker-gitops.yaml", ".sagemaker-gitops.yml")


class ProjectProblems(ProjectError):
    """Every problem of one project file, each with its line and column."""

    def __init__(self, file: Path, problems: tuple[Problem, ...]) -> None:
        count = f"{len(problems)} problems" if len(problems) > 1 else "a problem"
        super().__init__(f"{file.name} has {count}", where=str(file))
        self.file = file
        self.problems = problems

    def __str__(self) -> str:
        lines = [self.what]
        for problem in self.problems:
            place = f"{self.file.name}:{problem.mark.line}:{problem.mark.column}"
            lines.append(f"  {place}: {problem.what}")
            if problem.fix:
                lines.append("      fix: " + problem.fix.replace("\n", "\n" + " " * 11))
        return "\n".join(lines)


def find_project(start: Path) -> Path:
    """The nearest project file from `start` upwards, to the repository's root and no further."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
        kind = irregular(folder / FILE_NAME)
        if kind is not None:
            raise ProjectError(
                f"{FILE_NAME} is {kind}",
                where=str(folder / FILE_NAME),
                fix="remove it or move it, then: sagemaker-gitops init",
            )
        for other in _OTHER_NAMES:
            if (folder / other).is_file():
                raise ProjectError(
                    f"the project file is called {FILE_NAME}",
                    where=str(folder / other),
                    fix=f"git mv {other} {FILE_NAME}",
                )
        if (folder / ".git").exists():
            break
    raise ProjectError(
        f"there is no {FILE_NAME}",
        where=str(start),
        why="it is looked for in this folder and above it, up to the root of the repository",
        fix="sagemaker-gitops init",
    )


def irregular(file: Path) -> str | None:
    """What stands there in place of a file, in words; None where a file or nothing stands there."""
    if file.is_file() or not os.path.lexists(file):
        return None
    if file.is_dir():
        return "a directory"
    if file.is_symlink() and not file.exists():
        return f"a link to {file.readlink()}, where nothing is"
    return "no regular file"


def load_project(file: Path) -> Project:
    """The project that `file` describes. ProjectProblems names all that is wrong with it."""
    file = Path(file).absolute()
    document = parse_document(_read(file))
    if document.data is not None:
        # Where YAML was not read as one thing, what the schema has against it says nothing more.
        told = {problem.mark for problem in document.problems}
        found = (problem for problem in check_schema(document) if problem.mark not in told)
        document.problems.extend(found)
    elif not document.problems:
        document.problems.append(_empty())
    project = None if document.problems else build_project(document, file)
    if project is None or document.problems:
        raise ProjectProblems(file, _in_order(document))
    return project


def _in_order(document: Document) -> tuple[Problem, ...]:
    return tuple(sorted(document.problems, key=lambda problem: problem.mark))


def _empty() -> Problem:
    fix = "version: 1\npipelines:\n  NAME: {source: path/to/pipeline.py:get_pipeline}"
    return Problem(Mark(1, 1), "the file is empty", fix)


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ProjectError(
            "there is no such project file",
            where=str(file),
            fix="--project-file FILE, a path from this folder; or leave it out:"
            f" the nearest {FILE_NAME} is taken",
        ) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ProjectError(
            f"the project file is not UTF-8 (byte {error.start})",
            where=f"{file}:{line}",
            fix=f"iconv -f latin1 -t utf-8 {file.name}   # from what it was saved as",
        ) from None
    except OSError as error:
        raise ProjectError(
            f"the project file cannot be read: {error.strerror}", where=str(file)
        ) from error
