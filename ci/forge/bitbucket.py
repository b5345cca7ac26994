"""Bitbucket Cloud as a forge."""

import base64
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any
from urllib.parse import quote

from ci.errors import ForgeError
from ci.forge.form import CommentForm
from ci.forge.http import Client, Manners
from ci.forge.model import Comment, CommitStatus, PermissionMissing, PullRequest, StatusState
from ci.forge.origin import Candidate, origin_of
from ci.forge.payload import member_in, number_in, text_in
from ci.report.dialect import without_html

API = "https://api.bitbucket.org/2.0"
_ADVICE = (
    "a repository access token with the scopes `pullrequest:write` and `repository:write`,"
    " as BITBUCKET_TOKEN"
)
# 32,768 characters are known to be refused; Bitbucket documents no figure.
_FORM = CommentForm(limits=(32_000, 24_000, 12_000), largest=32_000, dress=without_html)
# An access token may not ask who it is. Comments of access tokens come from app users.
_APP_USER = "an app user"

_STATES = {
    StatusState.PENDING: "INPROGRESS",
    StatusState.SUCCESS: "SUCCESSFUL",
    StatusState.FAILURE: "FAILED",
    StatusState.ERROR: "STOPPED",
}
_SAID = {state: told for told, state in _STATES.items()}
_ROLES = {"admin": "admin", "write": "write", "read": "read"}
# How many of the latest merged pull requests are looked at for a commit.
_RECENT = 200


