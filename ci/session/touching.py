"""Which pipelines a commit touches, and what to fetch where the history cannot tell."""

from dataclasses import dataclass
from pathlib import Path

from ci.errors import TriggerError
from ci.project.model import Pipeline, Project
from ci.project.select import select_pipelines
from ci.trigger.access import NoRepository
from ci.trigger.changes import changed_paths, relative_to
from ci.trigger.history import open_repository
from ci.trigger.model import Trigger

_FETCH = "actions/checkout with `fetch-depth: 0`, or git fetch --unshallow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """`problem` says why all pipelines count, None where the history told."""

    pipelines: tuple[Pipeline, ...]
    problem: str | None = None


def touched_pipelines(project: Project, trigger: Trigger) -> Touched:
    """The pipelines whose `paths` the trigger's change touches; all where that cannot be told."""
    everything = select_pipelines(project)
    if not any(pipeline.paths for pipeline in everything):
        return Touched(pipelines=everything)
    if trigger.base is None:
        return Touched(pipelines=everything, problem="nothing tells what this change counts from")
    try:
        root = _root(project.root)
        changed = changed_paths(project.root, trigger.base, trigger.commit)
    except NoRepository as error:
        return Touched(pipelines=everything, problem=error.what)
    except TriggerError as error:
        way_out = f"; {error.fix}" if error.fix else ""
        return Touched(pipelines=everything, problem=error.what + way_out)
    if changed is None:
        base = trigger.base[:12]
        return Touched(
            pipelines=everything,
            problem=f"the history does not reach back to {base}; fetch it: {_FETCH}",
        )
    folder = project.root.resolve().relative_to(root).as_posix()
    return Touched(pipelines=select_pipelines(project, (), relative_to(changed, folder)))


def _root(start: Path) -> Path:
    with open_repository(start) as repository:
        return Path(str(repository.working_tree_dir)).resolve()
