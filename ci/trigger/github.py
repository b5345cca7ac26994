"""GitHub Actions: the event's payload and the runner's variables, as a Trigger. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from ci.errors import TriggerError
from ci.trigger.model import Door, Event, Remark, Trigger
from ci.trigger.values import branch_of, checked_commit, checked_package, known_commit, moment_of

Payload = Mapping[str, Any]

# The type of the repository_dispatch event that says: a model package's approval has changed.
DISPATCH = "sagemaker-approval"

_QUEUE = re.compile(r"gh-readonly-queue/.+/pr-([0-9]+)-[0-9a-f]+")


def parse_github(environ: Mapping[str, str], event: Payload) -> Trigger:
    """The trigger of a workflow run.

    `event` is the payload of GITHUB_EVENT_PATH. Another event of a pull request (a review, ...) is
    read as one of its opening; the rest (`release`, `issues`, ...) is on GITHUB_SHA.
    TriggerError for a payload without what it must have.
    """
    name = environ.get("GITHUB_EVENT_NAME", "")
    return _READERS.get(name, _plain)(environ, event)


def _get(payload: Payload, *path: str) -> Any:
    """What stands at `path`; None where anything on the way is missing or no mapping."""
    value: Any = payload
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _text(payload: Payload, *path: str) -> str | None:
    value = _get(payload, *path)
    return value if isinstance(value, str) and value else None


def _number(payload: Payload, *path: str) -> int:
    value = _get(payload, *path)
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise TriggerError(
        f"the event has no {'.'.join(path)}",
        where="GITHUB_EVENT_PATH",
        why="the payload is not the one that GitHub sends for this event",
    )


def _trigger(environ: Mapping[str, str], payload: Payload, /, **settled: Any) -> Trigger:
    repository = environ.get("GITHUB_REPOSITORY") or _text(payload, "repository", "full_name")
    return Trigger(
        door=Door.GITHUB_ACTIONS,
        **{"actor": _actor(environ), **settled},
        repository=repository,
        default_branch=_text(payload, "repository", "default_branch"),
        run_url=_run_url(environ),
    )


def _actor(environ: Mapping[str, str]) -> str | None:
    return environ.get("GITHUB_ACTOR") or None


def _run_url(environ: Mapping[str, str]) -> str | None:
    repository, run = environ.get("GITHUB_REPOSITORY"), environ.get("GITHUB_RUN_ID")
    if not repository or not run:
        return None
    server = environ.get("GITHUB_SERVER_URL") or "https://github.com"
    attempt = environ.get("GITHUB_RUN_ATTEMPT")
    return f"{server}/{repository}/actions/runs/{run}" + (f"/attempts/{attempt}" if attempt else "")


def _pull_request(environ: Mapping[str, str], event: Payload) -> Trigger:
    # A label or a review may come later on: nothing is made again for what is closed.
    closed = "closed" in (_text(event, "action"), _text(event, "pull_request", "state"))
    return _trigger(
        environ,
        event,
        event=Event.PULL_REQUEST_CLOSED if closed else Event.PULL_REQUEST,
        commit=checked_commit(_get(event, "pull_request", "head", "sha"), "pull_request.head.sha"),
        base=known_commit(_get(event, "pull_request", "base", "sha")),
        branch=_text(event, "pull_request", "head", "ref"),
        pull_request=_number(event, "pull_request", "number"),
        from_fork=_is_foreign(environ, event),
        subject=_text(event, "pull_request", "title"),
    )


def _is_foreign(environ: Mapping[str, str], event: Payload) -> bool:
    """A head in another repository, in one that is gone, or Dependabot's, whose runs get the
    rights of a fork's."""
    head = _get(event, "pull_request", "head", "repo", "id")
    base = _get(event, "pull_request", "base", "repo", "id")
    dependabot = "dependabot[bot]"
    authors = {environ.get("GITHUB_ACTOR"), _text(event, "pull_request", "user", "login")}
    return head is None or head != base or dependabot in authors


def _push(environ: Mapping[str, str], event: Payload) -> Trigger:
    if _get(event, "deleted") is True:
        return _elsewhere(environ, event, Event.DELETION)
    return _trigger(
        environ,
        event,
        event=Event.PUSH,
        commit=checked_commit(_text(event, "after") or environ.get("GITHUB_SHA"), "GITHUB_SHA"),
        base=known_commit(_get(event, "before")),
        **_where(environ, event, _text(event, "ref")),
        subject=_first_line(_text(event, "head_commit", "message")),
    )


def _where(environ: Mapping[str, str], event: Payload, reference: str | None) -> dict[str, Any]:
    branch = branch_of(reference or environ.get("GITHUB_REF"))
    default = _text(event, "repository", "default_branch")
    return {"branch": branch, "is_default_branch": branch is not None and branch == default}


def _first_line(text: str | None) -> str | None:
    return text.strip().splitlines()[0] if text and text.strip() else None


