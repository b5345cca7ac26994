"""The engine's side of the launcher: run one step's program, signal it, know how it ended.

Also ends what a killed endpoint may have left behind.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ci.local.engine.failure import StepFailure

MARK = "SAGEMAKER_GITOPS_STEP"
_SCRIPT = Path(__file__).with_name("launcher.py")
_LINK = Path("/opt/ml")
_MOST_BYTES = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One program to run. `folder` is the attempt's own; `folder/ml` becomes /opt/ml."""

    folder: Path
    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    directory: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a program ended: `code` is the exit code, or minus a signal's number. `refused` says
    why it never ran."""

    code: int
    refused: str | None = None


class Isolation:
    """Step processes, through one launcher that is started with the first of them.

    `mode` "" picks the best way this system allows, or names one (`root`, `user`, `symlink`).
    """

    def __init__(self, home: Path, *, mode: str = "") -> None:
        self._home = home
        self._wanted = mode
        self._lock = threading.Lock()
        self._link_lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._mode: Future[str] = Future()
        self._waiting: dict[str, Future[int]] = {}
        self._closed = False

    def start(self) -> None:
        """Start the launcher if it is not up; returns before it is ready."""
        with self._lock:
            if self._closed:
                raise StepFailure("The local endpoint is shutting down.")
            if self._process is not None and self._process.poll() is None:
                return
            if self._channel is not None:
                self._channel.close()
            self._home.mkdir(parents=True, exist_ok=True)
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._mode = Future()
            with theirs:
                self._process = _spawn(theirs, self._wanted, self._home)
            self._channel = ours
            threading.Thread(
                target=self._listen, args=(ours, self._mode), name="launcher", daemon=True
            ).start()

    def begin(self, launch: Launch) -> Future[int]:
        """Start a program; the future holds its exit code. Raises StepFailure where steps cannot
        be isolated."""
        self.start()
        mode = self._mode.result(timeout=30)
        if mode == "none":
            raise StepFailure(_NO_WAY)
        spec = {
            "argv": list(launch.argv),
            "env": {**launch.env, MARK: str(launch.folder)},
            "log": str(launch.log),
            "directory": launch.directory,
        }
        key = str(launch.folder)
        order = json.dumps({"run": key, **spec}).encode()
        if len(order) > _MOST_BYTES:
            (launch.folder / "launch.json").write_text(json.dumps(spec), encoding="utf-8")
            order = json.dumps({"run": key}).encode()
        future: Future[int] = Future()
        with self._lock:
            self._waiting[key] = future
        try:
            self._tell(order)
        except OSError as error:
            with self._lock:
                self._waiting.pop(key, None)
            raise StepFailure.internal(f"The step launcher is gone: {error}") from None
        return future

    def run_linked(self) -> "_Link":
        """Held while a step runs: in `symlink` mode /opt/ml is one for all."""
        return _Link(self._link_lock, self.mode == "symlink")

    @property
    def mode(self) -> str:
        self.start()
        return self._mode.result(timeout=30)

    def signal(self, folder: Path, number: int) -> None:
        with suppress(OSError):
            self._tell(json.dumps({"signal": str(folder), "number": number}).encode())

    def close(self) -> None:
        """End the launcher, and every step with it."""
        with self._lock:
            self._closed = True
            process, channel = self._process, self._channel
        if channel is not None:
            with suppress(OSError):
                channel.shutdown(socket.SHUT_RDWR)
        if process is not None:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if channel is not None:
            channel.close()

    def _tell(self, order: bytes) -> None:
        if self._channel is None:
            raise BrokenPipeError("not started")
        self._channel.send(order)

    def _listen(self, channel: socket.socket, mode: Future[str]) -> None:
        while True:
            try:
                packet = channel.recv(65536)
            except OSError:
                packet = b""
            if not packet:
                break
            message = json.loads(packet)
            if "hello" in message:
                mode.set_result(message["hello"])
                continue
            with self._lock:
                future = self._waiting.pop(message["ended"], None)
            if future is not None:
                future.set_result(message["code"])
        if not mode.done():
            mode.set_result("none")
        with self._lock:
            lost, self._waiting = self._waiting, {}
        for folder, future in lost.items():
            end_leftovers(Path(folder))
            future.set_exception(StepFailure.internal("The step launcher ended before the step."))


def enclosing(folder: Path) -> list[str]:
    """What to put before a command, with its program's full path, so that it finds `folder` at
    /opt/ml, as far as this machine allows that."""
    return [sys.executable, "-ISE", str(_SCRIPT), "enclose", str(folder)]


def read_refusal(folder: Path) -> str | None:
    try:
        return (folder / "refused").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def end_leftovers(folder: Path) -> bool:
    """Kill what is left of the program that was started in `folder`, if it still is that one."""
    left = {*_recorded(folder), *_marked(folder)}
    for process in left:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)
    return bool(left)


def _recorded(folder: Path) -> list[int]:
    """The program itself. Not recorded where launcher and engine were killed as it started."""
    try:
        own = json.loads((folder / "process").read_text(encoding="ascii"))
        pid, start = int(own["pid"]), str(own["start"])
    except (OSError, ValueError, KeyError):
        return []
    return [pid] if start_time(pid) == start else []


def start_time(pid: int) -> str | None:
    """When a process started, in clock ticks since boot. None if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()[19]


def _marked(folder: Path) -> list[int]:
    """Processes that carry the step's mark in their environment."""
    mark = f"{MARK}={folder}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def _spawn(channel: socket.socket, mode: str, home: Path) -> subprocess.Popen[bytes]:
    """The launcher, in a session of its own: a Ctrl-C at a terminal is the endpoint's."""
    descriptor = channel.fileno()
    code = (
        f"import os; os.dup2({descriptor}, 3, inheritable=True); os.close({descriptor}); "
        f"os.execv({sys.executable!r}, [{sys.executable!r}, '-ISE', *{_arguments(mode, home)!r}])"
    )
    if descriptor == 3:
        command = [sys.executable, "-ISE", *_arguments(mode, home)]
    else:
        command = [sys.executable, "-ISE", "-c", code]
    return subprocess.Popen(
        command,
        pass_fds=(descriptor,),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env={"PATH": os.environ.get("PATH", os.defpath)},
    )


def _arguments(mode: str, home: Path) -> list[str]:
    return [str(_SCRIPT), mode, str(home)]


class _Link:
    """/opt/ml as a symlink, for one step of this machine at a time."""

    def __init__(self, lock: threading.Lock, needed: bool) -> None:
        self._lock = lock
        self._needed = needed
        self._file: int | None = None

    def __enter__(self) -> "_Link":
        if self._needed:
            self._lock.acquire()
            name = Path(tempfile.gettempdir(), "sagemaker-gitops-opt-ml.lock")
            self._file = os.open(name, os.O_RDWR | os.O_CREAT, 0o666)
            fcntl.flock(self._file, fcntl.LOCK_EX)
        return self

    def point_to(self, folder: Path) -> None:
        if self._needed:
            _LINK.unlink(missing_ok=True)
            _LINK.symlink_to(folder, target_is_directory=True)

    def __exit__(self, *_: object) -> None:
        if self._needed and self._file is not None:
            _LINK.unlink(missing_ok=True)
            os.close(self._file)
            self._lock.release()


_NO_WAY = (
    "ClientError: this machine gives no way to put a folder at /opt/ml for one process: no mount "
    "namespace (as root), no user namespace, and /opt cannot be written. Allow user namespaces "
    "(sysctl kernel.unprivileged_userns_clone=1, or an AppArmor profile that permits them), or "
    "make /opt writable for this user."
)