class Bitbucket:
    """The forge of one repository (`workspace/repository`)."""

    def __init__(self, client: Client, repository: str) -> None:
        workspace, _, slug = repository.partition("/")
        if not workspace or not slug or "/" in slug:
            raise ForgeError(f"{repository!r} is not a repository", fix="workspace/repository")
        self._client = client
        self._name = repository
        self._workspace, self._slug = quote(workspace, safe=""), quote(slug, safe="")
        self._repository = f"/repositories/{self._workspace}/{self._slug}"
        self._login: str | None = None

    def __repr__(self) -> str:
        return f"Bitbucket({self._client!r}, {self._name!r})"

    @property
    def form(self) -> CommentForm:
        return _FORM

    def whoami(self) -> str:
        """The account's UUID. An access token is known as an app user alone: which one it is,
        Bitbucket does not tell, and it refuses to change what another one wrote. A person's token
        that may not read its account is known by the comment that it posts."""
        if self._login is None:
            try:
                user = self._client.request("GET", "/user", purpose="read who the token belongs to")
            except PermissionMissing as error:
                if error.status not in {403, 404}:
                    raise
                user = None
            self._login = text_in(user, "uuid") or _APP_USER
        return self._login

    def comments(self, pull_request: int) -> tuple[Comment, ...]:
        path = f"{self._pull_request(pull_request)}/comments?pagelen=100"
        pages = self._pages(path, "read the pull request's comments")
        found = [
            self._comment(item, pull_request) for item in pages if not member_in(item, "deleted")
        ]
        return tuple(sorted(found, key=lambda comment: comment.id))

    def create_comment(self, pull_request: int, body: str) -> Comment:
        path = f"{self._pull_request(pull_request)}/comments"
        purpose = f"post a comment on pull request {pull_request}"
        answer = self._client.request("POST", path, body=_content(body), purpose=purpose)
        made = self._comment(answer, pull_request)
        self._login = made.author
        return made

    def update_comment(self, comment: Comment, body: str) -> Comment:
        answer = self._client.request(
            "PUT", self._place(comment), body=_content(body), purpose="update the comment"
        )
        return self._comment(answer, int(comment.node or 0))

    def delete_comment(self, comment: Comment) -> None:
        try:
            self._client.request("DELETE", self._place(comment), purpose="delete a comment")
        except PermissionMissing as error:
            if error.status != 404:
                raise

    def commit_order(self, pull_request: int) -> tuple[str, ...]:
        path = f"{self._pull_request(pull_request)}/commits?pagelen=100"
        pages = self._pages(path, "read the pull request's commits")
        return tuple(reversed([sha for sha in (text_in(item, "hash") for item in pages) if sha]))

    def pull_request_of(self, commit: str) -> int | None:
        """Bitbucket answers by commit only where its index is switched on; else the latest merged
        pull requests tell which of them made the commit."""
        path = f"{self._repository}/commit/{quote(commit, safe='')}/pullrequests?pagelen=100"
        purpose = "find the pull request of a commit"
        try:
            indexed = [_candidate(item) for item in self._pages(path, purpose)]
        except PermissionMissing as error:
            if error.status != 404:
                raise
            indexed = []
        path = f"{self._repository}/pullrequests?state=MERGED&sort=-updated_on&pagelen=50"
        for item in islice(self._pages(path, purpose), _RECENT):
            made = text_in(item, "merge_commit", "hash")
            # Bitbucket tells the first twelve digits.
            if made and commit.startswith(made):
                return number_in(item, "id")
        return origin_of(indexed)

    def pull_request(self, number: int) -> PullRequest:
        purpose = f"read pull request {number}"
        found = self._client.request("GET", self._pull_request(number), purpose=purpose)
        source = text_in(found, "source", "repository", "full_name")
        return PullRequest(
            number=number,
            head=self._whole(text_in(found, "source", "commit", "hash"), purpose),
            base=self._whole(text_in(found, "destination", "commit", "hash"), purpose),
            branch=text_in(found, "source", "branch", "name") or "",
            open=member_in(found, "state") == "OPEN",
            merged=member_in(found, "state") == "MERGED",
            from_fork=(source or "").lower() != self._name.lower(),
            title=text_in(found, "title") or "",
        )

    def _whole(self, short: str | None, purpose: str) -> str:
        """A commit's full hash: pull requests name twelve digits. Those of a fork's commits are
        found in this repository as well."""
        if not short or len(short) >= 40:
            return short or ""
        path = f"{self._repository}/commit/{quote(short, safe='')}"
        found = text_in(self._client.request("GET", path, purpose=purpose), "hash") or ""
        return found if found.startswith(short) else ""

    def permission_of(self, login: str) -> str:
        """`login` is a UUID or account id, since people choose their nicknames. What groups grant
        counts. The token's owner must be an administrator of the repository."""
        path = f"/workspaces/{self._workspace}/permissions/repositories/{self._slug}?pagelen=100"
        for item in self._pages(path, "read what a member may do"):
            user = member_in(item, "user")
            if login in {text_in(user, "uuid"), text_in(user, "account_id")}:
                return _ROLES.get(text_in(item, "permission") or "", "none")
        return "none"

    def status(self, commit: str, context: str) -> CommitStatus | None:
        path = f"{self._statuses(commit)}/{_key(context)}"
        try:
            found = self._client.request("GET", path, purpose="read the commit's status")
        except PermissionMissing as error:
            if error.status != 404:
                raise
            return None
        return CommitStatus(
            context=context,
            state=_SAID.get(text_in(found, "state") or "", StatusState.ERROR),
            description=text_in(found, "description") or "",
            url=text_in(found, "url"),
        )

    def set_status(self, commit: str, status: CommitStatus) -> None:
        """A status must lead somewhere."""
        body = {
            "key": _key(status.context),
            "name": status.context,
            "state": _STATES[status.state],
            "description": status.description,
            "url": status.url or f"https://bitbucket.org/{self._name}/commits/{commit}",
        }
        purpose = "set the commit's status"
        self._client.request("POST", self._statuses(commit), body=body, purpose=purpose, again=True)

    def _statuses(self, commit: str) -> str:
        return f"{self._repository}/commit/{quote(commit, safe='')}/statuses/build"

    def _pull_request(self, number: int) -> str:
        return f"{self._repository}/pullrequests/{number}"

    def _place(self, comment: Comment) -> str:
        return f"{self._pull_request(int(comment.node or 0))}/comments/{comment.id}"

    def _pages(self, path: str, purpose: str) -> Iterator[Any]:
        """The `values` of all pages; each names the `next`."""
        seen = set()
        url: str | None = path
        while url is not None and url not in seen:
            seen.add(url)
            page = self._client.request("GET", url, purpose=purpose)
            values = member_in(page, "values")
            if not isinstance(values, list):
                raise ForgeError(f"could not {purpose}: a list was expected", where=url)
            yield from values
            url = text_in(page, "next")

    def _comment(self, item: Any, pull_request: int) -> Comment:
        """`node` is the pull request, which comments are under."""
        number = number_in(item, "id")
        if number is None:
            raise ForgeError("the forge's answer holds no comment", why=str(item)[:200])
        user = member_in(item, "user")
        app = self._login == _APP_USER and member_in(user, "type") == "app_user"
        return Comment(
            id=number,
            body=text_in(item, "content", "raw") or "",
            author=_APP_USER if app else _author(user),
            url=text_in(item, "links", "html", "href") or "",
            node=str(pull_request),
        )


def open_bitbucket(
    address: str, token: str, repository: str, *, sleep: Callable[[float], None] = time.sleep
) -> Bitbucket:
    """`token` is an access token, or `account:token` with a person's API token."""
    manners, shown = manners_of(token)
    return Bitbucket(Client(address, shown, manners=manners, sleep=sleep), repository)


def manners_of(token: str) -> tuple[Manners, str]:
    """How this token is shown, and as what."""
    if ":" not in token:
        return Manners(advice=_ADVICE), token
    return Manners(prefix="Basic ", advice=_ADVICE), base64.b64encode(token.encode()).decode()


def _key(context: str) -> str:
    """Keys have 40 characters at most."""
    return hashlib.sha1(context.encode(), usedforsecurity=False).hexdigest()


def _content(body: str) -> Mapping[str, object]:
    return {"content": {"raw": body}}


def _candidate(item: Any) -> Candidate:
    state = text_in(item, "state")
    return Candidate(
        number=number_in(item, "id"), made=False, merged=state == "MERGED", open=state == "OPEN"
    )


def _author(user: Any) -> str:
    return text_in(user, "uuid") or "ghost"
