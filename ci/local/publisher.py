"""Sends what the store has to tell to the emulator's default event bus, in the order it happened.

An event is written with the change it tells of, in one transaction, and removed once the bus has
taken it: one that a kill cuts off is sent after the next start, or a second time, as AWS may too.
A change never waits for its event, and an emulator that is away only delays them.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

from ci.local.store import Document, Store

_LOG = logging.getLogger("ci.local")
_BATCH = 10  # the most that PutEvents takes
_GATHER = 0.02  # seconds: what happens at once goes in one call
_PAUSES = (0.2, 1.0, 5.0)
# Codes of an entry that is worth another try.
_PASSING = frozenset({"InternalFailure", "InternalException", "ThrottlingException"})


class Publisher:
    """A thread from `start` to `close`. `make_client` gives boto3 clients by service."""

    def __init__(self, store: Store, make_client: Callable[[str], Any]) -> None:
        self._store = store
        self._make_client = make_client
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """What was not sent yet is kept, and sent after the next start."""
        self._closing.set()
        self._store.news.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        faults = 0
        self._store.news.set()
        while not self._closing.is_set():
            self._store.news.wait()
            self._closing.wait(_GATHER)
            self._store.news.clear()
            try:
                sent = self._send_all()
            except sqlite3.Error:
                sent = False
            faults = 0 if sent else faults + 1
            if not sent:
                self._store.news.set()
                self._closing.wait(_PAUSES[min(faults, len(_PAUSES)) - 1])

    def _send_all(self) -> bool:
        """Whether nothing is left to send."""
        while not self._closing.is_set():
            waiting = self._store.events(_BATCH)
            if not waiting:
                return True
            if not self._send(waiting):
                return False
        return True

    def _send(self, waiting: list[tuple[int, Document]]) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._make_client("events").put_events(Entries=[entry for _, entry in waiting])
        except (BotoCoreError, ClientError, ValueError) as error:
            _LOG.info("events wait for the bus: %s", error)
            return False
        done: list[int] = []
        for (number, entry), result in zip(waiting, answer["Entries"], strict=True):
            code = result.get("ErrorCode")
            if code in _PASSING:
                break
            if code is not None:
                _LOG.warning("the bus refused the event of %s: %s", entry["Resources"][-1], result)
            done.append(number)
        self._store.drop_events(done)
        return len(done) == len(waiting)
