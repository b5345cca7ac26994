"""The local endpoint's memory: JSON documents by kind and key in one SQLite file.

Kinds, keys (parents) and bodies; times are epoch seconds, names are the API's own:

    pipeline             name                     DescribePipeline's response
    pipeline_version     name#number (name)       the version, with PipelineDefinition
    execution            ARN (pipeline name)      DescribePipelineExecution's response, with
                                                  PipelineName, ClientRequestToken, Parameters,
                                                  Definition and RoleArn
    step                 execution ARN#step name  PipelineExecutionStep, with Properties (what
                         (execution ARN)          references to the step resolve in)
    processing_job, training_job  name            the Describe response
    model_package_group  name                     the Describe response
    model_package        ARN (group name)         the Describe response
    model, endpoint_config, endpoint  name        the Describe response
    tags                 resource ARN             key to value
"""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Document = dict[str, Any]

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
"""


class Store:
    """Documents that survive a kill at any moment. Safe to share between threads."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
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
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._db.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._db.execute("COMMIT")

    def get(self, kind: str, key: str) -> Document | None:
        with self._lock:
            row = self._db.execute(
                "SELECT body FROM record WHERE kind = ? AND key = ?", (kind, key)
            ).fetchone()
        return None if row is None else json.loads(row[0])

    def put(self, kind: str, key: str, body: Document, *, parent: str = "") -> None:
        """Insert, or replace the body of what is there (its place in the order stays)."""
        with self._lock:
            self._db.execute(
                "INSERT INTO record (kind, key, parent, body) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
                (kind, key, parent, json.dumps(body, separators=(",", ":"))),
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
        return [json.loads(row[0]) for row in rows]
