"""A GitHub of one repository on loopback: it keeps state, pages by two, and can be made to fail.

Answers as the REST API does for what the project calls, and to two GraphQL calls. Asserted by its
state. Every exchange that is not a fault is held against GitHub's published description and GraphQL
schema, where they are installed (`make contract`); what they have against one is raised when the
server ends.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from support.github_contract import Contract, contract

PAGE = 2
REPOSITORY = "acme/mlops"
# The workflow token's login.
ACTIONS = "github-actions[bot]"
_ROOT = f"/repos/{REPOSITORY}"


@dataclass
class Fault:
    """Answers `status` to the next `count` requests that match, before or after taking effect.
    A status of 0 breaks the connection."""

    method: str
    path: str
    status: int
    count: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    body: object = None
    after_effect: bool = False

    def matches(self, method: str, path: str) -> bool:
        return self.count > 0 and method == self.method and re.search(self.path, path) is not None


def secondary_limit(method: str, path: str, *, seconds: int | None = None) -> Fault:
    """What GitHub says to too many writes in a row; `seconds` is its Retry-After."""
    said = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}
    headers = {} if seconds is None else {"Retry-After": str(seconds)}
    return Fault(method, path, 403, headers=headers, body=said)


@dataclass
class FakeGitHub:
    """`tokens` maps a token to its login; `apps` are logins for which `/user` is refused;
    `readers` may read and not write; `denied` are permissions (`checks`, `deployments`, `statuses`,
    `issues`, `pull-requests`, `contents`) that no token has. `hooks` run after a request took
    effect. `page` is how many items a page holds.

    `commits` are those of a pull request, `pulls` the pull requests of a commit or of a head
    (`owner:branch`), `requested` those that are read by number, `roles` what people may do,
    `pushes` what branches were brought to, `reviews` who let a run into an environment or not
    (`(login, "approved", environment, ...)`; `production` where none is named). `now` is its
    clock: it goes on by a second with each comment that is written or rewritten.
    """

    address: str = ""
    page: int = PAGE
    tokens: dict[str, str] = field(default_factory=lambda: {"t0ken": ACTIONS})
    apps: set[str] = field(default_factory=lambda: {ACTIONS})
    readers: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    comments: dict[int, dict[str, Any]] = field(default_factory=dict)
    commits: dict[int, list[str]] = field(default_factory=dict)
    pulls: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    requested: dict[int, dict[str, Any]] = field(default_factory=dict)
    minimised: set[str] = field(default_factory=set)
    statuses: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    check_runs: dict[int, dict[str, Any]] = field(default_factory=dict)
    deployments: dict[int, dict[str, Any]] = field(default_factory=dict)
    labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    labelled: dict[int, list[str]] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    reactions: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    pushes: list[dict[str, str]] = field(default_factory=list)
    reviews: dict[int, list[tuple[str, ...]]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    hooks: dict[str, Callable[[], None]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    number: int = 100
    now: datetime = datetime(2026, 3, 2, 9, tzinfo=UTC)

    def next_number(self) -> int:
        with self.lock:
            self.number += 1
            return self.number

    def add_comment(self, pull_request: int, author: str, body: str) -> int:
        number = self.next_number()
        self.comments[number] = {
            "id": number,
            "node_id": f"IC_{number}",
            "body": body,
            "user": author,
            "html_url": f"https://github.example/{REPOSITORY}/pull/{pull_request}"
            f"#issuecomment-{number}",
            "pull": pull_request,
        }
        self.date(number)
        return number

    def date(self, number: int) -> None:
        """A comment is written or rewritten: now, a second after whatever was written before."""
        with self.lock:
            self.now += timedelta(seconds=1)
            stamp = self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.comments[number] |= {
            "created_at": self.comments[number].get("created_at", stamp),
            "updated_at": stamp,
        }

    def add_pull(
        self, number: int, head: str, *, fork: str | None = None, author: str = "octocat"
    ) -> None:
        """An open pull request; `fork` is the repository (`owner/name`) of its head."""
        own = {"id": 1, "full_name": REPOSITORY}
        theirs = own if fork is None else {"id": 2, "full_name": fork}
        self.requested[number] = {
            "number": number,
            "title": f"Pull request {number}",
            "user": {"login": author},
            "head": {"sha": head, "ref": f"topic-{number}", "repo": theirs},
            "base": {"sha": "0" * 40, "ref": "main", "repo": own},
        }

    def push(self, branch: str, commit: str, timestamp: str) -> None:
        """A branch is brought to a commit."""
        change = {"ref": f"refs/heads/{branch}", "after": commit, "timestamp": timestamp}
        self.pushes.append(change)

    def bodies(self, pull_request: int = 42) -> list[str]:
        with self.lock:
            return [c["body"] for c in self.comments.values() if c["pull"] == pull_request]

    def writes(self) -> list[str]:
        return [
            method for method, path in self.requests if method != "GET" and "graphql" not in path
        ]

    def checks(self, commit: str) -> list[dict[str, Any]]:
        """The check runs of a commit, oldest first."""
        with self.lock:
            return [run for run in self.check_runs.values() if run["head_sha"] == commit]

    def deployed(self, environment: str) -> dict[str, list[str]]:
        """The states that deployments to an environment went through, by commit."""
        with self.lock:
            return {
                each["sha"]: [status["state"] for status in each["statuses"]]
                for each in self.deployments.values()
                if each["environment"] == environment
            }


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`path` begins at the repository (`/issues/1/comments`), where it is of one."""

    github: FakeGitHub
    login: str
    method: str
    path: str
    query: dict[str, str]
    body: Any


