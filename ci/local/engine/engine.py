"""The step engine: what the API calls to run, stop and retry executions.

Records are the whole state. Each execution under way has a thread, and one more for each step
that runs beside another; none needs to survive a kill, since the records say what is done.
"""

import os
import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ci.definition.resolve import Unresolved
from ci.errors import GitOpsError
from ci.local.clients import Clients
from ci.local.context import ACCOUNT
from ci.local.engine.containers import GRACE, Host, discard
from ci.local.engine.isolate import Isolation, end_leftovers
from ci.local.engine.logs import LogShipper
from ci.local.engine.places import step_folder
from ci.local.engine.runner import Limits, Run
from ci.local.engine.steps import Services
from ci.local.engine.transfer import Transfer
from ci.local.store import Document, Store

_PARALLEL = 50
_COMING_TO_ITS_END = 10.0
_ALIVE = ("Executing", "Stopping")
_UNDONE = ("Starting", "Executing", "Stopping", "Failed", "Stopped")


class Engine:
    """Runs executions that are recorded in `store`.

    `address` is where steps and Lambdas find AWS (the endpoint's front); `clients` open what the
    engine itself needs of S3, Logs and Lambda (there too if not given). `home` is the folder of
    the endpoint's state. `capacity` bounds the containers that run at once over all executions.
    """

    def __init__(  # noqa: PLR0913 - each is one piece of the endpoint
        self,
        *,
        store: Store,
        clock: Callable[[], float],
        call: Callable[[str, Document], Document],
        home: Path,
        region: str,
        address: str,
        images: tuple[tuple[str, Path], ...],
        clients: Clients | None = None,
        isolation: str = "",
        capacity: int | None = None,
        grace: float = GRACE,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._home = home
        self._clients = clients or Clients(address, region)
        self._isolation = Isolation(home / "launcher", mode=isolation)
        self._logs = LogShipper(store, self._clients.get, clock)
        self._sweeper = _Sweeper()
        self._limits = Limits(
            containers=threading.Semaphore(capacity or max(8, 2 * (os.cpu_count() or 1))),
            parallel=_PARALLEL,
            sweep=self._sweeper.put,
        )
        self._services = Services(
            store=store,
            call=call,
            make_client=self._clients.get,
            host=Host(
                isolation=self._isolation,
                transfer=Transfer(self._clients.get, region=region),
                logs=self._logs,
                images=images,
                address=address,
                region=region,
                clock=clock,
                arn=lambda resource: f"arn:aws:sagemaker:{region}:{ACCOUNT}:{resource}",
                environ=dict(os.environ if environ is None else environ),
                grace=grace,
            ),
        )
        self._lock = threading.Lock()
        self._runs: dict[str, Run] = {}
        self._threads: dict[str, threading.Thread] = {}

    def submit(self, execution_arn: str) -> None:
        """Begin, or go on with, the execution that is recorded under this ARN."""
        with self._lock:
            if execution_arn in self._runs or self._limits.closing.is_set():
                return
            record = self._store.get("execution", execution_arn)
            if record is None:
                return
            try:
                run = Run(record, self._services, self._limits, self._home)
            except (GitOpsError, Unresolved) as error:
                self._refuse(execution_arn, str(error))
                return
            if record["PipelineExecutionStatus"] == "Stopping":
                run.stop()
            thread = threading.Thread(
                target=self._follow, args=(run,), name="execution", daemon=True
            )
            self._runs[execution_arn] = run
            self._threads[execution_arn] = thread
        thread.start()

    def stop(self, execution_arn: str) -> None:
        """Stop running steps; the execution goes Stopping, then Stopped."""
        with self._lock, self._store.transaction():
            record = self._store.get("execution", execution_arn)
            if record is None or record["PipelineExecutionStatus"] not in _ALIVE:
                return
            self._mark(execution_arn, "Stopping")
            run = self._runs.get(execution_arn)
        if run is not None:
            run.stop()
        else:
            self.submit(execution_arn)

    def retry(self, execution_arn: str) -> None:
        """Go on from the failed or stopped steps of a terminal execution; succeeded steps stay."""
        if self._is_over(execution_arn):
            self.wait(execution_arn, _COMING_TO_ITS_END)
        with self._lock, self._store.transaction():
            record = self._store.get("execution", execution_arn)
            if record is None or execution_arn in self._runs:
                return
            for step in self._store.all("step", parent=execution_arn):
                if step["StepStatus"] in _UNDONE:
                    self._store.delete("step", f"{execution_arn}#{step['StepName']}")
            record.pop("FailureReason", None)
            record["PipelineExecutionStatus"] = "Executing"
            record["LastModifiedTime"] = self._clock()
            self._store.put("execution", execution_arn, record)
        self.submit(execution_arn)

    def _is_over(self, arn: str) -> bool:
        record = self._store.get("execution", arn)
        return record is not None and record["PipelineExecutionStatus"] not in _ALIVE

    def resume_all(self) -> None:
        """After a start: end what a killed endpoint left running, and go on with its executions.

        Finished steps stay as they are; a step that was under way runs again from its start.
        """
        for record in self._store.all("execution"):
            if record["PipelineExecutionStatus"] not in _ALIVE:
                continue
            arn = str(record["PipelineExecutionArn"])
            for step in self._store.all("step", parent=arn):
                if step["StepStatus"] in _UNDONE[:3]:
                    self._clear(arn, step)
            self.submit(arn)
        self._logs.resume()

    def wait(self, execution_arn: str, timeout: float | None = None) -> bool:
        """Whether the execution is over, or came to its end within `timeout` seconds."""
        thread = self._threads.get(execution_arn)
        if thread is not None:
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    def close(self) -> None:
        """End running steps without recording them as failed: `resume_all` takes them up."""
        self._limits.closing.set()
        self._isolation.close()
        with self._lock:
            runs, threads = list(self._runs.values()), list(self._threads.values())
        for run in runs:
            run.wake()
        for thread in threads:
            thread.join(timeout=5)
        self._logs.close()
        self._sweeper.close()

    def _follow(self, run: Run) -> None:
        try:
            run.loop()
        finally:
            with self._lock:
                self._runs.pop(run.arn, None)
                self._threads.pop(run.arn, None)

    def _refuse(self, arn: str, reason: str) -> None:
        self._mark(arn, "Failed", FailureReason=reason[:1300])

    def _mark(self, arn: str, status: str, **changes: Any) -> None:
        with suppress(KeyError):
            self._store.update(
                "execution",
                arn,
                PipelineExecutionStatus=status,
                LastModifiedTime=self._clock(),
                **changes,
            )

    def _clear(self, arn: str, step: Document) -> None:
        """End the step's leftovers and forget that it was under way."""
        name = str(step["StepName"])
        folder = step_folder(self._home, arn, name)
        if folder.is_dir():
            for attempt in folder.iterdir():
                end_leftovers(attempt)
        for kind, record in (("ProcessingJob", "processing_job"), ("TrainingJob", "training_job")):
            job = step.get("Metadata", {}).get(kind, {}).get("Arn", "").rpartition("/")[2]
            with suppress(KeyError):
                self._store.update(record, job, **{f"{kind}Status": "Stopped"})
        self._store.delete("step", f"{arn}#{name}")


class _Sweeper:
    """Removes what finished attempts no longer need, one at a time, out of the steps' way."""

    def __init__(self) -> None:
        self._folders: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, folder: Path) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._sweep, name="sweeper", daemon=True)
            self._thread.start()
        self._folders.put(folder)

    def close(self) -> None:
        self._folders.put(None)
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _sweep(self) -> None:
        while (folder := self._folders.get()) is not None:
            discard(folder)
