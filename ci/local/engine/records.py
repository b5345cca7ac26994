"""The records of one execution's steps, and of its end: what is written of them, and when.

A step's record is written with the first that there is to tell of it, its end whatever happens.
"""

import sqlite3
import threading
from collections.abc import Callable

from ci.definition.model import Step
from ci.local.engine.steps import JobRecord
from ci.local.store import Document, Store

_TRY_AGAIN = 1.0


class Records:
    """Safe to share between the threads of the execution's steps. Once `closing` is set, nothing
    is insisted on: the next start of the endpoint goes on from what is written."""

    def __init__(
        self,
        execution: str,
        store: Store,
        *,
        clock: Callable[[], float],
        closing: threading.Event,
    ) -> None:
        self._execution = execution
        self._store = store
        self._clock = clock
        self._closing = closing
        self._lock = threading.Lock()
        self._held: dict[str, Document] = {}

    def begin(self, step: Step) -> float:
        """Hold a record for the step from now on; when that is."""
        now = self._clock()
        record: Document = {
            "StepName": step.name,
            "StepType": step.type,
            "StepStatus": "Executing",
            "StartTime": now,
            "AttemptCount": 1,
        }
        for key, name in (("DisplayName", "StepDisplayName"), ("Description", "StepDescription")):
            if step.raw.get(key):
                # The API's pattern for both is one line.
                record[name] = " ".join(str(step.raw[key]).splitlines())
        with self._lock:
            self._held[step.name] = record
        return now

    def add(self, step: str, changes: Document) -> None:
        """To be told with what is written next."""
        with self._lock:
            self._held[step] = self._held[step] | changes

    def write(self, step: str, changes: Document, *, job: JobRecord | None = None) -> None:
        """Write the step's record, and its job's with it. One that has ended stays as it is."""
        with self._lock:
            record = self._held.get(step)
            if record is None or "EndTime" in record:
                return
            changed = record | changes
            with self._store.transaction():
                if job is not None:
                    self._store.put(*job)
                key = f"{self._execution}#{step}"
                self._store.put("step", key, changed, parent=self._execution)
            self._held[step] = changed

    def end(
        self, step: str, status: str, changes: Document, *, job: JobRecord | None = None
    ) -> None:
        ended = {"StepStatus": status, "EndTime": self._clock()}
        self._insist(lambda: self.write(step, changes | ended, job=job))

    def drop(self, step: str) -> None:
        """Nothing more comes of the step."""
        with self._lock:
            self._held.pop(step, None)

    def end_execution(self, status: str, failure: str) -> None:
        """`failure` is told where the status is one."""
        body = self._store.get("execution", self._execution)
        if body is None:
            return
        body["PipelineExecutionStatus"] = status
        body["LastModifiedTime"] = self._clock()
        if status in ("Failed", "CompletedWithFailures"):
            body["FailureReason"] = failure
        self._insist(lambda: self._store.put("execution", self._execution, body))

    def _insist(self, write: Callable[[], None]) -> None:
        """Write what must not be lost: where the disk is full, again until it is not."""
        while not self._closing.is_set():
            try:
                write()
            except sqlite3.OperationalError:
                self._closing.wait(_TRY_AGAIN)
            else:
                return
