"""Keeps the one comment in which a pull request's orders are answered.

One for each pull request, edited: however many orders come, wrong ones included, the conversation
grows by one comment. Found by its first line and its author, as reports are.
"""

from ci.forge.comments import same_body
from ci.forge.form import form_of
from ci.forge.model import Comment, Forge

_MARK = "<!-- sagemaker-gitops-answers -->"


def put_reply(forge: Forge, number: int, text: str) -> str:
    """Make the answer say `text`, Markdown that is safe to show; the comment's address."""
    body = form_of(forge).dress(f"{_MARK}\n{text}\n")
    own = find_reply(forge, number)
    if own is None:
        return forge.create_comment(number, body).url
    if not same_body(own.body, body):
        return forge.update_comment(own, body).url
    return own.url


def find_reply(forge: Forge, number: int) -> Comment | None:
    login = forge.whoami().lower()
    mark = form_of(forge).dress(f"{_MARK}\n").split("\n")[0]
    return next(
        (
            comment
            for comment in forge.comments(number)
            if comment.author.lower() == login and comment.body.lstrip().startswith(mark)
        ),
        None,
    )
