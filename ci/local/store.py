"""The local endpoint's memory: JSON documents by kind and key in one SQLite file.

Kinds, keys (parents) and bodies; times are epoch seconds, names are the API's own:

    pipeline             name                     DescribePipeline's response
    pipeline_version     name#number (name)       the version, with PipelineDefinition
    execution            ARN (pipeline name)      DescribePipelineExecution's response, with
                                                  PipelineName, ClientRequestToken, Parameters
                                                  (name to typed value, defaults included),
                                                  Definition (text) and RoleArn
    step                 execution ARN#step name  PipelineExecutionStep, with Properties (what
                         (execution ARN)          references to the step resolve in)
    processing_job, training_job  name            the Describe response
    model_package_group  name                     the Describe response
    model_package        ARN (group name)         the Describe response
    model_package_counter  group name             the last version given out
    model_package_token  ClientToken              the ARN, and the request's fingerprint
    model, endpoint_config, endpoint  name        the Describe response
    endpoint_deployment  endpoint name            what is served (current) and what is to be (next)
    step_result          the step's cache key     what a later execution takes over (pipeline name)
    log_stream           group and stream         how far a log was shipped
    tags                 resource ARN             key to value
    token                operation, scope, token  what a ClientRequestToken stands for

Definitions are kept once however many versions and executions share one: a record holds a
reference, and `get` and `all` hand out the text.

A change that others are to hear of leaves an event beside it, in the same transaction.
"""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Document = dict[str, Any]
# What a change is to be told as: of the record's key, its body before (None: new) and after.
# The bodies hold references in the place of definitions.
Teller = Callable[[str, Document | None, Document], Document | None]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    parent TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (kind, key)
);
CREATE INDEX IF NOT EXISTS record_by_parent ON record (kind, parent, number);
CREATE TABLE IF NOT EXISTS text (digest TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event (number INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
"""

_SHARED = ("Definition", "PipelineDefinition")
_REFERENCE = "$text"


class Store:
    """Documents that survive a kill at any moment. Safe to share between threads.

    `tellers` make the events, by kind of record. `news` is set when there is one to send.
    """

    def __init__(self, file: Path, *, tellers: Mapping[str, Teller] | None = None) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._tellers = tellers or {}
        self.news = threading.Event()
        self._lock = threading.RLock()
        self._depth = 0
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is kept, or none of it. May be nested."""
        with self._lock:
            if self._depth == 0:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
                if self._depth == 1:
                    self._db.execute("COMMIT")
            except BaseException:
                # A full disk makes SQLite roll back by itself, or leaves it to us.
                if self._depth == 1 and self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            finally:
                self._depth -= 1

    def get(self, kind: str, key: str) -> Document | None:
        with self._lock:
            row = self._db.execute(
                "SELECT body FROM record WHERE kind = ? AND key = ?", (kind, key)
            ).fetchone()
            return None if row is None else self._whole(row[0], {})

    def put(self, kind: str, key: str, body: Document, *, parent: str = "") -> None:
        """Insert, or replace the body of what is there (its place in the order stays)."""
        with self.transaction():
            slim = self._slim(body)
            if kind in self._tellers:
                self._tell(kind, key, slim)
            self._db.execute(
                "INSERT INTO record (kind, key, parent, body) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
                (kind, key, parent, json.dumps(slim, separators=(",", ":"))),
            )

    def update(self, kind: str, key: str, **changes: object) -> Document:
        """Overlay `changes` on what is there. KeyError where nothing is."""
        with self.transaction():
            body = self.get(kind, key)
            if body is None:
                raise KeyError(key)
            body.update(changes)
            self.put(kind, key, body)
            return body

    def delete(self, kind: str, key: str) -> bool:
        with self._lock:
            return (
                self._db.execute(
                    "DELETE FROM record WHERE kind = ? AND key = ?", (kind, key)
                ).rowcount
                > 0
            )

    def all(self, kind: str, *, parent: str | None = None) -> list[Document]:
        """Bodies in the order of their creation."""
        query, arguments = "SELECT body FROM record WHERE kind = ?", [kind]
        if parent is not None:
            query, arguments = query + " AND parent = ?", [kind, parent]
        with self._lock:
            rows = self._db.execute(query + " ORDER BY number", arguments).fetchall()
            texts: dict[str, str] = {}
            return [self._whole(row[0], texts) for row in rows]

    def count(self, kind: str, *, parent: str) -> int:
        with self._lock:
            row = self._db.execute(
                "SELECT COUNT(*) FROM record WHERE kind = ? AND parent = ?", (kind, parent)
            ).fetchone()
        return int(row[0])

    def delete_all(self, kind: str, *, parent: str) -> None:
        with self._lock:
            self._db.execute("DELETE FROM record WHERE kind = ? AND parent = ?", (kind, parent))

    def events(self, most: int) -> list[tuple[int, Document]]:
        """The oldest events that were not dropped yet, with their numbers."""
        with self._lock:
            rows = self._db.execute(
                "SELECT number, body FROM event ORDER BY number LIMIT ?", (most,)
            ).fetchall()
        return [(number, json.loads(body)) for number, body in rows]

    def drop_events(self, numbers: Sequence[int]) -> None:
        with self.transaction():
            self._db.executemany(
                "DELETE FROM event WHERE number = ?", [(number,) for number in numbers]
            )

    def _tell(self, kind: str, key: str, after: Document) -> None:
        row = self._db.execute(
            "SELECT body FROM record WHERE kind = ? AND key = ?", (kind, key)
        ).fetchone()
        event = self._tellers[kind](key, None if row is None else json.loads(row[0]), after)
        if event is not None:
            body = json.dumps(event, separators=(",", ":"))
            self._db.execute("INSERT INTO event (body) VALUES (?)", (body,))
            # Whoever waits for it reads through the lock that is held here until the commit.
            self.news.set()

    def _slim(self, body: Document) -> Document:
        """The body with references in the place of what may be shared."""
        slim = dict(body)
        for member in _SHARED:
            text = slim.get(member)
            if isinstance(text, str):
                digest = hashlib.sha256(text.encode()).hexdigest()
                self._db.execute("INSERT OR IGNORE INTO text VALUES (?, ?)", (digest, text))
                slim[member] = {_REFERENCE: digest}
        return slim

    def _whole(self, stored: str, texts: dict[str, str]) -> Document:
        """The body as it was put; `texts` are those read for its neighbours."""
        body: Document = json.loads(stored)
        for member in _SHARED:
            reference = body.get(member)
            if isinstance(reference, dict) and _REFERENCE in reference:
                digest = reference[_REFERENCE]
                if digest not in texts:
                    row = self._db.execute(
                        "SELECT body FROM text WHERE digest = ?", (digest,)
                    ).fetchone()
                    texts[digest] = row[0]
                body[member] = texts[digest]
        return body
