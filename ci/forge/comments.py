"""Decides what becomes of the one comment that a pipeline in an environment has on a pull request.

Found by its marker and its author. Never posted twice, never re-posted unchanged, never put over
the comment of a newer commit. Two runners may do this at the same moment: after a create the
comments are read again, the lowest id stays, and what this run made beside it is deleted.

By every policy but `update` each commit has a comment of its own. The new one is posted first: a
run that ends in between leaves one too many, never none, and the next one retires the older.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ci.errors import ForgeError
from ci.forge.form import form_of, outdated
from ci.forge.model import (
    Comment,
    CommentAction,
    CommentResult,
    CommentTooLong,
    Forge,
    Hiding,
    PermissionMissing,
    UncertainWrite,
)
from ci.project.model import CommentPolicy
from ci.report.fit import size
from ci.report.marker import Marker, parse_marker, restate
from ci.report.model import State

Render = Callable[[int], str]


def post_comment(
    forge: Forge,
    pull_request: int,
    render: Render,
    *,
    policy: CommentPolicy = CommentPolicy.UPDATE,
) -> CommentResult:
    """Post or update; whatever the forge refuses is told in `problem` and ends nothing.

    `render` makes the comment within a limit of characters.
    """
    return _shortened(
        forge, render, lambda body: upsert_comment(forge, pull_request, body, policy=policy)
    )


def amend_comment(
    forge: Forge, pull_request: int, render: Render, *, policy: CommentPolicy
) -> CommentResult:
    """Bring the comment that the commit has, if it has one, to what `render` makes: the last word
    of a run that a newer commit has overtaken. Nothing is posted anew."""
    return _shortened(forge, render, lambda body: _amend(forge, pull_request, body, policy))


def _shortened(forge: Forge, render: Render, put: Callable[[str], CommentResult]) -> CommentResult:
    refused: ForgeError | None = None
    for limit in form_of(forge).limits:
        try:
            return put(render(limit))
        except CommentTooLong as error:
            refused = error
        except ForgeError as error:
            refused = error
            break
    return CommentResult(action=CommentAction.FAILED, problem=str(refused), refused=refused)


def _amend(forge: Forge, pull_request: int, body: str, policy: CommentPolicy) -> CommentResult:
    marker, body = _dressed(forge, body)
    own = find_comments(forge, pull_request, marker)
    mine = [comment for comment, found in own if found.commit == marker.commit]
    if not mine:
        return CommentResult(action=CommentAction.KEPT_NEWER)
    result = _settle(forge, mine, body)
    if policy is CommentPolicy.HIDE_AND_NEW and result.action is CommentAction.UPDATED:
        _fold(forge, replace(mine[0], body=body))
    return result


def upsert_comment(
    forge: Forge,
    pull_request: int,
    body: str,
    *,
    policy: CommentPolicy = CommentPolicy.UPDATE,
) -> CommentResult:
    """Bring the comment to `body`, which begins with its marker (ValueError if not), in the form
    that the forge takes. CommentTooLong where it holds no comment of that size. The order of the
    pull request's commits is read from the forge only where a comment is of another commit."""
    marker, body = _dressed(forge, body)
    own = find_comments(forge, pull_request, marker)
    others = any(found.commit != marker.commit for _, found in own)
    order = forge.commit_order(pull_request) if others else ()
    for comment, found in own:
        if not same_body(comment.body, body) and is_newer(found, marker, order):
            return _kept(comment, found, marker)
    apart = policy is not CommentPolicy.UPDATE
    mine = [comment for comment, found in own if not apart or found.commit == marker.commit]
    if mine:
        result = _settle(forge, mine, body)
    else:
        result = _create(forge, pull_request, body, marker, apart=apart)
    if apart:
        _retire(forge, [pair for pair in own if pair[1].commit != marker.commit], policy, marker)
    return result


def _dressed(forge: Forge, body: str) -> tuple[Marker, str]:
    marker = parse_marker(body)
    if marker is None:
        raise ValueError("the body of a comment begins with its marker")
    form = form_of(forge)
    body = form.dress(body)
    if size(body) > form.largest:
        raise CommentTooLong(
            f"the comment has {size(body)} characters, and the forge takes {form.largest}"
        )
    return marker, body


def _kept(comment: Comment, found: Marker, marker: Marker) -> CommentResult:
    newer = found.commit if found.commit != marker.commit else None
    return CommentResult(action=CommentAction.KEPT_NEWER, url=comment.url, newer=newer)


