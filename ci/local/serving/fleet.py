"""The serving processes of all endpoints: started together, replaced at once, started again.

A new deployment takes over only when every container of every variant has answered; the old one
answers until then. A process that died is started again by the next request that needs it.
"""

import contextlib
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ci.local.engine.isolate import start_time
from ci.local.serving.deployment import Container, Deployment, Variant
from ci.local.serving.process import NotReady, ServingProcess

_DRAIN = 60.0
_JOIN = 10.0

Launch = Callable[[Container, Path], ServingProcess]


class StartFailed(Exception):
    """A container of a variant did not come up; worded as AWS words a FailureReason."""


class FleetClosed(Exception):
    """The endpoint went down meanwhile. Nothing was decided: the next one goes on."""


@dataclass(slots=True, eq=False)
class _Running:
    """`asked` counts the requests that are with these processes."""

    number: str
    processes: dict[str, list[ServingProcess]] = field(default_factory=dict)
    asked: int = 0
    idle: threading.Condition = field(default_factory=threading.Condition)

    def all(self) -> list[ServingProcess]:
        return [process for group in list(self.processes.values()) for process in list(group)]

    def drain(self) -> None:
        """Let the requests that are here be answered, then stop."""
        with self.idle:
            self.idle.wait_for(lambda: self.asked == 0, timeout=_DRAIN)
        self.stop()

    def stop(self) -> None:
        for process in self.all():
            process.stop()


