"""GitHub and GitHub Enterprise Server as a forge."""

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from ci.errors import ForgeError
from ci.forge.http import Client
from ci.forge.model import Comment, CommitStatus, PermissionMissing

API = "https://api.github.com"
# What the workflow token appears as; taken where GitHub tells no name.
ACTIONS_BOT = "github-actions[bot]"
PERMISSIONS = {"contents": "read", "pull-requests": "write"}

_MINIMISE = (
    "mutation($id: ID!) { minimizeComment(input: {subjectId: $id, classifier: OUTDATED})"
    " { minimizedComment { isMinimized } } }"
)


class GitHub:
    """The forge of one repository (`owner/name`)."""

    def __init__(self, client: Client, repository: str, *, graphql_url: str | None = None) -> None:
        owner, _, name = repository.partition("/")
        if not owner or not name or "/" in name:
            raise ForgeError(f"{repository!r} is not a repository", fix="owner/name")
        self._client = client
        self._repository = f"/repos/{quote(owner, safe='')}/{quote(name, safe='')}"
        self._graphql = graphql_url or _graphql_url(client.base_url)
        self._login: str | None = None

    def __repr__(self) -> str:
        return f"GitHub({self._client!r}, {self._repository.removeprefix('/repos/')!r})"

    def whoami(self) -> str:
        """A user's login from `/user`; an app's from GraphQL, since `/user` refuses its token."""
        if self._login is None:
            self._login = self._user_login() or self._viewer_login() or ACTIONS_BOT
        return self._login

    def _user_login(self) -> str | None:
        try:
            user = self._client.request("GET", "/user", purpose="read who the token belongs to")
        except PermissionMissing:
            return None
        return _text(user, "login")

    def _viewer_login(self) -> str | None:
        try:
            data = self._query("query { viewer { login } }", {}, "read who the token belongs to")
        except ForgeError:
            return None
        viewer = data.get("viewer")
        return _text(viewer, "login") if isinstance(viewer, Mapping) else None

    def comments(self, pull_request: int) -> tuple[Comment, ...]:
        path = f"{self._repository}/issues/{pull_request}/comments?per_page=100"
        pages = self._client.pages(path, purpose="read the pull request's comments")
        return tuple(sorted((_comment(item) for item in pages), key=lambda comment: comment.id))

    def create_comment(self, pull_request: int, body: str) -> Comment:
        path = f"{self._repository}/issues/{pull_request}/comments"
        purpose = f"post a comment on pull request {pull_request}"
        return _comment(self._client.request("POST", path, body={"body": body}, purpose=purpose))

    def update_comment(self, comment: Comment, body: str) -> Comment:
        path = f"{self._repository}/issues/comments/{comment.id}"
        purpose = "update the comment"
        return _comment(self._client.request("PATCH", path, body={"body": body}, purpose=purpose))

    def delete_comment(self, comment: Comment) -> None:
        path = f"{self._repository}/issues/comments/{comment.id}"
        try:
            self._client.request("DELETE", path, purpose="delete a comment")
        except PermissionMissing:
            if any(found.id == comment.id for found in self._one(comment)):
                raise

    def _one(self, comment: Comment) -> tuple[Comment, ...]:
        path = f"{self._repository}/issues/comments/{comment.id}"
        try:
            return (_comment(self._client.request("GET", path, purpose="read a comment")),)
        except PermissionMissing:
            return ()

    def minimise_comment(self, comment: Comment) -> None:
        self._query(_MINIMISE, {"id": comment.node}, "fold an outdated comment away")

    def commit_order(self, pull_request: int) -> tuple[str, ...]:
        """At most 250 commits: GitHub lists no more of a pull request."""
        path = f"{self._repository}/pulls/{pull_request}/commits?per_page=100"
        pages = self._client.pages(path, purpose="read the pull request's commits")
        return tuple(sha for sha in (_text(item, "sha") for item in pages) if sha)

    def pull_request_of(self, commit: str) -> int | None:
        """The merged one among several, then the newest: a commit on main can also stand in
        open pull requests that were branched off later."""
        path = f"{self._repository}/commits/{quote(commit, safe='')}/pulls?per_page=100"
        try:
            pages = self._client.pages(path, purpose="find the pull request of a commit")
            found = [item for item in pages if isinstance(item, Mapping)]
        except ForgeError as error:
            if "No commit found" in (error.why or ""):
                return None
            raise
        made_it = [item for item in found if item.get("merge_commit_sha") == commit]
        merged = [item for item in found if item.get("merged_at")]
        numbers = [item["number"] for item in made_it or merged or found]
        return max(numbers, default=None)

    def pull_request_with_head(self, head: str, commit: str) -> int | None:
        """The open pull request whose head is at `commit`; `head` is `owner:branch`. Finds those
        from forks as well, which GitHub does not tell by their commit."""
        path = f"{self._repository}/pulls?state=open&per_page=100&head={quote(head, safe=':')}"
        for item in self._client.pages(path, purpose="find the pull request of a fork"):
            if isinstance(item, Mapping) and _text(item.get("head"), "sha") == commit:
                number = item.get("number")
                return number if isinstance(number, int) else None
        return None

    def set_status(self, commit: str, status: CommitStatus) -> None:
        path = f"{self._repository}/statuses/{quote(commit, safe='')}"
        body = {
            "state": status.state.value,
            "context": status.context,
            "description": status.description,
            "target_url": status.url,
        }
        try:
            self._client.request("POST", path, body=body, purpose="set the commit's status")
        except PermissionMissing as error:
            fix = "permissions:\n  statuses: write"
            raise PermissionMissing(error.what, where=error.where, why=error.why, fix=fix) from None

    def _query(self, query: str, variables: Mapping[str, object], purpose: str) -> Any:
        body = {"query": query, "variables": dict(variables)}
        answer = self._client.request("POST", self._graphql, body=body, purpose=purpose)
        errors = answer.get("errors") if isinstance(answer, Mapping) else None
        if errors or not isinstance(answer, Mapping):
            raise ForgeError(f"could not {purpose}", where=self._graphql, why=str(errors)[:400])
        return answer.get("data") or {}


