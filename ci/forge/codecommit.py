"""CodeCommit as a forge. Whoever may call the API may comment: there is no token.

It has no marks beside commits (an approval state is a vote of a person), no hidden comments, no
forks, and tells nobody's permissions: those are IAM's.
"""

import hashlib
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

from ci.errors import AwsError, ForgeError
from ci.forge.form import CommentForm
from ci.forge.model import (
    Comment,
    CommentTooLong,
    PermissionMissing,
    PullRequest,
    UncertainWrite,
)
from ci.forge.payload import text_in
from ci.report.dialect import without_html
from ci.sagemaker.codecommit import CodeCommit as Calls
from ci.trigger.values import branch_of

# CommentContentSizeLimitExceededException: "Comments are limited to 10,240 characters."
_FORM = CommentForm(limits=(12_000, 10_000, 8_000), largest=10_240, dress=without_html)
# `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`: CodeBuild's session is new in each build.
_SESSION = re.compile(r"(:sts::[0-9]*:assumed-role/[^/]+)/.*")
_DENIED = re.compile(r"AccessDenied|NotAuthorized|DoesNotExist|CredentialsError|ExpiredToken")
_NOT_OURS = "CommentNotCreatedByCallerException"
_GONE = frozenset({"CommentDoesNotExistException", "CommentDeletedException"})
# How many of the latest pull requests are looked at for a commit: one call each.
_RECENT = 60


class CodeCommit:
    """The forge of one repository, which has a name alone. `fresh` makes request tokens."""

    def __init__(
        self, calls: Calls, repository: str, *, fresh: Callable[[], str] = lambda: uuid.uuid4().hex
    ) -> None:
        if not re.fullmatch(r"[\w.-]{1,100}", repository):
            raise ForgeError(f"{repository!r} is not a repository of CodeCommit")
        self._calls = calls
        self._name = repository
        self._fresh = fresh
        self._login: str | None = None
        # The pull request that a comment is on, and its name at the service.
        self._places: dict[int, tuple[int, str]] = {}

    def __repr__(self) -> str:
        return f"CodeCommit({self._calls!r})"

    @property
    def form(self) -> CommentForm:
        return _FORM

    def whoami(self) -> str:
        """The user or role. A role's sessions count as one author: each build is another."""
        if self._login is None:
            with _refusals("read who is calling"):
                self._login = _principal(self._calls.caller())
        return self._login

    def comments(self, pull_request: int) -> tuple[Comment, ...]:
        with _refusals("read the pull request's comments"):
            found = [item for item in self._calls.comments(pull_request) if not item.get("deleted")]
        found.sort(key=lambda item: (_moment(item.get("creationDate")), item["commentId"]))
        return tuple(self._comment(item, pull_request) for item in found)

    def create_comment(self, pull_request: int, body: str) -> Comment:
        with _refusals(f"post a comment on pull request {pull_request}", writes=True):
            ends = _ends(self._target(self._calls.pull_request(pull_request)))
            made = self._calls.post(pull_request, ends, body, token=self._fresh())
        return self._comment(made, pull_request)

    def update_comment(self, comment: Comment, body: str) -> Comment:
        """A comment belongs to a session of a role. One of another session is replaced."""
        pull_request, name = self._places[comment.id]
        try:
            with _refusals("update the comment"):
                return self._comment(self._calls.update(name, body), pull_request)
        except ForgeError as error:
            if not _caused_by(error, {_NOT_OURS}):
                raise
        made = self.create_comment(pull_request, body)
        self.delete_comment(comment)
        return made

    def delete_comment(self, comment: Comment) -> None:
        """The content goes; the console shows that a comment was deleted."""
        try:
            with _refusals("delete a comment"):
                self._calls.delete(self._places[comment.id][1])
        except ForgeError as error:
            if not _caused_by(error, _GONE):
                raise

    def commit_order(self, pull_request: int) -> tuple[str, ...]:
        """The heads that the pull request had, in the order of their pushes: what was built and
        commented on. A head that came back stands where it came last."""
        with _refusals("read the pull request's events"):
            events = sorted(
                self._calls.heads(pull_request), key=lambda event: _moment(event.get("eventDate"))
            )
        heads = dict.fromkeys(reversed([head for head in map(_head, events) if head]))
        return tuple(reversed(heads))

    def pull_request_of(self, commit: str) -> int | None:
        """Among the latest: the one whose merge made the commit, else whose head it is."""
        with _refusals("find the pull request of a commit"):
            closed = sorted(self._calls.pull_requests("CLOSED"), reverse=True)
            for number in islice(closed, _RECENT):
                target = self._target(self._calls.pull_request(number))
                merge = target.get("mergeMetadata") or {}
                made = {merge.get("mergeCommitId"), target.get("sourceCommit")}
                if merge.get("isMerged") and commit in made:
                    return number
            for number in islice(sorted(self._calls.pull_requests("OPEN"), reverse=True), _RECENT):
                if self._target(self._calls.pull_request(number)).get("sourceCommit") == commit:
                    return number
        return None

    def pull_request(self, number: int) -> PullRequest:
        with _refusals(f"read pull request {number}"):
            found = self._calls.pull_request(number)
        target = self._target(found)
        return PullRequest(
            number=number,
            head=target.get("sourceCommit") or "",
            base=target.get("destinationCommit") or "",
            branch=branch_of(target.get("sourceReference")) or target.get("sourceReference") or "",
            open=found.get("pullRequestStatus") == "OPEN",
            merged=bool((target.get("mergeMetadata") or {}).get("isMerged")),
            from_fork=False,
            title=found.get("title") or "",
        )

    def _target(self, pull_request: Mapping[str, Any]) -> Mapping[str, Any]:
        """What goes where in this repository. A number is one of the account's, not of the
        repository's."""
        for target in pull_request.get("pullRequestTargets") or ():
            if target.get("repositoryName") == self._name:
                found: Mapping[str, Any] = target
                return found
        raise ForgeError(
            f"pull request {pull_request.get('pullRequestId')} is not in {self._name}",
            why="CodeCommit counts the pull requests of all repositories of an account together",
        )

    def _url(self, number: int) -> str:
        region = self._calls.region
        return (
            f"https://{region}.console.aws.amazon.com/codesuite/codecommit/repositories/"
            f"{self._name}/pull-requests/{number}/activity?region={region}"
        )

    def _comment(self, item: Mapping[str, Any], pull_request: int) -> Comment:
        """`id` stands for the comment's name, which is `node`: names are text."""
        name = str(item["commentId"])
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7])
        self._places[number] = (pull_request, name)
        return Comment(
            id=number,
            body=item.get("content") or "",
            author=_principal(item.get("authorArn") or ""),
            url=f"{self._url(pull_request)}#{name}",
            node=name,
        )