class Fleet:
    """Thread-safe. `folder` holds `<endpoint>/<deployment>/<variant>-<n>/{model,log}`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._guard = threading.Lock()
        self._locks: dict[str, threading.RLock] = {}
        self._running: dict[str, _Running] = {}
        self._starting: set[_Running] = set()
        self._jobs: dict[str, threading.Thread] = {}
        self._closed = False
        _end_leftovers(folder)

    @property
    def closed(self) -> bool:
        return self._closed

    def lock(self, endpoint: str) -> threading.RLock:
        """Held while an endpoint's processes are replaced, started again or stopped."""
        with self._guard:
            return self._locks.setdefault(endpoint, threading.RLock())

    def run_job(self, endpoint: str, deployment: str, work: Callable[[], None]) -> None:
        """Do `work` in the background, unless this deployment of the endpoint is in work."""
        name = f"deploy-{endpoint}-{deployment}"
        with self._guard:
            job = self._jobs.get(endpoint)
            if self._closed or (job is not None and job.name == name and job.is_alive()):
                return
            thread = threading.Thread(target=work, name=name, daemon=True)
            self._jobs[endpoint] = thread
            thread.start()

    def start(self, endpoint: str, deployment: Deployment, launch: Launch) -> _Running:
        """Start every container and wait until all answer. StartFailed stops what was started."""
        running = _Running(deployment.number)
        with self._guard:
            self._starting.add(running)
        try:
            self._start_all(endpoint, deployment, launch, running)
            for variant in deployment.variants:
                for container, process in zip(
                    variant.containers, running.processes[variant.name], strict=True
                ):
                    _wait(process, container, variant)
            self._refuse_when_closed()
        except BaseException:
            running.stop()
            self._refuse_when_closed()
            raise
        finally:
            with self._guard:
                self._starting.discard(running)
        return running

    def _start_all(
        self, endpoint: str, deployment: Deployment, launch: Launch, running: _Running
    ) -> None:
        for variant in deployment.variants:
            group = running.processes.setdefault(variant.name, [])
            for index, container in enumerate(variant.containers):
                folder = self._place(endpoint, deployment, variant, index)
                group.append(_launched(launch, container, folder, variant))
                self._refuse_when_closed()
        self._record(endpoint, running)

    def swap(self, endpoint: str, running: _Running) -> _Running | None:
        """Let `running` answer from now on; returns what answered before, to be retired."""
        with self.lock(endpoint):
            old = self._running.get(endpoint)
            self._running[endpoint] = running
            return old

    def retire(self, endpoint: str, running: _Running | None) -> None:
        """Stop what answers no more as soon as it is idle, and delete its files."""
        if running is not None:
            running.drain()
            shutil.rmtree(self.folder / endpoint / running.number, ignore_errors=True)

    @contextlib.contextmanager
    def asking(
        self, endpoint: str, deployment: Deployment, variant: str, launch: Launch
    ) -> Iterator[list[ServingProcess]]:
        """The living processes of a variant, which no update ends while they are asked.

        What died, or never ran here, is started first.
        """
        with self.lock(endpoint):
            running = self._running.get(endpoint)
            if running is None or running.number != deployment.number or not _all_alive(running):
                if running is not None:
                    running.stop()
                running = self._running[endpoint] = self.start(endpoint, deployment, launch)
            with running.idle:
                running.asked += 1
        try:
            yield running.processes[variant]
        finally:
            with running.idle:
                running.asked -= 1
                running.idle.notify_all()

    def remove(self, endpoint: str) -> None:
        """Stop an endpoint's processes and delete its files."""
        with self.lock(endpoint):
            running = self._running.pop(endpoint, None)
            if running is not None:
                running.stop()
            shutil.rmtree(self.folder / endpoint, ignore_errors=True)

    def discard(self, endpoint: str, deployment: Deployment) -> None:
        """Delete the files of a deployment that did not come up."""
        shutil.rmtree(self.folder / endpoint / deployment.number, ignore_errors=True)

    def prune(self, kept: Mapping[str, Collection[str]]) -> None:
        """Delete the files of every deployment but those kept, by endpoint."""
        with self._guard:
            busy = set(self._jobs)
        for folder in self.folder.glob("*/*"):
            endpoint = folder.parent.name
            if endpoint not in busy and folder.name not in kept.get(endpoint, ()):
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Stop everything; files stay, so that another process can go on."""
        with self._guard:
            self._closed = True
            going = [*self._starting, *self._running.values()]
            jobs = list(self._jobs.values())
            self._running.clear()
        for running in going:
            running.stop()
        for job in jobs:
            job.join(_JOIN)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise FleetClosed

    def _place(self, endpoint: str, deployment: Deployment, variant: Variant, index: int) -> Path:
        folder = self.folder / endpoint / deployment.number / f"{variant.name}-{index}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _record(self, endpoint: str, running: _Running) -> None:
        pids = [process.pid for process in running.all()]
        file = self.folder / endpoint / running.number / "processes.json"
        file.write_text(json.dumps([[pid, start_time(pid)] for pid in pids]), encoding="utf-8")


def _all_alive(running: _Running) -> bool:
    return all(process.alive() for process in running.all())


def _launched(
    launch: Launch, container: Container, folder: Path, variant: Variant
) -> ServingProcess:
    try:
        return launch(container, folder)
    except Exception as error:
        raise StartFailed(
            f"The {container.hostname} container for production variant {variant.name} could not"
            f" be started: {error}"
        ) from error


def _wait(process: ServingProcess, container: Container, variant: Variant) -> None:
    try:
        process.wait_ready(variant.startup)
    except NotReady as error:
        raise StartFailed(
            f"The {container.hostname} container for production variant {variant.name} did not"
            f" pass the ping health check: {error}"
        ) from error


def _end_leftovers(folder: Path) -> None:
    """Kill what an earlier endpoint left behind: a model that holds the interpreter lock for
    good never sees its lifeline end."""
    for file in folder.glob("*/*/processes.json"):
        with contextlib.suppress(OSError, ValueError):
            for pid, born in json.loads(file.read_text(encoding="utf-8")):
                if born is not None and start_time(pid) == born:
                    os.killpg(pid, signal.SIGKILL)
        file.unlink(missing_ok=True)


_FLEETS: dict[Path, Fleet] = {}
_FLEETS_GUARD = threading.Lock()


def fleet_at(home: Path) -> Fleet:
    """The one fleet of a home folder in this process, be it closed."""
    with _FLEETS_GUARD:
        if home not in _FLEETS:
            _FLEETS[home] = Fleet(home / "endpoints")
        return _FLEETS[home]


def open_fleet(home: Path) -> Fleet:
    """The fleet of a home folder, made anew where it was closed."""
    with _FLEETS_GUARD:
        if home not in _FLEETS or _FLEETS[home].closed:
            _FLEETS[home] = Fleet(home / "endpoints")
        return _FLEETS[home]


def close_fleet(home: Path) -> None:
    """Stop all that runs for a home folder, and start nothing for it any more."""
    fleet_at(home).close()
