"""A proxy in front of an endpoint that breaks chosen calls, and tells of each one.

Faults are chosen by operation and by count. A hook sees every call before and after it took
effect, so that a test can kill the caller at that very moment. What a caller did not live to send
has no effect: a call whose caller is gone after the first hook goes no further.
"""

import http.client
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import StrEnum
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_SERVICE = re.compile(r"Credential=[^,]*/([a-z0-9-]+)/aws4_request")
_DROPPED = {"connection", "transfer-encoding", "content-length", "expect", "keep-alive"}


class Fault(StrEnum):
    THROTTLE = "throttle"
    RATE = "rate"
    UNAVAILABLE = "unavailable"
    RESET = "reset"
    RESET_AFTER = "reset_after"
    SLOW = "slow"
    TRUNCATED = "truncated"
    GARBLED = "garbled"
    EXPIRED = "expired"
    DENIED = "denied"


class Phase(StrEnum):
    BEFORE = "before"
    AFTER = "after"


@dataclass(slots=True, kw_only=True)
class Rule:
    """Break calls to `operation` (a glob): `times` of them, after `skip` were let through.

    `every` breaks each n-th call instead, without end.
    """

    fault: Fault
    operation: str = "*"
    times: int = 1
    skip: int = 0
    every: int = 0
    seen: int = 0

    def strikes(self, operation: str) -> bool:
        if not fnmatch(operation, self.operation):
            return False
        self.seen += 1
        if self.every:
            return self.seen % self.every == 0
        return self.skip < self.seen <= self.skip + self.times


Hook = Callable[[int, str, Phase], None]
Refusal = tuple[int, str, str]  # HTTP status, code, message
Judge = Callable[[str, Mapping[str, str]], Refusal | None]


@dataclass(slots=True, kw_only=True)
class Faults:
    """The running proxy: `rules` may change at any time, `calls` grows with each call.

    `judge` refuses by operation and headers, `rewrite` changes answers. `ahead` is how many
    seconds the clock of its refusals is ahead of this machine's.
    """

    address: str
    rules: list[Rule] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    injected: list[tuple[str, Fault]] = field(default_factory=list)
    hook: Hook | None = None
    judge: Judge | None = None
    rewrite: Callable[[bytes], bytes] | None = None
    ahead: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, operation: str) -> int:
        return sum(fnmatch(call, operation) for call in self.calls)

    def arrive(self, operation: str) -> tuple[int, Fault | None]:
        with self.lock:
            self.calls.append(operation)
            struck = next((rule.fault for rule in self.rules if rule.strikes(operation)), None)
            if struck is not None:
                self.injected.append((operation, struck))
            return len(self.calls), struck

    def tell(self, number: int, operation: str, phase: Phase) -> None:
        if self.hook is not None:
            self.hook(number, operation, phase)


_ANSWERS = {
    Fault.THROTTLE: (400, "ThrottlingException", "Rate exceeded"),
    Fault.RATE: (429, "TooManyRequests", "Rate exceeded"),
    Fault.UNAVAILABLE: (503, "ServiceUnavailable", "Service is unavailable"),
    Fault.EXPIRED: (403, "ExpiredTokenException", "The security token has expired"),
    Fault.DENIED: (
        400,
        "AccessDeniedException",
        (
            "User: arn:aws:sts::000000000000:assumed-role/ci/run is not authorized to perform:"
            " sagemaker:DescribePipeline on resource: arn:aws:sagemaker:us-east-1:000000000000:"
            "pipeline/pl because no identity-based policy allows the action"
        ),
    ),
}


@contextmanager
def faulty_proxy(target: str) -> Iterator[Faults]:
    """A proxy in front of `target`, gone with the block."""
    faults = Faults(address="")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(faults, target))
    server.daemon_threads = True
    faults.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield faults
    finally:
        server.shutdown()
        thread.join()
        server.socket.close()


def _handler(served: Faults, target: str) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        faults = served
        host = urlsplit(target).netloc

    return Handler


class _Handler(BaseHTTPRequestHandler):
    faults: Faults
    host: str
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        operation = self._operation()
        number, fault = self.faults.arrive(operation)
        self.faults.tell(number, operation, Phase.BEFORE)
        if self._abandoned():
            self.close_connection = True
            return None
        if fault is Fault.RESET:
            return self._reset()
        if fault in _ANSWERS:
            return self._refuse(*_ANSWERS[fault])
        refusal = self.faults.judge(operation, self.headers) if self.faults.judge else None
        if refusal is not None:
            return self._refuse(*refusal)
        if fault is Fault.SLOW:
            time.sleep(1.0)
        status, headers, answer = self._forward(body)
        self.faults.tell(number, operation, Phase.AFTER)
        if self.faults.rewrite is not None:
            answer = self.faults.rewrite(answer)
        if fault is Fault.RESET_AFTER:
            return self._reset()
        if fault is Fault.GARBLED:
            answer = answer[: len(answer) // 2] or b"{"
        self._answer(status, headers, answer, truncated=fault is Fault.TRUNCATED)
        return None

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_PATCH = do  # noqa: N815 - http.server's names

    def _operation(self) -> str:
        named = self.headers.get("X-Amz-Target")
        if named:
            return named.rpartition(".")[2]
        found = _SERVICE.search(self.headers.get("Authorization") or "")
        return f"{found[1] if found else 'http'}:{self.command}"

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection(self.host, timeout=60)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _DROPPED}
            upstream.request(self.command, self.path, body or None, headers)
            answer = upstream.getresponse()
            data = answer.read()
            kept = [(k, v) for k, v in answer.getheaders() if k.lower() not in _DROPPED]
            if self.command == "HEAD":
                kept.append(("Content-Length", answer.getheader("Content-Length") or "0"))
            return answer.status, kept, data
        finally:
            upstream.close()

    def _answer(
        self, status: int, headers: list[tuple[str, str]], body: bytes, *, truncated: bool
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if truncated else body)
        self.wfile.flush()
        if truncated:
            self.close_connection = True

    def _refuse(self, status: int, code: str, message: str) -> None:
        body = json.dumps({"__type": code, "message": message}).encode()
        now = formatdate(time.time() + self.faults.ahead, usegmt=True)
        kept = [("Content-Type", "application/x-amz-json-1.1"), ("Date", now)]
        kept.append(("x-amzn-RequestId", "0"))
        self._answer(status, kept, body, truncated=False)

    def _abandoned(self) -> bool:
        try:
            return not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _reset(self) -> None:
        """RST instead of FIN: what a caller sees when a host on the way dies."""
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
        self.rfile.close()

    def handle_expect_100(self) -> bool:
        super().handle_expect_100()
        self.wfile.flush()  # an S3 client holds its body back for a second without it
        return True

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (OSError, ValueError):
            self.close_connection = True

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):
            return

    def log_message(self, *_arguments: object) -> None:
        return
