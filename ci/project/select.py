"""Which pipelines a commit touches, by git-style globs."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from ci.project.model import Pipeline, Project
from ci.project.target import find_pipeline


def select_pipelines(
    project: Project, names: Sequence[str] = (), changed_paths: Iterable[str] | None = None
) -> tuple[Pipeline, ...]:
    """The pipelines to work on, in the order of the project file (named ones as named, once).

    Names decide alone. Without them a pipeline counts where it has no `paths`, where a changed
    path matches one of them, or where the project file itself changed; None for `changed_paths`
    (the history cannot tell) takes all. Paths are relative to the project file's folder, with
    forward slashes.
    """
    if names:
        return tuple(find_pipeline(project, name) for name in dict.fromkeys(names))
    everything = tuple(project.pipelines.values())
    if changed_paths is None:
        return everything
    changed = tuple(changed_paths)
    if project.file.name in changed:
        return everything
    return tuple(
        pipeline
        for pipeline in everything
        if not pipeline.paths or any(touches(pipeline.paths, path) for path in changed)
    )


def touches(patterns: Sequence[str], path: str) -> bool:
    """Whether the last pattern that matches takes `path`; a leading `!` takes it out."""
    taken = False
    for pattern in patterns:
        negated = pattern.startswith("!")
        if matches_glob(pattern[1:] if negated else pattern, path):
            taken = not negated
    return taken


def matches_glob(pattern: str, path: str) -> bool:
    """Git's rules for a path from the root: `*` and `?` stay within a folder, `**` crosses
    folders, a folder's name takes all that is in it."""
    return _compiled(pattern).fullmatch(path) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = [part for part in pattern.strip("/").split("/") if part not in ("", ".")]
    text = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            text += ".*" if last else "(?:[^/]+/)*"
        else:
            text += _segment(part) + ("(?:/.*)?" if last else "/")
    try:
        return re.compile(text, re.DOTALL)
    except re.error:
        return re.compile(re.escape(pattern))


def _segment(part: str) -> str:
    text, position = "", 0
    while position < len(part):
        character = part[position]
        position += 1
        if character == "*":
            text += "" if text.endswith("[^/]*") else "[^/]*"
        elif character == "?":
            text += "[^/]"
        elif character == "[" and (end := part.find("]", position + 1)) > 0:
            text += _set(part[position:end])
            position = end + 1
        else:
            text += re.escape(character)
    return text


def _set(body: str) -> str:
    negated = body[0] in "!^"
    members = body[1:] if negated else body
    inner = re.sub(r"(\w)-(\w)|(.)", _member, members, flags=re.DOTALL)
    return f"(?!/)[{'^' if negated else ''}{inner}]" if inner else re.escape(f"[{body}]")


def _member(match: re.Match[str]) -> str:
    first, last, single = match.groups()
    return re.escape(single) if single else f"{first}-{last}"
