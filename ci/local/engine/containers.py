"""One container's life: a folder that becomes /opt/ml, a program, a log, an end.

What Processing and Training have in common. Both prepare the folder, run through `run`, and then
read what the program left.
"""

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ci.local.engine.failure import ExceptionType, StepFailure, StepStopped
from ci.local.engine.images import describe_missing, find_environment, step_environment
from ci.local.engine.isolate import Isolation, Launch, read_refusal
from ci.local.engine.logs import LogShipper, tail
from ci.local.engine.transfer import Transfer

ML = PurePosixPath("/opt/ml")
GRACE = 30.0


class StopSignal:
    """Asked of a step from another thread, at any time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._event = threading.Event()
        self._calls: list[Callable[[], None]] = []

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def request(self) -> None:
        with self._lock:
            self._event.set()
            calls = list(self._calls)
        for call in calls:
            call()

    def wait(self, seconds: float) -> bool:
        return self._event.wait(seconds)

    def on_request(self, call: Callable[[], None]) -> None:
        with self._lock:
            self._calls.append(call)
            late = self._event.is_set()
        if late:
            call()

    def check(self) -> None:
        if self.requested:
            raise StepStopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What containers need of the machine they run on. `grace` is the time, in seconds, between
    SIGTERM and SIGKILL."""

    isolation: Isolation
    transfer: Transfer
    logs: LogShipper
    images: Sequence[tuple[str, Path]]
    address: str
    region: str
    clock: Callable[[], float]
    arn: Callable[[str], str]
    environ: Mapping[str, str]
    grace: float = GRACE


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt at a step. `folder` holds `ml`, `log` and all else of it. `started` is called
    when the program begins."""

    job: str
    folder: Path
    stop: StopSignal
    started: Callable[[], None] = field(default=lambda: None)

    @property
    def ml(self) -> Path:
        return self.folder / "ml"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def path(self, local: str) -> Path:
        """The host's path of a container's path under /opt/ml. StepFailure for any other."""
        pure = PurePosixPath(local)
        if not pure.is_relative_to(ML) or ".." in pure.parts:
            raise StepFailure(
                f"ClientError: LocalPath {local!r} is not under /opt/ml, where a container's "
                "inputs and outputs are."
            )
        return self.ml / pure.relative_to(ML)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run. `limit` is MaxRuntimeInSeconds."""

    image: str
    argv: Sequence[str]
    env: Mapping[str, str]
    group: str
    directory: str = "/"
    limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a program ended: its exit code as a container shows it (128 + a signal's number)."""

    code: int
    timed_out: bool = False


def make_folder(attempt: Attempt, names: Sequence[str]) -> None:
    """What a container finds in the fresh folder of an attempt: `names` are under /opt/ml."""
    root = str(attempt.folder)
    for name in ("home", "tmp", "ml"):
        os.mkdir(f"{root}/{name}")  # noqa: PTH102 - on the way to every step
    for name in names:
        os.makedirs(f"{root}/ml/{name}", exist_ok=True)  # noqa: PTH103 - as above


def run(host: Host, attempt: Attempt, program: Program) -> Exit:
    """Run a program to its end. StepStopped if it was asked to stop; StepFailure if it could not
    be started. A program that ends its own way on SIGTERM has still been stopped."""
    attempt.stop.check()
    environment = find_environment(program.image, host.images)
    if environment is None:
        attempt.log.write_text(describe_missing(program.image), encoding="utf-8")
    launch = Launch(
        folder=attempt.folder,
        argv=program.argv,
        env=step_environment(
            folder=attempt.folder,
            environment=environment,
            address=host.address,
            region=host.region,
            own=program.env,
            host=host.environ,
        ),
        log=attempt.log,
        directory=program.directory,
    )
    stream = f"{attempt.job}/algo-1-{int(host.clock())}"
    host.logs.open(program.group, stream, attempt.log)
    try:
        with host.isolation.run_linked() as link:
            link.point_to(attempt.ml)
            attempt.started()
            end = _follow(host, attempt, program, host.isolation.begin(launch))
        if end.code != 0 or attempt.stop.requested:
            host.logs.end(stream)
            host.logs.flush(stream)
        return end
    finally:
        host.logs.end(stream)


def _follow(host: Host, attempt: Attempt, program: Program, ended: Future[int]) -> Exit:
    ladder = _Ladder(host, attempt.folder, ended)
    attempt.stop.on_request(ladder.climb)
    timed_out = False
    try:
        code = ended.result(timeout=program.limit)
    except NotYet:
        timed_out = True
        ladder.climb()
        code = ended.result()
    if attempt.stop.requested:
        raise StepStopped
    refused = read_refusal(attempt.folder) if code in (126, 127) else None
    if refused is not None:
        raise _not_started(refused)
    return Exit(code=code if code >= 0 else 128 - code, timed_out=timed_out)


class _Ladder:
    """SIGTERM to the group, then SIGKILL after the grace."""

    def __init__(self, host: Host, folder: Path, ended: Future[int]) -> None:
        self._host, self._folder, self._ended = host, folder, ended

    def climb(self) -> None:
        self._host.isolation.signal(self._folder, signal.SIGTERM)
        threading.Thread(target=self._kill_later, name="grace", daemon=True).start()

    def _kill_later(self) -> None:
        with suppress(Exception):
            self._ended.result(timeout=self._host.grace)
        while not self._ended.done():
            self._host.isolation.signal(self._folder, signal.SIGKILL)
            time.sleep(0.1)


def _not_started(refused: str) -> StepFailure:
    if "Too many open files" in refused:
        return StepFailure(f"ResourceLimitExceeded: {refused}", kind=ExceptionType.RESOURCE_LIMIT)
    if "Cannot allocate memory" in refused or "fork" in refused:
        return StepFailure(f"CapacityError: {refused}", kind=ExceptionType.CAPACITY_ERROR)
    return StepFailure(f"AlgorithmError: the container's entry point did not start: {refused}")


def last_words(attempt: Attempt) -> str:
    """What the log ends with: the exception's line of a traceback, else the last line."""
    lines = tail(attempt.log, lines=40)
    for line in reversed(lines):
        name = line.partition(":")[0]
        if line[:1].strip() and name.endswith(("Error", "Exception")) and " " not in name:
            return line.strip()
    return lines[-1].strip() if lines else ""


def read_text(file: Path, most: int = 1024) -> str:
    try:
        with file.open(encoding="utf-8", errors="replace") as stream:
            return stream.read(most).strip()
    except OSError:
        return ""


def discard(folder: Path) -> None:
    """Give back the room of a finished attempt; its log stays."""
    for name in ("ml", "home", "tmp"):
        shutil.rmtree(folder / name, ignore_errors=True)


def disk_full(error: OSError, folder: Path) -> StepFailure:
    room = shutil.disk_usage(folder.anchor).free // (1 << 20)
    text = f"{os.strerror(error.errno or 0)} ({error.filename or folder}; {room} MiB free)"
    return StepFailure(f"InternalServerError: {text}", kind=ExceptionType.JOB_INTERNAL_ERROR)
