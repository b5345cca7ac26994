"""GitLab, gitlab.com or one's own, as a forge. A pull request is a merge request, by its `iid`."""

import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

from ci.errors import ForgeError
from ci.forge.form import CommentForm
from ci.forge.http import Client, Manners
from ci.forge.marks import Label
from ci.forge.model import Comment, CommitStatus, PermissionMissing, PullRequest, StatusState
from ci.forge.origin import Candidate, origin_of
from ci.forge.payload import member_in, number_in, text_in
from ci.report.dialect import without_quick_actions

API = "https://gitlab.com/api/v4"
# Personal, project and group access tokens are taken as bearer tokens, as OAuth's are (GitLab
# docs, "REST API authentication").
MANNERS = Manners(
    advice="a project access token with the role Developer and the scope `api`, as GITLAB_TOKEN"
)
# A note holds 1,000,000 characters (GitLab docs, "Notes API"); one that long is not read.
_FORM = CommentForm(
    limits=(250_000, 65_000), largest=900_000, dress=without_quick_actions, folds=True
)

_STATES = {
    # Not `pending`: there is no way from it to `success` (GitLab docs, "Commits API").
    StatusState.PENDING: "running",
    StatusState.SUCCESS: "success",
    StatusState.FAILURE: "failed",
    StatusState.ERROR: "canceled",
}
_SAID = {state: told for told, state in _STATES.items()} | {"pending": StatusState.PENDING}
# The commits that a merge puts on its target.
_RESULTS = ("merge_commit_sha", "squash_commit_sha")
# GitLab docs, "Members API": access levels.
_ROLES = ((50, "admin"), (40, "maintain"), (30, "write"), (20, "triage"), (10, "read"))


