"""Posts what a job without the right to write has left: a fork's plan, from a `workflow_run` job.

The files come from code that nobody reviewed. They say nothing of where they are posted, they may
only be plans of the very commit that the event names, and a reader is told where they come from.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ci.errors import ForgeError, UsageError
from ci.forge.comments import upsert_comment
from ci.forge.github import GitHub
from ci.forge.handoff import read_comment_file
from ci.forge.model import CommentResult
from ci.report.marker import parse_marker, render_marker
from ci.report.model import State
from ci.trigger.model import Trigger

_MOST_FILES = 20
_MENTION = re.compile(r"@(?=[A-Za-z0-9])")
_BROKEN = "@\N{ZERO WIDTH SPACE}"
_NOTE = (
    "> [!NOTE]\n> This plan was made by the pull request's own code, in a job without "
    "credentials. Nothing in it was verified.\n"
)


def comment_files(places: list[Path]) -> list[Path]:
    """The Markdown files that were named, and those in the folders that were; a folder that is
    not there holds none. UsageError where there are more than a plan can leave."""
    found: list[Path] = []
    for place in places:
        found += [place] if place.suffix == ".md" else sorted(place.glob("*.md"))
    if len(found) > _MOST_FILES:
        raise UsageError(
            f"{len(found)} comment files were found, and a plan leaves {_MOST_FILES} at most",
            where=", ".join(map(str, places)),
        )
    return found


def find_pull_request(forge: GitHub, trigger: Trigger, event: Mapping[str, Any]) -> int | None:
    """The pull request of the workflow run; GitHub names it in the event for its own branches
    alone. None where it is closed, or has moved on: then the newer commit's own run posts."""
    run = event.get("workflow_run") or {}
    owner = ((run.get("head_repository") or {}).get("owner") or {}).get("login")
    number = trigger.pull_request
    if number is not None:
        found = forge.pull_request(number)
        return number if found.open and found.head == trigger.commit else None
    if owner and trigger.branch:
        return forge.pull_request_with_head(f"{owner}:{trigger.branch}", trigger.commit)
    return None


def post_file(forge: GitHub, number: int, file: Path, *, commit: str) -> CommentResult:
    """Post one file's comment. ForgeError for anything that is not a plan of this commit."""
    body = read_comment_file(file, commit=commit)
    marker = parse_marker(body)
    if marker is None or marker.state is not State.PLANNED or marker.execution is not None:
        raise ForgeError(
            "the comment file is not a plan",
            where=str(file),
            why="only a plan can come from a fork",
        )
    # A marker of our own: what a foreign job says it planned must not count as reviewed.
    line = render_marker(replace(marker, plan=None, digest=None))
    _, _, rest = body.lstrip().partition("\n")
    return upsert_comment(forge, number, f"{line}\n{_NOTE}\n{_MENTION.sub(_BROKEN, rest)}")
