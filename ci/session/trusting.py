"""Decides what a pull request's project file may say about its compile on a machine of CI.

`python` runs before the child is cut off, `pass_environment` reaches into this job's secrets, and
`compile: live` hands out its credentials: all have to stand in the base commit already, or the
pull request is refused. Of a pull request from a fork the program itself must not be part of what
is checked out either; of the repository's own it may be, as long as the pull request leaves it. On
a laptop whoever runs the command has read the file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ci.compile.interpreter import find_python
from ci.errors import CompileError, TriggerError
from ci.project.document import parse_document
from ci.project.load import load_project
from ci.project.model import CompileMode, ModuleSource, Project, Target
from ci.session.session import Session
from ci.trigger.model import Door, Event, Trigger

_GUARDED = ("python", "pass_environment", "compile")
_FETCH = "actions/checkout with `fetch-depth: 0`, or: git fetch origin"
_OF_FORKS = "Have someone with write access push the setting to the base branch first."
_OF_OWN = (
    "Merge the setting by itself first, or bring the branch up to date with its base. Or leave"
    " `python` out of the project file, and give it in the job: with: python: .venv"
)


def refuse_foreign_settings(session: Session, target: Target) -> None:
    """CompileError where the code is a pull request's and the settings are from it too."""
    trigger, project = session.trigger, session.project
    proposed = session.proposed or trigger.event is Event.PULL_REQUEST
    if trigger.door is Door.LAPTOP or not (trigger.from_fork or proposed):
        return
    if not isinstance(target.pipeline.source, ModuleSource):
        return
    said = guarded_settings(_text(project.file), target.pipeline.name)
    if target.pipeline.python != load_project(project.file).pipelines[target.pipeline.name].python:
        said.pop("python", None)  # the job's own is used, and not what the file names
    moved = foreign_settings(said, _base_settings(project, trigger, target) if said else {})
    if moved:
        raise _refused(
            trigger,
            target,
            f"the pull request brings its own {' and '.join(f'`{key}`' for key in moved)}",
            fix=_OF_FORKS if trigger.from_fork else _OF_OWN,
        )
    _refuse_own_python(session, target)


def guarded_settings(text: str, pipeline: str | None = None) -> dict[str, frozenset[str]]:
    """What a project file says of a pipeline that its pull request must not decide: of each
    setting the values. None: of all pipelines together, since whoever may change one module may
    change them all. Pure."""
    data = parse_document(text).data
    pipelines = data.get("pipelines") if isinstance(data, Mapping) else None
    entries = pipelines if isinstance(pipelines, Mapping) else {}
    found: dict[str, frozenset[str]] = {}
    for name, entry in entries.items():
        if pipeline in {None, name} and isinstance(entry, Mapping):
            for key in _GUARDED:
                values = _values(entry.get(key))
                if values:
                    found[key] = found.get(key, frozenset()) | values
    return found


def _values(said: Any) -> frozenset[str]:
    values = said if isinstance(said, list) else [said] if said else []
    return frozenset(str(each) for each in values if each != CompileMode.HERMETIC)


def foreign_settings(
    said: Mapping[str, frozenset[str]], base: Mapping[str, frozenset[str]]
) -> tuple[str, ...]:
    """The settings that no pipeline of the base commit has like this. To pass fewer names of the
    environment than the base is no harm. Pure."""
    return tuple(key for key, values in said.items() if not values <= base.get(key, frozenset()))


def _base_settings(
    project: Project, trigger: Trigger, target: Target
) -> Mapping[str, frozenset[str]]:
    from ci.trigger.history import file_at

    try:
        content = None if trigger.base is None else file_at(project.file, trigger.base)
    except (TriggerError, ValueError):
        content = None
    if content is None:
        raise _unknown_base(trigger, target, "`python`, `pass_environment` and `compile: live`")
    return guarded_settings(content.decode("utf-8", "replace"))


def _refuse_own_python(session: Session, target: Target) -> None:
    """The same words may lead to another program: one that the pull request brings, or one that
    runs what it brings (`uv run` builds the project first)."""
    trigger, root = session.trigger, session.project.root
    command = find_python(target.pipeline.python, root=root, environ=session.environ)
    if trigger.from_fork and len(command) > 1:
        raise _refused(
            trigger,
            target,
            f"its Python is a command with arguments: {target.pipeline.python}",
            fix="Make the environment in the job, from the base branch's files; python: .venv",
        )
    brought = _brought(command, trigger, target, root)
    if brought is not None:
        raise _refused(
            trigger,
            target,
            f"its Python is part of what is checked out: {brought}",
            fix="Make the environment in the job, from the base branch's files."
            + ("" if trigger.from_fork else "\nOr merge the change of the program first."),
        )


def _brought(command: list[str], trigger: Trigger, target: Target, root: Path) -> Path | None:
    """The part of the command that the pull request decides."""
    from ci.trigger.changes import changed_paths
    from ci.trigger.history import tracked_names

    named = [Path(command[0]), *(root / word for word in command[1:] if (root / word).is_file())]
    for path in named:
        tracked = {name for place in _places(path) for name in tracked_names(place)}
        if tracked and trigger.from_fork:
            return path
        if tracked:
            changed = changed_paths(root, trigger.base, trigger.commit)
            if changed is None:
                raise _unknown_base(trigger, target, f"{path.name}")
            if tracked & changed:
                return path
    return None


def _places(path: Path) -> set[Path]:
    """The program, and the environment that it is of; where links lead to as well."""
    folder = path.parent.parent if path.parent.name == "bin" else path
    return {path, folder, path.resolve(), folder.resolve()}


def _unknown_base(trigger: Trigger, target: Target, what: str) -> CompileError:
    base = "the base commit" if trigger.base is None else trigger.base[:12]
    return _refused(
        trigger,
        target,
        f"{what} must be as in {base}, which is not in this checkout",
        fix=f"Fetch it: {_FETCH} {trigger.base or 'BASE'}",
    )


def _refused(trigger: Trigger, target: Target, why: str, *, fix: str) -> CompileError:
    origin = " from a fork" if trigger.from_fork else ""
    return CompileError(
        f"{target.pipeline.name} is not compiled for a pull request{origin}",
        where=f"sagemaker-gitops.yaml:{target.pipeline.line}",
        why=why,
        fix=fix,
    )


def _text(file: Path) -> str:
    return file.read_bytes().decode("utf-8-sig", "replace")
