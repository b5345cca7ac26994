"""A CodeCommit of one account on loopback, held to botocore's service model: every request and
every answer is checked against it. Pages by two. Asserted by its state.

Credentials are told apart by their access key: `callers` maps it to an ARN. STS answers as well.
"""

import json
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs

from botocore.loaders import Loader

from ci.local.service import ServiceModel
from ci.local.shapes import find_misfits
from support.github import Fault
from support.loopback_forge import BASE, HEAD, PAGE, Answer, Loopback, Request

REPOSITORY = "mlops"
COMMENT_LIMIT = 10_240
ROLE = "arn:aws:sts::000000000000:assumed-role/ci"
_KEY = re.compile(r"Credential=([^/]+)/")


class Refusal(Exception):
    """An error of the service, by its code."""


@cache
def service_model() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("codecommit", "service-2"))


@dataclass
class FakeCodeCommit(Loopback):
    """`denied` are operations that IAM refuses. `now` grows with each comment."""

    callers: dict[str, str] = field(default_factory=lambda: {"AKIDBUILD1": f"{ROLE}/build-1"})
    denied: set[str] = field(default_factory=set)
    pulls: dict[int, dict[str, Any]] = field(default_factory=dict)
    events: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    comments: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    now: float = 1_700_000_000.0

    def add_comment(self, pull_request: int, author: str, content: str) -> str:
        with self.lock:
            self.now += 1.5
            name = f"{len(self.comments):04x}c0de:{1_000_003 * len(self.comments) % 9973}"
            self.comments[name] = {
                "pull_request": pull_request,
                "commentId": name,
                "content": content,
                "authorArn": author,
                "creationDate": self.now,
                "deleted": False,
            }
            return name

    def push(self, pull_request: int, commit: str) -> None:
        """A new head of the source branch."""
        made = pull_request not in self.events
        listed = self.events.setdefault(pull_request, [])
        self.now += 60
        kind = "PULL_REQUEST_CREATED" if made else "PULL_REQUEST_SOURCE_REFERENCE_UPDATED"
        created = {"sourceCommitId": commit, "destinationCommitId": BASE}
        updated = {"afterCommitId": commit}
        listed.append(
            {
                "pullRequestId": str(pull_request),
                "eventDate": self.now,
                "pullRequestEventType": kind,
                **({"pullRequestCreatedEventMetadata": created} if made else {}),
                **({} if made else {"pullRequestSourceReferenceUpdatedEventMetadata": updated}),
            }
        )

    def name_of(self, request: Request) -> tuple[str, str]:
        target = request.headers.get("X-Amz-Target", "")
        return "POST", target.rpartition(".")[2] or "STS"

    def failure(self, fault: Fault) -> Answer:
        body = fault.body or {"__type": "InternalFailure", "message": "fault"}
        return _json(fault.status, body)

    def answer(self, request: Request) -> Answer:
        found = _KEY.search(request.headers.get("Authorization", ""))
        caller = self.callers.get(found[1] if found else "")
        if caller is None:
            return _json(400, {"__type": "UnrecognizedClientException", "message": "who?"})
        prefix, _, operation = request.headers.get("X-Amz-Target", "").rpartition(".")
        if not operation:
            return _identity(caller, request)
        model = service_model()
        assert prefix == model.target_prefix, prefix
        misfits = find_misfits(model, model.input(operation), request.body)
        assert not misfits, (operation, misfits)
        if operation in self.denied:
            return _json(400, {"__type": "AccessDeniedException", "message": f"{caller} may not"})
        try:
            body = getattr(self, f"_{operation}")(caller, request.body)
        except Refusal as refusal:
            return _json(400, {"__type": str(refusal), "message": "refused"})
        misfits = find_misfits(model, model.output(operation), body)
        assert not misfits, (operation, misfits)
        return _json(200, body)

    def _GetPullRequest(self, _caller: str, asked: Any) -> Any:  # noqa: N802 - the operation's name
        return {"pullRequest": self._pull(asked)}

    def _ListPullRequests(self, _caller: str, asked: Any) -> Any:  # noqa: N802
        shown = [
            str(number)
            for number, pull in self.pulls.items()
            if pull["pullRequestStatus"] == asked["pullRequestStatus"]
            and pull["pullRequestTargets"][0]["repositoryName"] == asked["repositoryName"]
        ]
        return _page(shown, asked, "pullRequestIds")

    def _DescribePullRequestEvents(self, _caller: str, asked: Any) -> Any:  # noqa: N802
        self._pull(asked)
        shown = [
            event
            for event in self.events.get(int(asked["pullRequestId"]), [])
            if event["pullRequestEventType"] == asked["pullRequestEventType"]
        ]
        return _page(shown, asked, "pullRequestEvents")

    def _GetCommentsForPullRequest(self, _caller: str, asked: Any) -> Any:  # noqa: N802
        if "repositoryName" in asked and "afterCommitId" not in asked:
            raise Refusal("CommitIdRequiredException")
        self._pull(asked)
        shown = [
            {"pullRequestId": asked["pullRequestId"], "comments": [_shown(comment)]}
            for comment in self.comments.values()
            if comment["pull_request"] == int(asked["pullRequestId"])
        ]
        return _page(list(reversed(shown)), asked, "commentsForPullRequestData")

    def _PostCommentForPullRequest(self, caller: str, asked: Any) -> Any:  # noqa: N802
        target = self._pull(asked)["pullRequestTargets"][0]
        if target["repositoryName"] != asked["repositoryName"]:
            raise Refusal("RepositoryNotAssociatedWithPullRequestException")
        if asked["beforeCommitId"] == asked["afterCommitId"]:
            raise Refusal("BeforeCommitIdAndAfterCommitIdAreSameException")
        _check_size(asked["content"])
        token = asked["clientRequestToken"]
        if token not in self.tokens:
            number = int(asked["pullRequestId"])
            self.tokens[token] = self.add_comment(number, caller, asked["content"])
        return {"comment": _shown(self.comments[self.tokens[token]])}

    def _UpdateComment(self, caller: str, asked: Any) -> Any:  # noqa: N802
        comment = self._comment(asked)
        if comment["authorArn"] != caller:
            raise Refusal("CommentNotCreatedByCallerException")
        _check_size(asked["content"])
        comment["content"] = asked["content"]
        return {"comment": _shown(comment)}

    def _DeleteCommentContent(self, _caller: str, asked: Any) -> Any:  # noqa: N802
        comment = self._comment(asked)
        comment["deleted"], comment["content"] = True, ""
        return {"comment": _shown(comment)}

    def _pull(self, asked: Any) -> Any:
        pull = self.pulls.get(int(asked["pullRequestId"]))
        if pull is None:
            raise Refusal("PullRequestDoesNotExistException")
        return pull

    def _comment(self, asked: Any) -> Any:
        comment = self.comments.get(asked["commentId"])
        if comment is None:
            raise Refusal("CommentDoesNotExistException")
        if comment["deleted"]:
            raise Refusal("CommentDeletedException")
        return comment