def find_comments(
    forge: Forge, pull_request: int, marker: Marker
) -> tuple[tuple[Comment, Marker], ...]:
    """Our comments on this pipeline in this environment, oldest first. Another author's comment
    is left alone whatever its marker says: anyone can write one."""
    login = forge.whoami().lower()
    found = []
    for comment in forge.comments(pull_request):
        other = parse_marker(comment.body)
        if other and other.same_subject(marker) and comment.author.lower() == login:
            found.append((comment, other))
    return tuple(found)


def is_newer(found: Marker, ours: Marker, order: Sequence[str]) -> bool:
    """Whether the comment that is there must stay.

    A commit that is no longer part of the pull request (force push) is older than one that is.
    Of one execution, the end is newer than the running; a new execution of the same commit may
    begin again.
    """
    if found.commit == ours.commit:
        same_run = found.execution is not None and found.execution == ours.execution
        ended = found.state in {State.FINAL, State.SUPERSEDED}
        return same_run and ended and ours.state in {State.RUNNING, State.PLANNED}
    place = {commit: index for index, commit in enumerate(order)}
    return place.get(found.commit, -1) > place.get(ours.commit, -1)


def _create(
    forge: Forge, pull_request: int, body: str, marker: Marker, *, apart: bool
) -> CommentResult:
    """`apart`: comments of other commits are none of this one's business."""

    def look() -> Sequence[tuple[Comment, Marker]]:
        found = find_comments(forge, pull_request, marker)
        return [pair for pair in found if not apart or pair[1].commit == marker.commit]

    try:
        made: Comment | None = forge.create_comment(pull_request, body)
    except UncertainWrite:
        made = None
    own = look()
    if made is None and not own:
        made = forge.create_comment(pull_request, body)
        own = look()
    if not own or (made is not None and own[0][0].id == made.id):
        return CommentResult(action=CommentAction.CREATED, url=made.url if made else None)
    kept, theirs = own[0]
    order = forge.commit_order(pull_request) if theirs.commit != marker.commit else ()
    if not same_body(kept.body, body) and is_newer(theirs, marker, order):
        if made is not None:
            forge.delete_comment(made)
        return _kept(kept, theirs, marker)
    result = _settle(forge, [kept, made] if made is not None else [kept], body)
    created = made is None and result.action is CommentAction.UNCHANGED
    return replace(result, action=CommentAction.CREATED) if created else result


def _settle(forge: Forge, own: Sequence[Comment], body: str) -> CommentResult:
    """The oldest comment says `body`; what a race or a killed run left beside it goes."""
    result = _update(forge, own[0], body)
    for duplicate in own[1:]:
        forge.delete_comment(duplicate)
    return result


def _update(forge: Forge, comment: Comment, body: str) -> CommentResult:
    if same_body(comment.body, body):
        return CommentResult(action=CommentAction.UNCHANGED, url=comment.url)
    updated = forge.update_comment(comment, body)
    return CommentResult(action=CommentAction.UPDATED, url=updated.url)


def _retire(
    forge: Forge,
    old: Sequence[tuple[Comment, Marker]],
    policy: CommentPolicy,
    newer: Marker,
) -> None:
    """What becomes of the comments of older commits. One that says so already was retired."""
    refused: PermissionMissing | None = None
    for comment, found in old:
        if policy is CommentPolicy.DELETE_AND_NEW:
            forge.delete_comment(comment)
        elif policy is CommentPolicy.HIDE_AND_NEW and not isinstance(forge, Hiding):
            _fold(forge, comment)
        elif found.state is not State.SUPERSEDED:
            if policy is CommentPolicy.HIDE_AND_NEW:
                refused = _hide(forge, comment) or refused
            note = f"_Superseded: commit `{newer.commit[:12]}` has a report of its own._"
            body = restate(comment.body, State.SUPERSEDED, note=note)
            form = form_of(forge)
            if size(body) > min(form.limits[0], form.largest):
                body = restate(body.partition("\n")[0], State.SUPERSEDED, note=note)
            forge.update_comment(comment, body)
    if refused is not None:
        raise refused


def _hide(forge: Forge, comment: Comment) -> PermissionMissing | None:
    """Before its text says that it is retired, so that a run that ends in between leaves it to the
    next. Who may not is told that, once the text stands in for it."""
    try:
        _fold(forge, comment)
    except PermissionMissing as error:
        return error
    return None


def _fold(forge: Forge, comment: Comment) -> None:
    if isinstance(forge, Hiding):
        forge.minimise_comment(comment)
        return
    folded = outdated(comment.body, form_of(forge))
    if folded != comment.body:
        forge.update_comment(comment, folded)


def same_body(left: str, right: str) -> bool:
    """GitHub stores bodies with its own line ends and without trailing space."""
    return left.replace("\r\n", "\n").strip() == right.replace("\r\n", "\n").strip()