def _comment(environ: Mapping[str, str], event: Payload) -> Trigger:
    if not isinstance(_get(event, "issue", "pull_request"), Mapping):
        return _elsewhere(environ, event, Event.COMMENT)
    return _trigger(
        environ,
        event,
        event=Event.COMMENT,
        commit=checked_commit(environ.get("GITHUB_SHA"), "GITHUB_SHA"),
        pull_request=_number(event, "issue", "number"),
        from_fork=True,
        actor=_text(event, "comment", "user", "login") or _actor(environ),
        subject=_text(event, "issue", "title"),
        comment=_remark(event),
    )


def _remark(event: Payload) -> Remark | None:
    """A comment that was written just now. One that was edited or deleted orders nothing: whoever
    edits a comment is not always its author."""
    author = _text(event, "comment", "user", "login")
    if _text(event, "action") != "created" or author is None:
        return None
    return Remark(
        id=_number(event, "comment", "id"),
        body=_text(event, "comment", "body") or "",
        author=author,
        written=moment_of(_text(event, "comment", "created_at")),
        automated=_text(event, "comment", "user", "type") == "Bot",
    )


def _dispatched(environ: Mapping[str, str], event: Payload) -> Trigger:
    if _text(event, "action") != DISPATCH:
        return _plain(environ, event)
    return _trigger(
        environ,
        event,
        event=Event.APPROVAL,
        commit=checked_commit(environ.get("GITHUB_SHA"), "GITHUB_SHA"),
        **_where(environ, event, None),
        package=checked_package(_get(event, "client_payload", "package"), "client_payload.package"),
    )


def _merge_group(environ: Mapping[str, str], event: Payload) -> Trigger:
    branch = branch_of(_text(event, "merge_group", "head_ref"))
    queued = _QUEUE.fullmatch(branch or "")
    return _trigger(
        environ,
        event,
        event=Event.MERGE_GROUP,
        commit=checked_commit(_get(event, "merge_group", "head_sha"), "merge_group.head_sha"),
        base=known_commit(_get(event, "merge_group", "base_sha")),
        branch=branch,
        pull_request=int(queued[1]) if queued else None,
        subject=_first_line(_text(event, "merge_group", "head_commit", "message")),
    )


def _workflow_run(environ: Mapping[str, str], event: Payload) -> Trigger:
    run = _get(event, "workflow_run") or {}
    head, own = (
        _get(event, "workflow_run", "head_repository", "id"),
        _get(event, "repository", "id"),
    )
    foreign = head is None or head != own
    where = _where(environ, event, f"refs/heads/{_text(run, 'head_branch') or ''}")
    return _trigger(
        environ,
        event,
        event=Event.WORKFLOW_RUN,
        commit=checked_commit(_get(event, "workflow_run", "head_sha"), "workflow_run.head_sha"),
        branch=where["branch"],
        is_default_branch=where["is_default_branch"] and not foreign,
        pull_request=_named_pull(event, own),
        from_fork=foreign,
        subject=_text(run, "display_title"),
    )


def _named_pull(event: Payload, own: object) -> int | None:
    """GitHub names every pull request that the branch is the head of, those of other repositories
    in the network as well."""
    pulls = _get(event, "workflow_run", "pull_requests")
    for pull in pulls if isinstance(pulls, list) else ():
        number = _get(pull, "number")
        if _get(pull, "base", "repo", "id") in (own, None) and isinstance(number, int):
            return number
    return None


def _elsewhere(environ: Mapping[str, str], event: Payload, kind: Event) -> Trigger:
    """An event that is about no commit: GITHUB_SHA is the default branch's."""
    commit = checked_commit(environ.get("GITHUB_SHA"), "GITHUB_SHA")
    return _trigger(environ, event, event=kind, commit=commit)


def _plain(environ: Mapping[str, str], event: Payload) -> Trigger:
    if isinstance(_get(event, "pull_request"), Mapping):
        return _pull_request(environ, event)
    kind = _PLAIN.get(environ.get("GITHUB_EVENT_NAME", ""), Event.OTHER)
    where = _where(environ, event, None)
    if kind is Event.SCHEDULE or not _text(event, "repository", "default_branch"):
        # A schedule runs on the default branch alone, and its payload may name no repository.
        where["is_default_branch"] = where["branch"] is not None and kind is Event.SCHEDULE
    return _trigger(
        environ,
        event,
        event=kind,
        commit=checked_commit(environ.get("GITHUB_SHA"), "GITHUB_SHA"),
        **where,
    )


_PLAIN: Mapping[str, Event] = {
    "schedule": Event.SCHEDULE,
    "workflow_dispatch": Event.MANUAL,
    "repository_dispatch": Event.MANUAL,
}
_READERS: Mapping[str, Callable[[Mapping[str, str], Payload], Trigger]] = {
    "pull_request": _pull_request,
    "pull_request_target": _pull_request,
    "push": _push,
    "issue_comment": _comment,
    "repository_dispatch": _dispatched,
    "merge_group": _merge_group,
    "workflow_run": _workflow_run,
}