class GitLab:
    """The forge of one project (`group/subgroup/project`)."""

    def __init__(self, client: Client, repository: str) -> None:
        if "/" not in repository.strip("/"):
            raise ForgeError(f"{repository!r} is not a project", fix="group/project")
        self._client = client
        self._name = repository
        self._project = f"/projects/{quote(repository, safe='')}"
        self._login: str | None = None

    def __repr__(self) -> str:
        return f"GitLab({self._client!r}, {self._name!r})"

    @property
    def form(self) -> CommentForm:
        return _FORM

    def whoami(self) -> str:
        """The user, or the bot that a project or group access token is."""
        if self._login is None:
            user = self._client.request("GET", "/user", purpose="read who the token belongs to")
            self._login = text_in(user, "username") or ""
        return self._login

    def comments(self, pull_request: int) -> tuple[Comment, ...]:
        """What people and programs wrote; GitLab's own notes of events are left out."""
        path = f"{self._merge_request(pull_request)}/notes?per_page=100&sort=asc"
        pages = self._client.pages(
            f"{path}&order_by=created_at", purpose="read the merge request's notes"
        )
        found = [
            self._comment(item, pull_request) for item in pages if not member_in(item, "system")
        ]
        return tuple(sorted(found, key=lambda comment: comment.id))

    def create_comment(self, pull_request: int, body: str) -> Comment:
        path = f"{self._merge_request(pull_request)}/notes"
        purpose = f"post a note on merge request {pull_request}"
        answer = self._client.request("POST", path, body={"body": body}, purpose=purpose)
        return self._comment(answer, pull_request)

    def update_comment(self, comment: Comment, body: str) -> Comment:
        answer = self._client.request(
            "PUT", self._note(comment), body={"body": body}, purpose="update the note"
        )
        return self._comment(answer, int(comment.node or 0))

    def delete_comment(self, comment: Comment) -> None:
        try:
            self._client.request("DELETE", self._note(comment), purpose="delete a note")
        except PermissionMissing as error:
            if error.status != 404:
                raise

    def commit_order(self, pull_request: int) -> tuple[str, ...]:
        path = f"{self._merge_request(pull_request)}/commits?per_page=100"
        pages = self._client.pages(path, purpose="read the merge request's commits")
        return tuple(reversed([sha for sha in (text_in(item, "id") for item in pages) if sha]))

    def pull_request_of(self, commit: str) -> int | None:
        """GitLab knows a commit's merge requests by its head, merge and squash commits."""
        path = f"{self._project}/repository/commits/{quote(commit, safe='')}/merge_requests"
        try:
            pages = self._client.pages(
                f"{path}?per_page=100", purpose="find the merge request of a commit"
            )
            return origin_of(
                Candidate(
                    number=number_in(item, "iid"),
                    made=commit in {text_in(item, key) for key in _RESULTS},
                    merged=text_in(item, "state") == "merged",
                    open=text_in(item, "state") == "opened",
                )
                for item in pages
            )
        except PermissionMissing as error:
            if error.status == 404 and "Commit" in (error.why or ""):
                return None
            raise

    def pull_request(self, number: int) -> PullRequest:
        purpose = f"read merge request {number}"
        found = self._client.request("GET", self._merge_request(number), purpose=purpose)
        return PullRequest(
            number=number,
            head=text_in(found, "sha") or "",
            base=text_in(member_in(found, "diff_refs"), "base_sha") or "",
            branch=text_in(found, "source_branch") or "",
            open=member_in(found, "state") in {"opened", "locked"},
            merged=member_in(found, "state") == "merged",
            from_fork=member_in(found, "source_project_id")
            != member_in(found, "target_project_id"),
            title=text_in(found, "title") or "",
        )

    def permission_of(self, login: str) -> str:
        """By direct membership, groups and invited groups."""
        path = f"{self._project}/members/all?per_page=100&query={quote(login, safe='')}"
        best = 0
        for item in self._client.pages(path, purpose="read what a member may do"):
            same = (text_in(item, "username") or "").lower() == login.lower()
            if same and member_in(item, "state") == "active":
                best = max(best, number_in(item, "access_level") or 0)
        return next((role for level, role in _ROLES if best >= level), "none")

    def status(self, commit: str, context: str) -> CommitStatus | None:
        """GitLab keeps one of each name in each of the commit's pipelines: the newest of all."""
        place = f"{self._project}/repository/commits/{quote(commit, safe='')}/statuses"
        pages = self._client.pages(
            f"{place}?name={quote(context, safe='')}&per_page=100",
            purpose="read the commit's statuses",
        )
        own = [item for item in pages if text_in(item, "name") == context]
        if not own:
            return None
        newest = max(own, key=lambda item: number_in(item, "id") or 0)
        return CommitStatus(
            context=context,
            state=_SAID.get(text_in(newest, "status") or "", StatusState.ERROR),
            description=text_in(newest, "description") or "",
            url=text_in(newest, "target_url"),
        )

    def set_status(self, commit: str, status: CommitStatus) -> None:
        """A state that the commit has already counts as set: GitLab refuses it."""
        state = _STATES[status.state]
        body = {
            "state": state,
            "name": status.context,
            "description": status.description,
            **({"target_url": status.url} if status.url else {}),
        }
        path = f"{self._project}/statuses/{quote(commit, safe='')}"
        try:
            self._client.request("POST", path, body=body, purpose="set the commit's status")
        except ForgeError as error:
            if not re.search(rf"Cannot transition status.* from :{state}\b", error.why or ""):
                raise

    def labels(self, pull_request: int) -> tuple[str, ...]:
        purpose = "read the merge request's labels"
        found = self._client.request("GET", self._merge_request(pull_request), purpose=purpose)
        return tuple(name for name in member_in(found, "labels") or () if isinstance(name, str))

    def add_label(self, pull_request: int, label: Label) -> None:
        """Made first where the project does not have it; GitLab would choose a color."""
        path = f"{self._project}/labels"
        body = {
            "name": label.name,
            "color": f"#{label.color}",
            "description": label.description,
        }
        try:
            self._client.request("POST", path, body=body, purpose="make a label", again=True)
        except ForgeError as error:
            if "already exists" not in (error.why or ""):
                raise
        self._change_labels(pull_request, "add_labels", label.name)

    def remove_label(self, pull_request: int, name: str) -> None:
        self._change_labels(pull_request, "remove_labels", name)

    def _change_labels(self, pull_request: int, how: str, name: str) -> None:
        purpose = "put a label on the merge request"
        self._client.request(
            "PUT", self._merge_request(pull_request), body={how: name}, purpose=purpose
        )

    def _merge_request(self, number: int) -> str:
        return f"{self._project}/merge_requests/{number}"

    def _note(self, comment: Comment) -> str:
        return f"{self._merge_request(int(comment.node or 0))}/notes/{comment.id}"

    def _comment(self, item: Any, pull_request: int) -> Comment:
        """`node` is the merge request, which notes are under."""
        number = number_in(item, "id")
        if number is None:
            raise ForgeError("the forge's answer holds no note", why=str(item)[:200])
        parts = urlsplit(self._client.base_url)
        site = f"{parts.scheme}://{parts.netloc}{parts.path.removesuffix('/api/v4')}"
        return Comment(
            id=number,
            body=text_in(item, "body") or "",
            author=text_in(member_in(item, "author"), "username") or "ghost",
            url=f"{site}/{self._name}/-/merge_requests/{pull_request}#note_{number}",
            node=str(pull_request),
        )


def open_gitlab(
    address: str, token: str, repository: str, *, sleep: Callable[[float], None] = time.sleep
) -> GitLab:
    return GitLab(Client(address, token, manners=MANNERS, sleep=sleep), repository)
