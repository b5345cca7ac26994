"""Decides what a project file of someone without write access may say about a compile.

`python` runs before the child is cut off, and `pass_environment` reaches into this job's secrets:
on a machine of CI both have to stand in the base commit already, or the pull request is refused.
On a laptop whoever runs the command has read the file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ci.compile.interpreter import find_python
from ci.errors import CompileError, TriggerError
from ci.project.document import parse_document
from ci.project.model import ModuleSource, Project, Target
from ci.session.session import Session
from ci.trigger.model import Door, Trigger

_GUARDED = ("python", "pass_environment")
_FETCH = "actions/checkout with `fetch-depth: 0`, or: git fetch origin"


def refuse_foreign_settings(session: Session, target: Target) -> None:
    """CompileError where the code comes from a fork and the settings from it too."""
    trigger, project = session.trigger, session.project
    if trigger.door is Door.LAPTOP or not trigger.from_fork:
        return
    if not isinstance(target.pipeline.source, ModuleSource):
        return
    name = target.pipeline.name
    said = guarded_settings(_text(project.file), name)
    moved = foreign_settings(said, _base_settings(project, trigger, name) if said else {})
    if moved:
        raise _refused(
            target,
            f"the pull request brings its own {' and '.join(f'`{key}`' for key in moved)}",
            fix="Have someone with write access push the setting to the base branch first.",
        )
    _refuse_own_python(session, target)


def guarded_settings(text: str, pipeline: str) -> dict[str, Any]:
    """What a project file says of a pipeline that a stranger must not decide. Pure."""
    data = parse_document(text).data
    pipelines = data.get("pipelines") if isinstance(data, Mapping) else None
    entry = pipelines.get(pipeline) if isinstance(pipelines, Mapping) else None
    if not isinstance(entry, Mapping):
        return {}
    return {key: entry[key] for key in _GUARDED if entry.get(key)}


def foreign_settings(said: Mapping[str, Any], base: Mapping[str, Any]) -> tuple[str, ...]:
    """The settings that the base commit does not have like this. To pass fewer names of the
    environment than the base is no harm. Pure."""
    moved = []
    for key, value in said.items():
        known = base.get(key)
        if isinstance(value, list) and isinstance(known, list):
            if not set(value) <= set(known):
                moved.append(key)
        elif value != known:
            moved.append(key)
    return tuple(moved)


def _base_settings(project: Project, trigger: Trigger, pipeline: str) -> dict[str, Any]:
    from ci.trigger.history import file_at

    try:
        content = None if trigger.base is None else file_at(project.file, trigger.base)
    except (TriggerError, ValueError):
        content = None
    if content is None:
        base = "the base commit" if trigger.base is None else trigger.base[:12]
        raise CompileError(
            f"{pipeline} is not compiled for a pull request from a fork",
            where=str(project.file),
            why=f"`python` and `pass_environment` must be those of {base}, which is not in this"
            " checkout",
            fix=f"Fetch it: {_FETCH} {trigger.base or 'BASE'}",
        )
    return guarded_settings(content.decode("utf-8", "replace"), pipeline)


def _refuse_own_python(session: Session, target: Target) -> None:
    """The same words may lead to another program: one that the pull request brings, or one that
    runs what it brings (`uv run` builds the project first)."""
    from ci.trigger.history import is_tracked

    root = session.project.root
    command = find_python(target.pipeline.python, root=root, environ=session.environ)
    if len(command) > 1:
        raise _refused(
            target,
            f"its Python is a command with arguments: {target.pipeline.python}",
            fix="Make the environment in the job, from the base branch's files; python: .venv",
        )
    path = Path(command[0])
    folder = path.parent.parent if path.parent.name == "bin" else path
    if is_tracked(path) or is_tracked(folder):
        raise _refused(
            target,
            f"its Python is part of what is checked out: {path}",
            fix="Make the environment in the job, from the base branch's files.",
        )


def _refused(target: Target, why: str, *, fix: str) -> CompileError:
    return CompileError(
        f"{target.pipeline.name} is not compiled for a pull request from a fork",
        where=f"sagemaker-gitops.yaml:{target.pipeline.line}",
        why=why,
        fix=fix,
    )


def _text(file: Path) -> str:
    return file.read_bytes().decode("utf-8-sig", "replace")
