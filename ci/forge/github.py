"""GitHub and GitHub Enterprise Server as a forge."""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

from ci.errors import ForgeError
from ci.forge.answers import limit_used_up
from ci.forge.github_json import read_comment, read_pull_request, read_reviews, read_status
from ci.forge.github_marks import GitHubMarks
from ci.forge.http import Client, checked_token
from ci.forge.model import (
    Comment,
    CommitStatus,
    PermissionMissing,
    PullRequest,
    UncertainWrite,
)
from ci.forge.origin import Candidate, origin_of
from ci.forge.payload import number_in, text_in
from ci.trigger.values import moment_of

API = "https://api.github.com"
# What the workflow token appears as; taken where GitHub tells no name.
ACTIONS_BOT = "github-actions[bot]"
PERMISSIONS = {"contents": "read", "pull-requests": "write"}

_STATUSES = {"statuses": "write"}
# GraphQL's names for a limit that is used up, in an answer with status 200.
_SPENT = frozenset({"RATE_LIMIT", "RATE_LIMITED"})
_ROLES = frozenset({"admin", "maintain", "write", "triage", "read", "none"})
# "Lists a maximum of 250 commits" (GitHub REST API, "List commits on a pull request").
_MOST_LISTED = 250

_MINIMISE = (
    "mutation($id: ID!) { minimizeComment(input: {subjectId: $id, classifier: OUTDATED})"
    " { minimizedComment { isMinimized } } }"
)


class GraphQLRefused(PermissionMissing):
    """GraphQL answered with errors."""


