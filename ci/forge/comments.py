"""Decides what becomes of the one comment that a pipeline in an environment has on a pull request.

Found by its marker and its author. Never posted twice, never re-posted unchanged, never put over
the comment of a newer commit. Two runners may do this at the same moment: after a create the
comments are read again, the lowest id stays, and what this run made beside it is deleted.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ci.errors import ForgeError
from ci.forge.form import form_of
from ci.forge.model import (
    Comment,
    CommentAction,
    CommentResult,
    CommentTooLong,
    Forge,
    UncertainWrite,
)
from ci.project.model import CommentPolicy
from ci.report.fit import size
from ci.report.marker import Marker, parse_marker
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
    for limit in form_of(forge).limits:
        try:
            return upsert_comment(forge, pull_request, render(limit), policy=policy)
        except CommentTooLong as error:
            problem = str(error)
        except ForgeError as error:
            return CommentResult(action=CommentAction.FAILED, problem=str(error))
    return CommentResult(action=CommentAction.FAILED, problem=problem)


def upsert_comment(
    forge: Forge,
    pull_request: int,
    body: str,
    *,
    policy: CommentPolicy = CommentPolicy.UPDATE,
    order: Sequence[str] | None = None,
) -> CommentResult:
    """Bring the comment to `body`, which begins with its marker (ValueError if not), in the form
    that the forge takes. CommentTooLong where it holds no comment of that size.

    `order` is the pull request's commits, oldest first; read from the forge where it matters
    and is not given.
    """
    marker = parse_marker(body)
    if marker is None:
        raise ValueError("the body of a comment begins with its marker")
    form = form_of(forge)
    body = form.dress(body)
    if size(body) > form.largest:
        raise CommentTooLong(
            f"the comment has {size(body)} characters, and the forge takes {form.largest}"
        )
    own = find_comments(forge, pull_request, marker)
    if not own:
        return _create(forge, pull_request, body, marker)
    if order is None:
        others = any(found.commit != marker.commit for _, found in own)
        order = forge.commit_order(pull_request) if others else ()
    for comment, found in own:
        if not same_body(comment.body, body) and is_newer(found, marker, order):
            return CommentResult(action=CommentAction.KEPT_NEWER, url=comment.url)
    last, found = own[-1]
    if policy is CommentPolicy.UPDATE:
        return _settle(forge, [comment for comment, _ in own], body)
    if found.commit == marker.commit:
        return _update(forge, last, body)
    return _replace(forge, pull_request, body, [comment for comment, _ in own], policy)


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


def _create(forge: Forge, pull_request: int, body: str, marker: Marker) -> CommentResult:
    try:
        made: Comment | None = forge.create_comment(pull_request, body)
    except UncertainWrite:
        made = None
    own = find_comments(forge, pull_request, marker)
    if made is None and not own:
        made = forge.create_comment(pull_request, body)
        own = find_comments(forge, pull_request, marker)
    if not own or (made is not None and own[0][0].id == made.id):
        return CommentResult(action=CommentAction.CREATED, url=made.url if made else None)
    kept, theirs = own[0]
    order = forge.commit_order(pull_request) if theirs.commit != marker.commit else ()
    if not same_body(kept.body, body) and is_newer(theirs, marker, order):
        if made is not None:
            forge.delete_comment(made)
        return CommentResult(action=CommentAction.KEPT_NEWER, url=kept.url)
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


def _replace(
    forge: Forge, pull_request: int, body: str, old: Sequence[Comment], policy: CommentPolicy
) -> CommentResult:
    """The new comment first: a run that ends in between leaves one too many, never none."""
    made = forge.create_comment(pull_request, body)
    for comment in old:
        if policy is CommentPolicy.DELETE_AND_NEW:
            forge.delete_comment(comment)
        elif policy is CommentPolicy.HIDE_AND_NEW:
            forge.minimise_comment(comment)
    return CommentResult(action=CommentAction.CREATED, url=made.url)


def same_body(left: str, right: str) -> bool:
    """GitHub stores bodies with its own line ends and without trailing space."""
    return left.replace("\r\n", "\n").strip() == right.replace("\r\n", "\n").strip()