def pull_request(
    number: int,
    status: str = "OPEN",
    *,
    head: str = HEAD,
    base: str = BASE,
    merge: str | None = None,
    repository: str = REPOSITORY,
) -> dict[str, Any]:
    """A pull request as CodeCommit tells it; `merge` is the commit that merging made."""
    return {
        "pullRequestId": str(number),
        "title": "Deeper trees",
        "pullRequestStatus": status,
        "authorArn": "arn:aws:iam::000000000000:user/mlee",
        "pullRequestTargets": [
            {
                "repositoryName": repository,
                "sourceReference": "refs/heads/deeper",
                "destinationReference": "refs/heads/main",
                "sourceCommit": head,
                "destinationCommit": base,
                "mergeBase": "0d" * 20,
                "mergeMetadata": {"isMerged": merge is not None}
                | ({"mergeCommitId": merge} if merge else {}),
            }
        ],
        "revisionId": "0" * 64,
    }


def _shown(comment: Any) -> dict[str, Any]:
    return {key: value for key, value in comment.items() if key != "pull_request"}


def _check_size(content: str) -> None:
    if len(content) > COMMENT_LIMIT:
        raise Refusal("CommentContentSizeLimitExceededException")


def _page(items: list[Any], asked: Any, member: str) -> dict[str, Any]:
    first = int(asked.get("nextToken", "0"))
    body: dict[str, Any] = {member: items[first : first + PAGE]}
    if first + PAGE < len(items):
        body["nextToken"] = str(first + PAGE)
    return body


def _identity(caller: str, request: Request) -> Answer:
    assert parse_qs(request.raw.decode())["Action"] == ["GetCallerIdentity"]
    xml = (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        f"<GetCallerIdentityResult><Arn>{caller}</Arn><UserId>A:b</UserId>"
        "<Account>000000000000</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    )
    return Answer(body=xml.encode(), headers={"Content-Type": "text/xml"})


def _json(status: int, body: object) -> Answer:
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    return Answer(status=status, body=json.dumps(body).encode(), headers=headers)
