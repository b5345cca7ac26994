"""Finds out through which door this run came, and reads what that door shows."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ci.errors import TriggerError
from ci.trigger.codebuild import parse_codebuild, parse_codepipeline
from ci.trigger.github import parse_github
from ci.trigger.model import Event, Trigger

LARGEST_EVENT = 25 * 1024 * 1024


def detect_trigger(environ: Mapping[str, str], start: Path) -> Trigger:
    """The trigger of this run. TriggerError, with the fix, where none can be told."""
    if environ.get("GITHUB_ACTIONS") == "true":
        event = read_event(environ)
        trigger = parse_github(environ, event)
        if environ.get("GITHUB_EVENT_NAME") == "pull_request_target":
            merged = (event.get("pull_request") or {}).get("merged") is True
            _refuse_foreign_checkout(trigger, environ, start, merged=merged)
        return _with_checkout(trigger, start)
    if environ.get("CODEBUILD_BUILD_ID"):
        return _codebuild(environ, start)
    from ci.trigger.laptop import parse_checkout, read_checkout

    return parse_checkout(read_checkout(start))


def _with_checkout(trigger: Trigger, start: Path) -> Trigger:
    if trigger.event is not Event.PULL_REQUEST:
        return trigger
    from ci.trigger.laptop import resolve_commit

    held = resolve_commit(start, "HEAD")
    return trigger if held == trigger.commit else replace(trigger, checked_out=held)


def read_event(environ: Mapping[str, str]) -> dict[str, Any]:
    """The payload of a GitHub event. TriggerError where it is missing or no JSON object."""
    name = environ.get("GITHUB_EVENT_PATH")
    if not name:
        raise TriggerError("GITHUB_EVENT_PATH is not set", why="GITHUB_ACTIONS is true")
    file = Path(name)
    try:
        if file.stat().st_size > LARGEST_EVENT:
            raise TriggerError("the event's payload is larger than 25 MiB", where=name)
        event = json.loads(file.read_bytes())
    except OSError as error:
        raise TriggerError(f"the event cannot be read: {error.strerror}", where=name) from error
    except (ValueError, RecursionError) as error:
        raise TriggerError("the event is not JSON", where=name, why=str(error)) from None
    if not isinstance(event, dict):
        raise TriggerError("the event is not a JSON object", where=name)
    return event


def _codebuild(environ: Mapping[str, str], start: Path) -> Trigger:
    from ci.trigger.laptop import read_checkout

    try:
        checkout = read_checkout(start)
    except TriggerError:
        # CodePipeline hands over a zip file without history, unless told to clone.
        checkout = None
    default = checkout.default_branch if checkout else None
    if environ.get("CODEBUILD_INITIATOR", "").startswith("codepipeline/"):
        return parse_codepipeline(environ, default_branch=default)
    heads = checkout.heads if checkout else {}
    return parse_codebuild(environ, default_branch=default, heads=heads)


def _refuse_foreign_checkout(
    trigger: Trigger, environ: Mapping[str, str], start: Path, *, merged: bool
) -> None:
    """`pull_request_target` runs with the repository's secrets; a stranger's code must not. What is
    not known to be the base's is taken for the stranger's: the merge of both, a head pushed since.
    A head that was merged as it is has become the base's.
    """
    if not trigger.from_fork:
        return
    from ci.trigger.laptop import read_checkout

    own = {environ.get("GITHUB_SHA"), trigger.base} - (set() if merged else {trigger.commit})
    if read_checkout(start).commit in own:
        return
    raise TriggerError(
        "pull_request_target with a checkout of a fork's code is refused",
        why="that event has the repository's secrets and a token that may write, and what is"
        " checked out is not the base branch's commit",
        fix="on: pull_request, and post the comment from a workflow_run workflow",
    )