class GitHub(GitHubMarks):
    """The forge of one repository (`owner/name`)."""

    def __init__(self, client: Client, repository: str, *, graphql_url: str | None = None) -> None:
        owner, _, name = repository.partition("/")
        if not owner or not name or "/" in name:
            raise ForgeError(f"{repository!r} is not a repository", fix="owner/name")
        super().__init__(client, f"/repos/{quote(owner, safe='')}/{quote(name, safe='')}")
        self._graphql = graphql_url or _graphql_url(client.base_url)
        self._login: str | None = None

    def __repr__(self) -> str:
        return f"GitHub({self._client!r}, {self._repository.removeprefix('/repos/')!r})"

    def whoami(self) -> str:
        """From GraphQL, which knows users and apps; `/user` refuses an app's token, and stands in
        where there is no GraphQL. Where neither tells, what the workflow token appears as; a
        comment that is posted then shows the truth. ForgeError where the forge does not answer:
        with a wrong name every run would post anew."""
        if self._login is None:
            self._login = self._viewer_login() or self._user_login() or ACTIONS_BOT
        return self._login

    def _viewer_login(self) -> str | None:
        try:
            data = self._query("query { viewer { login } }", {}, "read who the token belongs to")
        except (UncertainWrite, PermissionMissing):
            return None
        viewer = data.get("viewer")
        return text_in(viewer, "login") if isinstance(viewer, Mapping) else None

    def _user_login(self) -> str | None:
        try:
            user = self._client.request("GET", "/user", purpose="read who the token belongs to")
        except PermissionMissing:
            return None
        return text_in(user, "login")

    def comments(self, pull_request: int) -> tuple[Comment, ...]:
        path = f"{self._repository}/issues/{pull_request}/comments?per_page=100"
        pages = self._client.pages(path, purpose="read the pull request's comments")
        return tuple(sorted((read_comment(item) for item in pages), key=lambda comment: comment.id))

    def create_comment(self, pull_request: int, body: str) -> Comment:
        path = f"{self._repository}/issues/{pull_request}/comments"
        purpose = f"post a comment on pull request {pull_request}"
        made = read_comment(
            self._client.request("POST", path, body={"body": body}, purpose=purpose)
        )
        self._login = made.author
        return made

    def update_comment(self, comment: Comment, body: str) -> Comment:
        path = f"{self._repository}/issues/comments/{comment.id}"
        purpose = "update the comment"
        return read_comment(
            self._client.request("PATCH", path, body={"body": body}, purpose=purpose)
        )

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
            return (read_comment(self._client.request("GET", path, purpose="read a comment")),)
        except PermissionMissing:
            return ()

    def minimise_comment(self, comment: Comment) -> None:
        self._query(_MINIMISE, {"id": comment.node}, "fold an outdated comment away")

    def commit_order(self, pull_request: int) -> tuple[str, ...]:
        """GitHub lists the oldest 250 commits of a pull request and no more; a comparison of its
        ends lists them all."""
        purpose = "read the pull request's commits"
        path = f"{self._repository}/pulls/{pull_request}/commits?per_page=100"
        listed = self._shas(self._client.pages(path, purpose=purpose))
        if len(listed) < _MOST_LISTED:
            return listed
        ends = self.pull_request(pull_request)
        path = f"{self._repository}/compare/{ends.base}...{ends.head}?per_page=100"
        return self._shas(self._client.pages(path, purpose=purpose, within="commits"))

    def _shas(self, commits: Iterable[Any]) -> tuple[str, ...]:
        return tuple(sha for sha in (text_in(item, "sha") for item in commits) if sha)

    def pull_request(self, number: int) -> PullRequest:
        path = f"{self._repository}/pulls/{number}"
        answer = self._client.request("GET", path, purpose=f"read pull request {number}")
        return read_pull_request(answer)

    def pull_request_of(self, commit: str) -> int | None:
        path = f"{self._repository}/commits/{quote(commit, safe='')}/pulls?per_page=100"
        try:
            pages = self._client.pages(path, purpose="find the pull request of a commit")
            return origin_of(
                Candidate(
                    number=number_in(item, "number"),
                    made=text_in(item, "merge_commit_sha") == commit,
                    merged=text_in(item, "merged_at") is not None,
                    open=text_in(item, "state") == "open",
                )
                for item in pages
            )
        except ForgeError as error:
            if "No commit found" in (error.why or ""):
                return None
            raise

    def pull_request_with_head(self, head: str, commit: str) -> int | None:
        """The open pull request whose head is at `commit`; `head` is `owner:branch`. Finds those
        from forks as well, which GitHub does not tell by their commit."""
        path = f"{self._repository}/pulls?state=open&per_page=100&head={quote(head, safe=':')}"
        for item in self._client.pages(path, purpose="find the pull request of a fork"):
            if isinstance(item, Mapping) and text_in(item.get("head"), "sha") == commit:
                return number_in(item, "number")
        return None

    def status(self, commit: str, context: str) -> CommitStatus | None:
        """GitHub lists the newest first, and tells contexts apart without regard to case."""
        path = f"{self._repository}/commits/{quote(commit, safe='')}/statuses?per_page=100"
        purpose = "read the commit's statuses"
        for item in self._client.pages(path, purpose=purpose, needs=_STATUSES):
            if (text_in(item, "context") or "").casefold() == context.casefold():
                return read_status(item)
        return None

    def set_status(self, commit: str, status: CommitStatus) -> None:
        """GitHub keeps every status that was ever set, at most 1,000 of a context: one that says
        the same again is not set."""
        body = {
            "state": status.state.value,
            "context": status.context,
            "description": status.description,
            "target_url": status.url,
        }
        if self.status(commit, status.context) == status:
            return
        path = f"{self._repository}/statuses/{quote(commit, safe='')}"
        purpose = "set the commit's status"
        self._client.request("POST", path, body=body, purpose=purpose, needs=_STATUSES, again=True)

    def permission_of(self, login: str) -> str:
        """The role, where it is none of the organisation's own making, else the base role. GitHub
        answers 404 for an app and for a name that nobody has: `none`."""
        path = f"{self._repository}/collaborators/{quote(login, safe='')}/permission"
        purpose = f"read what {login} may do in the repository"
        try:
            answer = self._client.request("GET", path, purpose=purpose)
        except PermissionMissing as error:
            if error.status == 404:
                return "none"
            raise
        told = (text_in(answer, "role_name"), text_in(answer, "permission"))
        return next((role for role in told if role in _ROLES), "none")

    def react(self, comment: int, content: str) -> None:
        path = f"{self._repository}/issues/comments/{comment}/reactions"
        body = {"content": content}
        purpose = "react to the comment"
        self._client.request("POST", path, body=body, purpose=purpose, again=True)

    def approvers_of(self, run: str, environment: str | None = None) -> tuple[str, ...]:
        path = f"{self._repository}/actions/runs/{quote(run, safe='')}/approvals"
        purpose = "read who let this run into its environment"
        answer = self._client.request("GET", path, purpose=purpose, needs={"actions": "read"})
        reviews = read_reviews(answer)
        into = {name for _, names in reviews for name in names}
        if environment is None and len(into) > 1:
            return ()
        # GitHub tells names of environments apart without regard to case.
        wanted = into if environment is None else {environment.casefold()}
        logins = (login for login, names in reviews if names & wanted or not (names or environment))
        return tuple(dict.fromkeys(logins))

    def pushed_at(self, branch: str, commit: str) -> datetime | None:
        """GitHub's list of a branch's changes ("List repository activities"); the times of a
        commit itself are its author's to choose."""
        reference = quote(f"refs/heads/{branch}", safe="")
        path = f"{self._repository}/activity?ref={reference}&per_page=100"
        purpose = f"read when {branch} was pushed"
        for item in self._client.pages(path, purpose=purpose, needs={"contents": "read"}):
            if text_in(item, "after") == commit:
                return moment_of(text_in(item, "timestamp"))
        return None

    def _query(self, query: str, variables: Mapping[str, object], purpose: str) -> Any:
        body = {"query": query, "variables": dict(variables)}
        answer = self._client.request("POST", self._graphql, body=body, purpose=purpose, again=True)
        errors = answer.get("errors") if isinstance(answer, Mapping) else None
        if errors or not isinstance(answer, Mapping):
            why = str(errors)[:400]
            told = errors if isinstance(errors, list) else []
            if any(text_in(each, "type") in _SPENT for each in told):
                raise limit_used_up(purpose, where=self._graphql, why=why)
            raise GraphQLRefused(f"could not {purpose}", where=self._graphql, why=why)
        return answer.get("data") or {}