def github_from_environment(
    environ: Mapping[str, str], repository: str, *, sleep: Callable[[float], None] = time.sleep
) -> GitHub | None:
    """The forge that a GitHub job, or a CodeBuild job with a token, speaks to; None without one.

    `GITHUB_API_URL` leads to GitHub Enterprise Server.
    """
    token = environ.get("GITHUB_TOKEN", "").strip() or environ.get("GH_TOKEN", "").strip()
    if not token:
        return None
    address = environ.get("GITHUB_API_URL", "").strip() or API
    client = Client(address, token, permissions=PERMISSIONS, sleep=sleep)
    return GitHub(client, repository, graphql_url=environ.get("GITHUB_GRAPHQL_URL") or None)


def _graphql_url(api: str) -> str:
    """`https://host/api/v3` speaks GraphQL at `https://host/api/graphql` (GHES)."""
    parts = urlsplit(api)
    path = parts.path.removesuffix("/v3")
    return f"{parts.scheme}://{parts.netloc}{path}/graphql"


def _comment(item: Any) -> Comment:
    """Authors can be gone: GitHub shows such comments as ghost's."""
    if not isinstance(item, Mapping) or not isinstance(item.get("id"), int):
        raise ForgeError("the forge's answer holds no comment", why=str(item)[:200])
    return Comment(
        id=item["id"],
        body=_text(item, "body") or "",
        author=_text(item.get("user"), "login") or "ghost",
        url=_text(item, "html_url") or "",
        node=_text(item, "node_id"),
    )


def _text(item: Any, key: str) -> str | None:
    value = item.get(key) if isinstance(item, Mapping) else None
    return value if isinstance(value, str) else None
