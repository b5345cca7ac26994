"""A Bitbucket Cloud of one repository on loopback: comments, pull requests, build statuses.

Pages by two, by `next`. Asserted by its state.
"""

import base64
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from support.loopback_forge import PAGE, Answer, Loopback, Request, routed

REPOSITORY = "acme/mlops"
COMMENT_LIMIT = 32_768
BOT = "{11111111-aaaa-4bbb-8ccc-222222222222}"


@dataclass
class FakeBitbucket(Loopback):
    """`tokens` maps what follows `Bearer ` or `Basic ` to a UUID; `apps` are access tokens, which
    may not ask who they are; `scopes` are told with a repository. `index`
    answers by commit; None where it is not switched on."""

    tokens: dict[str, str] = field(default_factory=lambda: {"t0ken": BOT})
    apps: set[str] = field(default_factory=lambda: {BOT})
    readers: set[str] = field(default_factory=set)
    scopes: str | None = "pullrequest:write, repository:write"
    comments: dict[int, dict[str, Any]] = field(default_factory=dict)
    pulls: dict[int, dict[str, Any]] = field(default_factory=dict)
    commits: dict[int, list[str]] = field(default_factory=dict)
    known: list[str] = field(default_factory=list)
    index: dict[str, list[int]] | None = None
    permissions: list[dict[str, Any]] = field(default_factory=list)
    statuses: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    number: int = 500

    def add_comment(self, pull_request: int, author: str, body: str) -> int:
        with self.lock:
            self.number += 1
            kind = "app_user" if author in self.apps else "user"
            self.comments[self.number] = {
                "id": self.number,
                "content": {"raw": body, "markup": "markdown"},
                "user": {"type": kind, "uuid": author, "display_name": "x"},
                "deleted": False,
                "pullrequest": {"id": pull_request},
                "links": {"html": {"href": f"https://bitbucket.example/{self.number}"}},
            }
            return self.number

    def answer(self, request: Request) -> Answer:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            token = base64.b64decode(token).decode()
        login = self.tokens.get(token)
        if login is None:
            return _error(401, "Token is invalid, expired, or not supported for this endpoint.")
        if request.method != "GET" and login in self.readers:
            return _error(403, "Your credentials lack one or more required privilege scopes.")
        routes = {
            "/2.0/user": partial(self._user, login),
            "/2.0/workspaces/acme/permissions/repositories/mlops": partial(
                self._page, self.permissions, request
            ),
            f"/2.0/repositories/{REPOSITORY}": self._root,
            f"/2.0/repositories/{REPOSITORY}(/.*)": partial(self._repository, login, request),
        }
        return routed(routes, request.path) or _error(404, "Resource not found")

    def _user(self, login: str) -> Answer:
        if login in self.apps:
            return _error(403, "Your credentials lack one or more required privilege scopes.")
        return Answer(body={"type": "user", "uuid": login})

    def _root(self) -> Answer:
        headers = {} if self.scopes is None else {"X-OAuth-Scopes": self.scopes}
        return Answer(body={"type": "repository", "full_name": REPOSITORY}, headers=headers)

    def _repository(self, login: str, request: Request, path: str) -> Answer:
        routes = {
            "/pullrequests": partial(self._listed, request),
            r"/pullrequests/(\d+)": self._one,
            r"/pullrequests/(\d+)/commits": partial(self._commits, request),
            r"/pullrequests/(\d+)/comments": partial(self._comments, login, request),
            r"/pullrequests/(\d+)/comments/(\d+)": partial(self._comment, login, request),
            r"/commit/([^/]+)": self._commit,
            r"/commit/([^/]+)/pullrequests": partial(self._of_commit, request),
            r"/commit/([^/]+)/statuses/build": partial(self._status, request),
            r"/commit/([^/]+)/statuses/build/([^/]+)": self._one_status,
        }
        return routed(routes, path) or _error(404, "Resource not found")

    def _listed(self, request: Request) -> Answer:
        found = [pull for pull in self.pulls.values() if pull["state"] == request.query["state"]]
        return self._page(list(reversed(found)), request)

    def _one(self, number: str) -> Answer:
        found = self.pulls.get(int(number))
        return Answer(body=found) if found else _error(404, "Pull request not found")

    def _commits(self, request: Request, number: str) -> Answer:
        newest_first = [{"hash": sha} for sha in reversed(self.commits.get(int(number), []))]
        return self._page(newest_first, request)

    def _commit(self, start: str) -> Answer:
        whole = [commit for commit in self.known if commit.startswith(start)]
        return Answer(body={"hash": whole[0]}) if whole else _error(404, "Commit not found")

    def _of_commit(self, request: Request, commit: str) -> Answer:
        if self.index is None:
            return _error(404, "The Pull Request Commit Links app is not installed.")
        return self._page([self.pulls[number] for number in self.index.get(commit, [])], request)

    def _comments(self, login: str, request: Request, number: str) -> Answer:
        if request.method == "POST":
            return self._write(self.add_comment(int(number), login, ""), login, request)
        found = [c for c in self.comments.values() if c["pullrequest"]["id"] == int(number)]
        return self._page(found, request)

    def _comment(self, login: str, request: Request, pull_request: str, number: str) -> Answer:
        comment = self.comments.get(int(number))
        if (
            comment is None
            or comment["deleted"]
            or comment["pullrequest"]["id"] != int(pull_request)
        ):
            return _error(404, "Comment not found")
        if request.method == "DELETE":
            comment["deleted"], comment["content"]["raw"] = True, ""
            return Answer(status=204)
        return self._write(comment["id"], login, request)

    def _write(self, number: int, login: str, request: Request) -> Answer:
        comment, raw = self.comments[number], request.body["content"]["raw"]
        if comment["user"]["uuid"] != login:
            return _error(403, "You may not edit this comment.")
        if len(raw) > COMMENT_LIMIT:
            del self.comments[number]
            return _error(400, f"raw: Ensure this value has at most {COMMENT_LIMIT} characters.")
        comment["content"]["raw"] = raw
        return Answer(status=201 if request.method == "POST" else 200, body=comment)

    def _status(self, request: Request, commit: str) -> Answer:
        body = request.body
        if len(body["key"]) > 40 or not body["url"].startswith("http"):
            return _error(400, "Bad request")
        posted = self.statuses.setdefault(commit, [])
        posted[:] = [each for each in posted if each["key"] != body["key"]] + [body]
        return Answer(status=201, body=body)

    def _one_status(self, commit: str, key: str) -> Answer:
        found = [each for each in self.statuses.get(commit, []) if each["key"] == key]
        return Answer(body=found[0]) if found else _error(404, "Build status not found")

    def _page(self, items: list[Any], request: Request) -> Answer:
        page = int(request.query.get("page", "1"))
        body: dict[str, Any] = {"values": items[(page - 1) * PAGE : page * PAGE], "pagelen": PAGE}
        if page * PAGE < len(items):
            state = f"&state={request.query['state']}" if "state" in request.query else ""
            body["next"] = f"{self.address}{request.path}?page={page + 1}{state}"
        return Answer(body=body)


def pull_request(number: int, state: str = "OPEN", **more: object) -> dict[str, Any]:
    """A pull request as Bitbucket tells it: twelve digits of each commit."""
    return {
        "id": number,
        "state": state,
        "title": "Deeper trees",
        "author": {"uuid": "{mlee}"},
        "source": {
            "branch": {"name": "deeper"},
            "commit": {"hash": "b" * 12},
            "repository": {"full_name": REPOSITORY},
        },
        "destination": {
            "branch": {"name": "main"},
            "commit": {"hash": "0f" * 6},
            "repository": {"full_name": REPOSITORY},
        },
        "merge_commit": None,
        "links": {"html": {"href": f"https://bitbucket.example/pull-requests/{number}"}},
        **more,
    }


def _error(status: int, message: str) -> Answer:
    return Answer(status=status, body={"type": "error", "error": {"message": message}})
