"""The capture endpoint over HTTP: which service and operation a request is for.

It answers on a socket that the child made (maybe inside a network namespace of its own) and
handed over; the process that listens on it is this one, so that user code cannot rewrite what
was captured. What each service answers is decided in `services`.
"""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ci.compile.services import Answer, Capture, Request, answer

_SERVICE = re.compile(r"Credential=[^/,]+/\d{8}/[^/]*/([^/]+)/aws4_request")
MAX_BODY = 1 << 30


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: "_Server"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Nothing: requests are told in errors, not on stderr."""

    def handle_expect_100(self) -> bool:
        """Answer at once: a client that waits for it in vain waits a second for every upload."""
        done = super().handle_expect_100()
        self.wfile.flush()
        return done

    def _body(self) -> bytes | None:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return b"".join(_chunks(self.rfile.readline, self.rfile.read))
        length = int(self.headers.get("Content-Length") or 0)
        return None if length > MAX_BODY else self.rfile.read(length)

    def _serve(self) -> None:
        body = self._body()
        if body is None:
            self.close_connection = True
            self._send(Answer(status=413))
            return
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            body = decode_aws_chunked(body)
        parts = urlsplit(self.path)
        found = _SERVICE.search(self.headers.get("Authorization", ""))
        request = Request(
            service=found.group(1) if found else "unsigned",
            method=self.command,
            path=unquote(parts.path),
            query={
                key: values[0]
                for key, values in parse_qs(parts.query, keep_blank_values=True).items()
            },
            headers={key.lower(): value for key, value in self.headers.items()},
            body=body,
        )
        self._send(answer(self.server.capture, request))

    def _send(self, reply: Answer) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in reply.headers:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815  http.server's names


def _chunks(readline: Any, read: Any) -> Iterator[bytes]:
    """The payload of a body in HTTP's chunked transfer coding."""
    while True:
        size = int(readline(65536).split(b";")[0].strip() or b"0", 16)
        if size:
            yield read(size)
        while readline(65536) not in (b"\r\n", b"\n", b""):
            continue
        if not size:
            return


def decode_aws_chunked(body: bytes) -> bytes:
    """The payload of a body in S3's `aws-chunked` coding; its trailers are dropped.

    Each chunk is `<hex size>[;chunk-signature=...]\\r\\n<data>\\r\\n`, the last has size 0.
    """
    out, position = [], 0
    while position < len(body):
        end = body.find(b"\r\n", position)
        if end < 0:
            break
        size = int(body[position:end].split(b";")[0] or b"0", 16)
        if size == 0:
            break
        out.append(body[end + 2 : end + 2 + size])
        position = end + 2 + size + 2
    return b"".join(out)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    capture: Capture

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A child that is killed leaves broken connections; they are told nowhere."""


@contextmanager
def serve(listener: socket.socket, capture: Capture) -> Iterator[None]:
    """Answer on `listener` until the context ends."""
    server = _Server(("127.0.0.1", 0), _Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.server_address = listener.getsockname()
    server.capture = capture
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
