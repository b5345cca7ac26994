"""A small S3 on loopback: objects in memory, whole and in ranges, and their listing."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class LoopbackS3(ThreadingHTTPServer):
    """`objects` maps `bucket/key` to bytes. Any other request is answered as S3 would refuse it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> "LoopbackS3":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LoopbackS3

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        path = unquote(url.path).lstrip("/")
        if "list-type" in query:
            self._list(path.strip("/"), query.get("prefix", [""])[0])
            return
        data = self.server.objects.get(path)
        if data is None:
            self._answer(
                404, b"<Error><Code>NoSuchKey</Code><Message>No such key</Message></Error>"
            )
            return
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes="):
            first, _, last = asked[6:].partition("-")
            end = int(last) if last else len(data) - 1
            part = data[int(first) : end + 1]
            place = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
            self._answer(206, part, {"Content-Range": place})
            return
        self._answer(200, data)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        path = unquote(urlsplit(self.path).path).lstrip("/")
        self.server.objects[path] = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(200, b"")

    def _list(self, bucket: str, prefix: str) -> None:
        keys = sorted(
            name[len(bucket) + 1 :]
            for name in self.server.objects
            if name.startswith(f"{bucket}/{prefix}")
        )
        contents = "".join(f"<Contents><Key>{escape(key)}</Key></Contents>" for key in keys)
        self._answer(
            200,
            f"<ListBucketResult><IsTruncated>false</IsTruncated>{contents}"
            "</ListBucketResult>".encode(),
        )

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"0"')
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass
