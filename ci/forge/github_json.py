"""GitHub's JSON as the project's own values."""

from typing import Any

from ci.errors import ForgeError
from ci.forge.model import Comment, CommitStatus, PullRequest, StatusState
from ci.forge.payload import member_in, number_in, text_in
from ci.trigger.values import moment_of

_DEPENDABOT = "dependabot[bot]"
# Of a user who is gone: https://github.com/ghost.
_GHOST = "ghost"


def read_comment(item: Any) -> Comment:
    """ForgeError for what is none. Authors can be gone."""
    number = number_in(item, "id")
    if number is None:
        raise ForgeError("the forge's answer holds no comment", why=str(item)[:200])
    return Comment(
        id=number,
        body=text_in(item, "body") or "",
        author=text_in(member_in(item, "user"), "login") or _GHOST,
        url=text_in(item, "html_url") or "",
        node=text_in(item, "node_id"),
        changed=moment_of(text_in(item, "updated_at")),
    )


def read_status(item: Any) -> CommitStatus:
    state = text_in(item, "state")
    return CommitStatus(
        context=text_in(item, "context") or "",
        state=StatusState(state) if state in set(StatusState) else StatusState.ERROR,
        description=text_in(item, "description") or "",
        url=text_in(item, "target_url"),
    )


def read_reviews(items: Any) -> tuple[tuple[str, frozenset[str]], ...]:
    """Who approved, and the environments that they let a run into, in small letters; oldest
    first."""
    listed = items if isinstance(items, list) else []
    reviews = [item for item in listed if member_in(item, "state") == "approved"]
    found = []
    for item in reversed(reviews):
        places = member_in(item, "environments")
        names = (text_in(each, "name") for each in places) if isinstance(places, list) else ()
        login = text_in(item, "user", "login")
        if login:
            found.append((login, frozenset(name.casefold() for name in names if name)))
    return tuple(found)


def read_pull_request(item: Any) -> PullRequest:
    """ForgeError for what is none."""
    number, ends = number_in(item, "number"), {}
    for name in ("head", "base"):
        end = member_in(item, name)
        ends[name] = (text_in(end, "sha"), text_in(end, "ref"), member_in(end, "repo"))
    (head, branch, theirs), (base, _, own) = ends["head"], ends["base"]
    if not (number and head and branch and base and own):
        raise ForgeError("the forge's answer holds no pull request", why=str(item)[:200])
    foreign = theirs is None or number_in(theirs, "id") != number_in(own, "id")
    return PullRequest(
        number=number,
        head=head,
        base=base,
        branch=branch,
        open=text_in(item, "state") == "open",
        merged=text_in(item, "merged_at") is not None,
        from_fork=foreign or text_in(item, "user", "login") == _DEPENDABOT,
        title=text_in(item, "title") or "",
        merge_commit=text_in(item, "merge_commit_sha"),
    )
