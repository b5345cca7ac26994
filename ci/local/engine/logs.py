"""Step logs as they come: kept in files, and put where the Logs API reads them.

A shipper puts what is new in the files to CloudWatch Logs in batches, out of the steps' way. How
far it got is recorded, so that a kill loses no line.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ci.local.store import Document, Store

KIND = "log_stream"
_PERIOD = 1.0
_MOST_EVENTS = 5000
_MOST_BYTES = 900_000
_PER_EVENT = 26
_LONGEST_LINE = 200_000
_TAIL = 16_384  # bytes in which the last lines of a log are looked for


def tail(file: Path, *, lines: int = 20) -> list[str]:
    """The last lines of a log of any size."""
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - _TAIL))
            text = stream.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-lines:]


class LogShipper:
    """Follows open streams once a second, and once more whenever one is flushed."""

    def __init__(
        self, store: Store, make_client: Callable[[str], Any], clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._make_client = make_client
        self._clock = clock
        self._client: Any = None
        self._groups: set[str] = set()
        self._streams: set[str] = set()
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._open: dict[str, Document] = {}
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def resume(self) -> None:
        """Take up streams that a killed endpoint did not finish."""
        for body in self._store.all(KIND):
            body["ended"] = True
            self._add(body)

    def open(self, group: str, stream: str, file: Path) -> None:
        body = {"group": group, "stream": stream, "file": str(file), "offset": 0, "ended": False}
        self._store.put(KIND, stream, body)
        self._add(body)

    def end(self, stream: str) -> None:
        """No more lines will come. They are put within a moment."""
        with self._lock:
            if stream in self._open:
                self._open[stream]["ended"] = True

    def flush(self, stream: str | None = None) -> None:
        """Put what is there, of one stream or of all, before returning."""
        with self._turn:
            with self._lock:
                todo = [b for s, b in self._open.items() if stream in (None, s)]
            for body in todo:
                with suppress(Exception):
                    self._ship(body)

    def close(self) -> None:
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
        self.flush()

    def _add(self, body: Document) -> None:
        with self._lock:
            self._open[body["stream"]] = body
            if self._thread is None:
                self._thread = threading.Thread(target=self._follow, name="logs", daemon=True)
                self._thread.start()

    def _follow(self) -> None:
        while not self._closed:
            self._wake.wait(_PERIOD)
            self.flush()

    def _ship(self, body: Document) -> None:
        file, ended = Path(body["file"]), body["ended"]
        for events, offset in _batches(file, body["offset"], ended, self._clock):
            self._put(body["group"], body["stream"], events)
            body["offset"] = offset
            self._store.put(KIND, body["stream"], body)
        if ended:
            with self._lock:
                self._open.pop(body["stream"], None)
            self._streams.discard(body["stream"])
            self._store.delete(KIND, body["stream"])

    def _put(self, group: str, stream: str, events: list[Document]) -> None:
        if self._client is None:
            self._client = self._make_client("logs")
        client = self._client
        if group not in self._groups:
            with suppress(client.exceptions.ResourceAlreadyExistsException):
                client.create_log_group(logGroupName=group)
            self._groups.add(group)
        if stream not in self._streams:
            with suppress(client.exceptions.ResourceAlreadyExistsException):
                client.create_log_stream(logGroupName=group, logStreamName=stream)
            self._streams.add(stream)
        client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def _batches(
    file: Path, offset: int, ended: bool, clock: Callable[[], float]
) -> Iterator[tuple[list[Document], int]]:
    """New lines as PutLogEvents takes them, each batch with the offset after it. A line without
    its end waits, unless no more will come."""
    try:
        stream = file.open("rb")
    except OSError:
        return
    with stream:
        stream.seek(offset)
        events: list[Document] = []
        size = 0
        while line := stream.readline(_LONGEST_LINE):
            if not line.endswith(b"\n") and not ended and len(line) < _LONGEST_LINE:
                break
            offset += len(line)
            text = line.decode("utf-8", errors="replace").rstrip("\r\n")
            cost = len(text.encode()) + _PER_EVENT
            if events and (len(events) >= _MOST_EVENTS or size + cost > _MOST_BYTES):
                yield events, offset - len(line)
                events, size = [], 0
            if text:
                events.append({"timestamp": int(clock() * 1000), "message": text})
                size += cost
        if events:
            yield events, offset