Answer = tuple[int, Any]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body in one packet: two of them cost 40 ms of delayed acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True
    github: FakeGitHub
    contract: Contract | None

    def log_message(self, *arguments: object) -> None:
        pass

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        path, query = urlsplit(self.path).path, urlsplit(self.path).query
        github = self.github
        with github.lock:
            github.requests.append((self.command, self.path))
            fault = next((f for f in github.faults if f.matches(self.command, path)), None)
            if fault is not None:
                fault.count -= 1
        if fault is not None and not fault.after_effect:
            return self._fail(fault)
        body = json.loads(raw) if raw else None
        status, answer = self._answer(path, query, body)
        hook = github.hooks.pop(f"{self.command} {path}", None)
        if hook is not None:
            hook()
        answer, headers = self._page(answer)
        self._compare(body, status, answer)
        if fault is not None:
            return self._fail(fault)
        return self._send(status, answer, headers)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - names of http.server

    def _compare(self, request: Any, status: int, answer: Any) -> None:
        parts = urlsplit(self.path)
        if self.contract is None:
            return
        if parts.path == "/graphql":
            self._compare_graphql(request, answer)
            return
        path = re.sub(r"^/repos/[^/]+/[^/]+", "/repos/owner/repo", parts.path)
        asked = (self.command, path, parts.query, request)
        with self.github.lock:
            self.github.complaints += self.contract.complaints(*asked, status, answer)

    def _compare_graphql(self, request: Any, answer: Any) -> None:
        # Here, since it takes a quarter of a second and few tests ask.
        from support.github_graphql import questions

        held = questions()
        if held is not None and "data" in answer:
            with self.github.lock:
                self.github.complaints += held.complaints(request, answer)

    def _fail(self, fault: Fault) -> None:
        if fault.status == 0:
            self.close_connection = True
            self.connection.close()
            return
        self._send(fault.status, fault.body or {"message": "fault"}, fault.headers)

    def _send(self, status: int, body: object, headers: dict[str, str]) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        raw = b"" if status == 204 else raw
        self.send_response(status)
        for name, value in {"Content-Length": str(len(raw)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def _page(self, answer: Any) -> tuple[Any, dict[str, str]]:
        """One page of a list, or of the list that an object of pages holds."""
        within = next((key for key in ("commits", "check_runs") if _is_list(answer, key)), None)
        if within is not None:
            shown, headers = self._page(answer[within])
            return {**answer, within: shown}, headers
        if not isinstance(answer, list):
            return answer, {}
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        most = self.github.page
        size, page = min(most, int(query.get("per_page", most))), int(query.get("page", "1"))
        if page * size >= len(answer):
            return answer[(page - 1) * size :], {}
        place = f"{self.github.address}{parts.path}"
        links = {"next": page + 1, "last": -(-len(answer) // size)}
        told = ", ".join(
            f'<{place}?{urlencode({**query, "page": number})}>; rel="{name}"'
            for name, number in links.items()
        )
        return answer[(page - 1) * size : page * size], {"Link": told}

    def _answer(self, path: str, query: str, body: Any) -> Answer:
        from support.github_api import answer_repository, answer_user

        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        login = self.github.tokens.get(token)
        if login is None:
            return 401, {"message": "Bad credentials"}
        request = Request(
            github=self.github,
            login=login,
            method=self.command,
            path=path.removeprefix(_ROOT),
            query=dict(parse_qsl(query)),
            body=body,
        )
        if path == "/graphql":
            return self._graphql(login, body)
        if path == "/user":
            return answer_user(request)
        with self.github.lock:
            return answer_repository(request)

    def _graphql(self, login: str, body: Any) -> Answer:
        if "viewer" in body["query"]:
            return 200, {"data": {"viewer": {"login": login}}}
        node = body["variables"]["id"]
        self.github.minimised.add(node)
        return 200, {"data": {"minimizeComment": {"minimizedComment": {"isMinimized": True}}}}


def _is_list(answer: Any, key: str) -> bool:
    return isinstance(answer, dict) and isinstance(answer.get(key), list)


@contextmanager
def serve_github(edition: str = "github.com") -> Iterator[FakeGitHub]:
    """Listens on a free port of 127.0.0.1 until the block ends; AssertionError then for what
    the edition's description has against what was said."""
    github = FakeGitHub()
    handler = type("Handler", (_Handler,), {"github": github, "contract": contract(edition)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    github.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield github
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert not github.complaints, "\n".join(github.complaints)
