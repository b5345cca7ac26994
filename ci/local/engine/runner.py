"""One execution from its first step to its end: asks `schedule`, starts steps, has them recorded.

Whoever ends a step asks what comes next and does it in the same thread: a chain runs in one
thread, and threads are added where steps may run side by side.
"""

import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ci.definition.model import Step
from ci.definition.parse import parse_definition
from ci.definition.resolve import Scope, Unresolved, parameter_values, resolve
from ci.local.engine.cache import StepCache
from ci.local.engine.containers import Attempt, StopSignal, disk_full
from ci.local.engine.failure import StepFailure, StepStopped
from ci.local.engine.places import attempt_folder, job_name
from ci.local.engine.records import Records
from ci.local.engine.retry import next_delay
from ci.local.engine.schedule import Progress, State, build_nodes, decide
from ci.local.engine.steps import CONTAINERS, JobRecord, Result, Services, Task, perform
from ci.local.store import Document

_FAILED = "Step failure: One or multiple steps failed."
_SPOKEN = {State.SUCCEEDED: "Succeeded", State.FAILED: "Failed", State.STOPPED: "Stopped"}


@dataclass(slots=True, kw_only=True)
class Limits:
    """`containers` bounds the containers of all executions; `closing` is set when the endpoint
    goes down: whatever happens then is not the execution's doing, and is not recorded. `sweep`
    gives back the room of a finished attempt, later."""

    containers: threading.Semaphore
    parallel: int
    sweep: Callable[[Path], None]
    closing: threading.Event = field(default_factory=threading.Event)


