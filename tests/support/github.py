"""A GitHub of one repository on loopback: it keeps state, pages by two, and can be made to fail.

Answers as the REST API does for what the project calls: comments, commits of a pull request, pull
requests of a commit, `/user`, and the two GraphQL calls. Asserted by its state.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PAGE = 2
# The most commits that GitHub lists of a pull request, the oldest.
LISTED = 250
BODY_LIMIT = 65_536
REPOSITORY = "acme/mlops"


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


@dataclass
class FakeGitHub:
    """`tokens` maps a token to its login; `apps` are logins for which `/user` is refused;
    `readers` may read and not write. `hooks` run after a request took effect."""

    address: str = ""
    tokens: dict[str, str] = field(default_factory=lambda: {"t0ken": "github-actions[bot]"})
    apps: set[str] = field(default_factory=lambda: {"github-actions[bot]"})
    readers: set[str] = field(default_factory=set)
    comments: dict[int, dict[str, Any]] = field(default_factory=dict)
    commits: dict[int, list[str]] = field(default_factory=dict)
    pulls: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    minimised: set[str] = field(default_factory=set)
    statuses: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    requested: dict[int, dict[str, Any]] = field(default_factory=dict)
    reactions: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    dispatches: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    hooks: dict[str, Callable[[], None]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    number: int = 100

    def add_comment(self, pull_request: int, author: str, body: str) -> int:
        with self.lock:
            self.number += 1
            self.comments[self.number] = {
                "id": self.number,
                "node_id": f"IC_{self.number}",
                "body": body,
                "user": {"login": author, "type": "Bot" if author in self.apps else "User"},
                "html_url": f"https://github.example/{REPOSITORY}/pull/{pull_request}"
                f"#issuecomment-{self.number}",
                "pull": pull_request,
            }
            return self.number

    def add_pull(
        self, number: int, head: str, *, fork: str | None = None, author: str = "octocat"
    ) -> None:
        """An open pull request; `fork` is the repository (`owner/name`) of its head."""
        own = {"id": 1, "full_name": REPOSITORY}
        theirs = own if fork is None else {"id": 2, "full_name": fork}
        self.requested[number] = {
            "number": number,
            "state": "open",
            "merged_at": None,
            "title": f"Pull request {number}",
            "html_url": f"https://github.example/{REPOSITORY}/pull/{number}",
            "user": {"login": author},
            "head": {"sha": head, "ref": f"topic-{number}", "repo": theirs},
            "base": {"sha": "0" * 40, "ref": "main", "repo": own},
        }

    def open_pulls(self, head: str) -> list[dict[str, Any]]:
        """Open pull requests by `owner:branch`, as `pulls` holds them under that name."""
        return self.pulls.get(head, [])

    def bodies(self, pull_request: int = 42) -> list[str]:
        with self.lock:
            return [c["body"] for c in self.comments.values() if c["pull"] == pull_request]

    def writes(self) -> list[str]:
        return [
            method for method, path in self.requests if method != "GET" and "graphql" not in path
        ]


Answer = tuple[int, object]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body in one packet: two of them cost 40 ms of delayed acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True
    github: FakeGitHub

    def log_message(self, *arguments: object) -> None:
        pass

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        path = urlsplit(self.path).path
        github = self.github
        with github.lock:
            github.requests.append((self.command, self.path))
            fault = next((f for f in github.faults if f.matches(self.command, path)), None)
            if fault is not None:
                fault.count -= 1
        if fault is not None and not fault.after_effect:
            return self._fail(fault)
        status, body = self._answer(path, json.loads(raw) if raw else None)
        hook = github.hooks.pop(f"{self.command} {path}", None)
        if hook is not None:
            hook()
        if fault is not None:
            return self._fail(fault)
        headers = {}
        if isinstance(body, list):
            body, headers = self._page(body)
        elif isinstance(body, dict) and "commits" in body:
            shown, headers = self._page(body["commits"])
            body = {**body, "commits": shown}
        return self._send(status, body, headers)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - names of http.server

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

    def _page(self, items: list[object]) -> tuple[list[object], dict[str, str]]:
        query = parse_qs(urlsplit(self.path).query)
        page = int(query.get("page", ["1"])[0])
        shown = items[(page - 1) * PAGE : page * PAGE]
        if page * PAGE >= len(items):
            return shown, {}
        base = f"{self.github.address}{urlsplit(self.path).path}"
        last = -(-len(items) // PAGE)
        links = f'<{base}?page={page + 1}>; rel="next", <{base}?page={last}>; rel="last"'
        return shown, {"Link": links}

    def _answer(self, path: str, body: Any) -> Answer:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        login = self.github.tokens.get(token)
        if login is None:
            return 401, {"message": "Bad credentials"}
        if path == "/graphql":
            return self._graphql(login, body)
        if path == "/user":
            if login in self.github.apps:
                return 403, {"message": "Resource not accessible by integration"}
            return 200, {"login": login}
        if self.command != "GET" and login in self.github.readers:
            return 403, {"message": "Resource not accessible by integration"}
        with self.github.lock:
            path = path.removeprefix(f"/repos/{REPOSITORY}")
            return self._pulls() if path == "/pulls" else self._repository(login, path, body)

    def _graphql(self, login: str, body: Any) -> Answer:
        if "viewer" in body["query"]:
            return 200, {"data": {"viewer": {"login": login}}}
        node = body["variables"]["id"]
        self.github.minimised.add(node)
        return 200, {"data": {"minimizeComment": {"minimizedComment": {"isMinimized": True}}}}

    def _repository(self, login: str, path: str, body: Any) -> Answer:
        github = self.github
        if found := re.fullmatch(r"/issues/(\d+)/comments", path):
            return self._comments(login, int(found[1]), body)
        if found := re.fullmatch(r"/issues/comments/(\d+)", path):
            return self._comment(int(found[1]), body)
        if found := re.fullmatch(r"/pulls/(\d+)/commits", path):
            return 200, [{"sha": sha} for sha in github.commits.get(int(found[1]), [])][:LISTED]
        if found := re.fullmatch(r"/statuses/([^/]+)", path):
            github.statuses.setdefault(found[1], []).append(body)
            refused = {"message": "Validation Failed", "errors": [{"field": "description"}]}
            return (422, refused) if len(body["description"]) > 140 else (201, body)
        if found := re.fullmatch(r"/collaborators/([^/]+)/permission", path):
            return self._permission(unquote(found[1]))
        if found := re.fullmatch(r"/pulls/(\d+)", path):
            pull = github.requested.get(int(found[1]))
            return (404, {"message": "Not Found"}) if pull is None else (200, pull)
        if found := re.fullmatch(r"/issues/comments/(\d+)/reactions", path):
            return self._react(login, int(found[1]), body["content"])
        if path == "/dispatches":
            github.dispatches.append(body)
            return 204, None
        if found := re.fullmatch(r"/compare/[0-9a-f]+\.\.\.([0-9a-f]+)", path):
            return self._compare(found[1])
        if found := re.fullmatch(r"/commits/([^/]+)/pulls", path):
            unknown = {"message": f"No commit found for SHA: {found[1]}"}
            return (200, github.pulls[found[1]]) if found[1] in github.pulls else (422, unknown)
        return 404, {"message": "Not Found"}

    def _permission(self, login: str) -> Answer:
        role = self.github.roles.get(login)
        if role is None:
            return 404, {"message": f"{login} is not a user"}
        base = {"maintain": "write", "triage": "read"}.get(role, role)
        return 200, {"permission": base, "role_name": role, "user": {"login": login}}

    def _compare(self, head: str) -> Answer:
        for shas in self.github.commits.values():
            if shas and shas[-1] == head:
                return 200, {"commits": [{"sha": sha} for sha in shas]}
        return 404, {"message": "Not Found"}

    def _react(self, login: str, comment: int, content: str) -> Answer:
        if comment not in self.github.comments:
            return 404, {"message": "Not Found"}
        given = self.github.reactions.setdefault(comment, [])
        there = (login, content) in given
        if not there:
            given.append((login, content))
        return 200 if there else 201, {"id": 1, "content": content}

    def _pulls(self) -> Answer:
        return 200, self.github.open_pulls(parse_qs(urlsplit(self.path).query)["head"][0])

    def _comments(self, login: str, number: int, body: Any) -> Answer:
        github = self.github
        if self.command != "POST":
            return 200, [c for c in github.comments.values() if c["pull"] == number]
        if len(body["body"]) > BODY_LIMIT:
            return 422, _too_long()
        return 201, github.comments[github.add_comment(number, login, body["body"])]

    def _comment(self, number: int, body: Any) -> Answer:
        comment = self.github.comments.get(number)
        if comment is None:
            return 404, {"message": "Not Found"}
        if self.command == "DELETE":
            del self.github.comments[number]
            return 204, None
        if self.command == "PATCH":
            if len(body["body"]) > BODY_LIMIT:
                return 422, _too_long()
            comment["body"] = body["body"]
        return 200, comment


def _too_long() -> object:
    return {
        "message": "Validation Failed",
        "errors": [
            {"resource": "IssueComment", "code": "unprocessable", "field": "data",
             "message": f"Body is too long (maximum is {BODY_LIMIT} characters)"}
        ],
    }  # fmt: skip


@contextmanager
def serve_github() -> Iterator[FakeGitHub]:
    """Listens on a free port of 127.0.0.1 until the block ends."""
    github = FakeGitHub()
    handler = type("Handler", (_Handler,), {"github": github})
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