def github_from_environment(
    environ: Mapping[str, str], repository: str, *, sleep: Callable[[float], None] = time.sleep
) -> GitHub | None:
    """The forge that a GitHub job, or a CodeBuild job with a token, speaks to; None without one.

    `GITHUB_API_URL` leads to GitHub Enterprise Server. ForgeError for a token that is none.
    """
    held = ((name, environ.get(name, "").strip()) for name in ("GITHUB_TOKEN", "GH_TOKEN"))
    name, token = next((each for each in held if each[1]), ("", ""))
    if not token:
        return None
    token = checked_token(token, name)
    address = environ.get("GITHUB_API_URL", "").strip() or API
    client = Client(address, token, permissions=PERMISSIONS, sleep=sleep)
    return GitHub(client, repository, graphql_url=_named_graphql(environ, address))


def _named_graphql(environ: Mapping[str, str], api: str) -> str | None:
    """GITHUB_GRAPHQL_URL, where it is on the API's host: a job may have been given another API."""
    named = environ.get("GITHUB_GRAPHQL_URL", "").strip()
    return named if named and urlsplit(named)[:2] == urlsplit(api)[:2] else None


def _graphql_url(api: str) -> str:
    """`https://host/api/v3` speaks GraphQL at `https://host/api/graphql` (GHES)."""
    parts = urlsplit(api)
    path = parts.path.removesuffix("/v3")
    return f"{parts.scheme}://{parts.netloc}{path}/graphql"
