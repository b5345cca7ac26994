"""What the loopback forges share: a server with state, faults, hooks and a list of requests."""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from support.github import Fault

F = TypeVar("F", bound="Loopback")
Routes = Mapping[str, Callable[..., "Answer"]]

PAGE = 2
HEAD, BASE = "b" * 40, "0f" * 20


@dataclass(kw_only=True)
class Answer:
    """A body that is bytes goes out as it is, any other as JSON."""

    status: int = 200
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Request:
    """`path` is still encoded, as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw) if self.raw else None


def routed(routes: Routes, path: str) -> Answer | None:
    """The answer of the first route that the whole path matches; its groups are arguments."""
    for pattern, answer in routes.items():
        found = re.fullmatch(pattern, path)
        if found:
            return answer(*found.groups())
    return None


@dataclass
class Loopback:
    """`hooks` run once after a request took effect, by `METHOD path`."""

    address: str = ""
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    hooks: dict[str, Callable[[], None]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def name_of(self, request: Request) -> tuple[str, str]:
        """What faults and hooks are matched against: the method and the path."""
        return request.method, request.path

    def answer(self, request: Request) -> Answer:
        raise NotImplementedError

    def failure(self, fault: Fault) -> Answer:
        body = fault.body if fault.body is not None else {"message": "fault"}
        return Answer(status=fault.status, body=body, headers=fault.headers)

    def serve(self, request: Request) -> Answer | None:
        """None breaks the connection."""
        method, path = self.name_of(request)
        with self.lock:
            self.requests.append((method, path))
            fault = next((each for each in self.faults if each.matches(method, path)), None)
            if fault is not None:
                fault.count -= 1
            if fault is None or fault.after_effect:
                answer = self.answer(request)
        hook = self.hooks.pop(f"{method} {path}", None)
        if hook is not None:
            hook()
        if fault is None:
            return answer
        return None if fault.status == 0 else self.failure(fault)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body in one packet: two of them cost 40 ms of delayed acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True
    forge: Loopback

    def log_message(self, *arguments: object) -> None:
        pass

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=parts.path,
            query={name: values[0] for name, values in parse_qs(parts.query).items()},
            headers=dict(self.headers.items()),
            raw=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
        )
        answer = self.forge.serve(request)
        if answer is None:
            self.close_connection = True
            self.connection.close()
            return
        raw = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        raw = b"" if answer.status == 204 else raw
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(raw)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - names of http.server


@contextmanager
def serve_forge(forge: F) -> Iterator[F]:
    """Listens on a free port of 127.0.0.1 until the block ends."""
    handler = type("Handler", (_Handler,), {"forge": forge})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    forge.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield forge
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