class Run:
    """The execution under way."""

    def __init__(self, execution: Document, services: Services, limits: Limits, home: Path) -> None:
        self.arn = str(execution["PipelineExecutionArn"])
        self._record = execution
        self._services = services
        self._limits = limits
        self._home = home
        self._definition = parse_definition(str(execution["Definition"]))
        self._nodes = build_nodes(self._definition)
        self._parameters = parameter_values(self._definition, execution.get("Parameters") or {})
        given = execution.get("ParallelismConfiguration") or {}
        self._parallel = int(given.get("MaxParallelExecutionSteps") or limits.parallel)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._ending = False
        self._over = threading.Event()
        self._records = Records(
            self.arn, services.store, clock=services.host.clock, closing=limits.closing
        )
        self._cache = StepCache(
            store=services.store,
            clock=services.host.clock,
            pipeline=str(execution["PipelineName"]),
            execution=self.arn,
        )
        self._signals: dict[str, StopSignal] = {}
        self._states: dict[str, State] = {}
        self._outcomes: dict[str, bool] = {}
        self._properties: dict[str, Document] = {}
        self._fail_message: str | None = None
        self._finished: list[Path] = []
        self._property_files = {
            name: node.step.property_files
            for name, node in self._nodes.items()
            if node.step.property_files
        }
        self._load()

    def loop(self) -> None:
        """Start what may start until nothing is left to do. Runs in a thread of its own; returns
        when the execution is over, or the endpoint closes."""
        self._go_on()
        self._over.wait()
        for folder in self._finished:
            self._limits.sweep(folder)

    def _go_on(self) -> None:
        """Steps from here to where no more may start."""
        names = self._advance()
        while names:
            first, *others = names
            for name in others:
                threading.Thread(
                    target=self._branch, args=(name,), name=f"step {name}", daemon=True
                ).start()
            self._work(first)
            names = self._advance()

    def _branch(self, name: str) -> None:
        self._work(name)
        self._go_on()

    def _advance(self) -> tuple[str, ...]:
        """The steps to start now, marked as running. Records the end where that has come."""
        with self._lock:
            if self._ending or self._limits.closing.is_set():
                return ()
            progress = Progress(
                states=self._states,
                outcomes=self._outcomes,
                stopping=self._stopping.is_set(),
                failed_by_step=self._fail_message is not None,
            )
            decision = decide(self._nodes, progress, parallel=self._parallel)
            for name in decision.start:
                self._states[name] = State.RUNNING
            self._ending = decision.status is not None
        if decision.status is not None:
            self._records.end_execution(decision.status, self._fail_message or _FAILED)
            self._over.set()
        return decision.start

    def stop(self) -> None:
        with self._lock:
            self._stopping.set()
            signals = dict(self._signals)
        for name, signal in signals.items():
            if self._states.get(name) is State.RUNNING:
                self._records.write(name, {"StepStatus": "Stopping"})
            threading.Thread(target=signal.request, daemon=True).start()
        self._advance()

    def wake(self) -> None:
        """Return from `loop`: the endpoint closes."""
        self._over.set()

    def _load(self) -> None:
        """What earlier steps left; steps that were under way are to run again."""
        for body in self._services.store.all("step", parent=self.arn):
            name = str(body["StepName"])
            state = next((s for s, text in _SPOKEN.items() if text == body["StepStatus"]), None)
            if state is None or name not in self._nodes:
                continue
            self._states[name] = state
            self._properties[name] = body.get("Properties") or {}
            outcome = body.get("Metadata", {}).get("Condition", {}).get("Outcome")
            if outcome is not None:
                self._outcomes[name] = outcome == "True"
            if state is State.FAILED and self._nodes[name].step.type == "Fail":
                self._fail_message = str(body.get("FailureReason", ""))

    def _work(self, name: str) -> None:
        """A step from its start to its record's end, whatever happens in it."""
        step = self._nodes[name].step
        signal = StopSignal()
        with self._lock:
            self._signals[name] = signal
            if self._stopping.is_set():
                signal.request()
        begun = self._records.begin(step)
        try:
            result = self._attempts(step, begun, signal)
        except StepStopped:
            self._finish(step, State.STOPPED, {})
        except StepFailure as failure:
            if step.type == "Fail":
                self._fail_message = failure.reason
            self._finish(step, State.FAILED, {"FailureReason": failure.reason})
        else:
            self._properties[name] = result.properties
            if result.outcome is not None:
                self._outcomes[name] = result.outcome
            changes = {"Metadata": result.metadata, "Properties": result.properties}
            self._finish(step, State.SUCCEEDED, changes, job=result.job)
        finally:
            with self._lock:
                self._signals.pop(name, None)
            self._records.drop(name)

    def _finish(
        self, step: Step, state: State, changes: Document, *, job: JobRecord | None = None
    ) -> None:
        self._records.end(step.name, _SPOKEN[state], changes, job=job)
        with self._lock:
            if not self._limits.closing.is_set():
                self._states[step.name] = state

    def _attempts(self, step: Step, begun: float, signal: StopSignal) -> Result:
        """Attempts until one succeeds or no policy asks for another."""
        policies: Any = step.raw.get("RetryPolicies") or ()
        retries = 0
        clock = self._services.host.clock
        while True:
            try:
                return self._attempt(step, signal)
            except StepFailure as failure:
                elapsed = clock() - begun
                delay = next_delay(policies, failure.kind, retries=retries, elapsed=elapsed)
                if delay is None or self._limits.closing.is_set():
                    raise
            if signal.wait(delay):
                raise StepStopped
            retries += 1
            self._records.write(step.name, {"AttemptCount": retries + 1})

    def _attempt(self, step: Step, signal: StopSignal) -> Result:
        """One attempt, with every error told as a StepFailure."""
        folder = self._home
        try:
            if step.type in CONTAINERS:
                folder = attempt_folder(self._home, self.arn, step.name)
            return self._once(step, signal, folder)
        except (StepFailure, StepStopped):
            raise
        except Unresolved as error:
            raise StepFailure(f"ClientError: {error}") from None
        except OSError as error:
            raise disk_full(error, self._home) from None
        except Exception as error:  # noqa: BLE001 - a step's end is recorded whatever happens
            with suppress(OSError):
                (folder / "error").write_text(traceback.format_exc(), encoding="utf-8")
            raise StepFailure.internal(f"{type(error).__name__}: {error}") from None

    def _once(self, step: Step, signal: StopSignal, folder: Path) -> Result:
        job = job_name(self.arn, step.name)
        scope = self._scope(step, job)
        arguments = {} if step.type == "Condition" else resolve(step.arguments, scope)
        key = self._cache.key(step, arguments, scope)
        if key is not None and (hit := self._cache.find(step, key)) is not None:
            self._records.add(step.name, {"CacheHitResult": hit.source})
            return hit.result
        task = Task(
            step=step,
            arguments=arguments,
            scope=scope,
            attempt=Attempt(job=job, folder=folder, stop=signal),
            execution=self.arn,
            announce=lambda metadata, job=None: self._records.write(
                step.name, {"Metadata": metadata}, job=job
            ),
        )
        signal.check()
        if step.type in CONTAINERS:
            result = self._contained(task, signal)
            self._finished.append(folder)
        else:
            result = perform(task, self._services)
        if key is not None:
            self._cache.keep(step, key, result)
        return result

    def _contained(self, task: Task, signal: StopSignal) -> Result:
        """Containers wait for a place: a wide pipeline must not start more than a machine bears."""
        self._take_container(task.step, signal)
        try:
            return perform(task, self._services)
        finally:
            self._limits.containers.release()

    def _take_container(self, step: Step, signal: StopSignal) -> None:
        if self._limits.containers.acquire(blocking=False):
            return
        self._records.write(step.name, {})
        while not self._limits.containers.acquire(timeout=0.2):
            signal.check()
            if self._limits.closing.is_set():
                raise StepStopped

    def _scope(self, step: Step, job: str) -> Scope:
        record = self._record
        now = self._services.host.clock()
        variables = {
            "PipelineName": str(record["PipelineName"]),
            "PipelineArn": str(record["PipelineArn"]),
            "PipelineExecutionArn": self.arn,
            "PipelineExecutionId": self.arn.rpartition("/")[2],
            "StartDateTime": _iso(float(record.get("CreationTime") or now)),
            "CurrentDateTime": _iso(now),
        }
        if step.type in CONTAINERS:
            variables[f"{step.type}JobName"] = job
        return Scope(
            parameters=self._parameters,
            variables=variables,
            properties=dict(self._properties),
            property_files=self._property_files,
            read_text=self._services.host.transfer.read_text,
        )


def _iso(seconds: float) -> str:
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