@contextmanager
def _refusals(purpose: str, *, writes: bool = False) -> Iterator[None]:
    """AwsError, as this package's own errors: what refuses a comment ends no run."""
    try:
        yield
    except AwsError as error:
        what = f"could not {purpose}: {error.what}"
        raise _kind(error, writes=writes)(
            what, where=error.where, why=error.why, fix=error.fix
        ) from error


def _kind(error: AwsError, *, writes: bool) -> type[ForgeError]:
    if error.code == "CommentContentSizeLimitExceededException":
        return CommentTooLong
    if _DENIED.search(error.code):
        return PermissionMissing
    unanswered = error.status is None or error.status >= 500
    return UncertainWrite if writes and unanswered else ForgeError


def _caused_by(error: ForgeError, codes: frozenset[str] | set[str]) -> bool:
    return isinstance(error.__cause__, AwsError) and error.__cause__.code in codes


def _principal(arn: str) -> str:
    return _SESSION.sub(r"\1", arn)


def _ends(target: Mapping[str, Any]) -> tuple[str, str]:
    """The commits a comment is put between. After a fast-forward both branches are at one, which
    the service refuses: then from where they parted. ForgeError where it names none."""
    before, after = (text_in(target, name) for name in ("destinationCommit", "sourceCommit"))
    if not before or not after:
        raise ForgeError("the forge's answer holds no pull request", why=str(target)[:200])
    return (text_in(target, "mergeBase") or before if before == after else before), after


def _head(event: Mapping[str, Any]) -> str | None:
    created = event.get("pullRequestCreatedEventMetadata") or {}
    updated = event.get("pullRequestSourceReferenceUpdatedEventMetadata") or {}
    return created.get("sourceCommitId") or updated.get("afterCommitId")


def _moment(value: Any) -> float:
    return value.timestamp() if hasattr(value, "timestamp") else 0.0
