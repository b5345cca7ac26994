"""CodeCommit's pull requests as boto3 gives them: the calls that `ci.forge.codecommit` makes."""

from collections.abc import Iterator, Mapping
from typing import Any

from ci.sagemaker.clients import Clients

_SERVICE = "codecommit"
_TOKEN = ("nextToken", "nextToken")

Answer = Mapping[str, Any]


class CodeCommit:
    """One repository. Every call raises AwsError and nothing else."""

    def __init__(self, clients: Clients, repository: str) -> None:
        self._clients = clients
        self._repository = repository

    def __repr__(self) -> str:
        return f"CodeCommit({self._repository!r}, {self._clients.region!r})"

    @property
    def region(self) -> str:
        return self._clients.region

    def caller(self) -> str:
        """The ARN that these credentials act as."""
        return str(self._clients.call("sts", "GetCallerIdentity", {})["Arn"])

    def pull_request(self, number: int) -> Answer:
        parameters = {"pullRequestId": str(number)}
        answer: Answer = self._call("GetPullRequest", parameters, number)["pullRequest"]
        return answer

    def pull_requests(self, status: str) -> Iterator[int]:
        """Their numbers, in the service's order. `status` is OPEN or CLOSED."""
        parameters = {"repositoryName": self._repository, "pullRequestStatus": status}
        pages = self._clients.pages(
            _SERVICE,
            "ListPullRequests",
            parameters,
            items="pullRequestIds",
            where=self._repository,
            token=_TOKEN,
        )
        return (int(str(number)) for number in pages)

    def heads(self, number: int) -> Iterator[Answer]:
        """The events by which the pull request got its source commits."""
        for kind in ("PULL_REQUEST_CREATED", "PULL_REQUEST_SOURCE_REFERENCE_UPDATED"):
            yield from self._clients.pages(
                _SERVICE,
                "DescribePullRequestEvents",
                {"pullRequestId": str(number), "pullRequestEventType": kind},
                items="pullRequestEvents",
                where=self._where(number),
                token=_TOKEN,
            )

    def comments(self, number: int) -> Iterator[Answer]:
        """All comments on all revisions, the deleted ones too. With the repository's name the
        service asks for two commits as well, and shows their comments alone."""
        found = self._clients.pages(
            _SERVICE,
            "GetCommentsForPullRequest",
            {"pullRequestId": str(number)},
            items="commentsForPullRequestData",
            where=self._where(number),
            token=_TOKEN,
        )
        return (comment for group in found for comment in group.get("comments") or ())

    def post(self, number: int, ends: tuple[str, str], body: str, *, token: str) -> Answer:
        """`ends` are the commits before and after; the same `token` posts once."""
        parameters = {
            "pullRequestId": str(number),
            "repositoryName": self._repository,
            "beforeCommitId": ends[0],
            "afterCommitId": ends[1],
            "content": body,
            "clientRequestToken": token,
        }
        answer: Answer = self._call("PostCommentForPullRequest", parameters, number)["comment"]
        return answer

    def update(self, comment: str, body: str) -> Answer:
        parameters = {"commentId": comment, "content": body}
        answer: Answer = self._clients.call(_SERVICE, "UpdateComment", parameters)["comment"]
        return answer

    def delete(self, comment: str) -> None:
        self._clients.call(_SERVICE, "DeleteCommentContent", {"commentId": comment})

    def _call(self, operation: str, parameters: Mapping[str, object], number: int) -> Answer:
        where = self._where(number)
        return self._clients.call(_SERVICE, operation, parameters, where=where)

    def _where(self, number: int) -> str:
        return f"pull request {number} of {self._repository}"
