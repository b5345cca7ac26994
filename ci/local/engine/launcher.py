"""The process that starts step processes: small, so that a fork costs a millisecond.

Run as a script with the standard library alone. It speaks with the engine over the socket given
as file descriptor 3, one JSON object a packet:

    <- {"hello": mode}                 once: how /opt/ml is given to steps (see `_probe`)
    -> {"run": folder}                 start what `launch.json` in the folder says
    <- {"ended": folder, "code": n}    exit code, or minus the signal's number
    -> {"signal": folder, "number": n} signal the step's process group

A step's folder holds `ml` (bound at /opt/ml), `process` (pid and start time, written before the
step's program runs), `log`, and `refused` when it could not be started. When the engine is gone
the socket ends, and every step ends with it.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path

_NEWNS, _NEWUSER = 0x00020000, 0x10000000
_BIND, _REC, _SLAVE = 0x1000, 0x4000, 0x80000
_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36
_MARK = "SAGEMAKER_GITOPS_STEP"
_ML = "/opt/ml"
_NO_PROGRAM, _NO_START = 127, 126
_RESTORED = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)


class _Libc:
    """The calls that Python 3.11 has no names for. OSError where one fails."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def unshare(self, flags: int) -> None:
        self._check(self._libc.unshare(flags), "unshare")

    def mount(self, source: str, target: str, kind: str | None, flags: int) -> None:
        code = self._libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            None if kind is None else kind.encode(),
            ctypes.c_ulong(flags),
            None,
        )
        self._check(code, f"mount on {target}")

    def prctl(self, option: int, value: int) -> None:
        self._check(self._libc.prctl(option, value, 0, 0, 0), "prctl")

    def _check(self, code: int, what: str) -> None:
        if code != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{what}: {os.strerror(number)}")


def _prepare(libc: _Libc, mode: str, staging: str) -> None:
    """Give this process, once, a mount namespace in which each step can make its own cheaply."""
    if mode == "user":
        user, group = os.getuid(), os.getgid()
        libc.unshare(_NEWUSER | _NEWNS)
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    else:
        libc.unshare(_NEWNS)
    libc.mount("none", "/", None, _REC | _SLAVE)
    if not Path(_ML).is_dir():
        _make_ml(libc, staging)


def _make_ml(libc: _Libc, staging: str) -> None:
    """An /opt of this namespace's own, with everything that /opt holds and `ml` besides."""
    Path(staging).mkdir(parents=True, exist_ok=True)
    libc.mount("/opt", staging, None, _BIND | _REC)
    libc.mount("tmpfs", "/opt", "tmpfs", 0)
    for entry in os.scandir(staging):
        target = Path("/opt", entry.name)
        if entry.is_symlink():
            target.symlink_to(Path(entry.path).readlink())
            continue
        if entry.is_dir():
            target.mkdir()
        else:
            target.touch()
        libc.mount(entry.path, str(target), None, _BIND | _REC)
    Path(_ML).mkdir()


def _probe(libc: _Libc, wanted: str, staging: str) -> str:
    """The best way to give a step its /opt/ml: `root` and `user` are private mount namespaces,
    `symlink` is one link for one step at a time, `none` says that no way is open."""
    modes = [wanted] if wanted else ["root" if os.geteuid() == 0 else "user", "symlink"]
    return next((mode for mode in modes if _works(libc, mode, staging)), "none")


def _works(libc: _Libc, mode: str, staging: str) -> bool:
    if mode == "symlink":
        return (Path(_ML).is_symlink() or not Path(_ML).exists()) and os.access("/opt", os.W_OK)
    if mode not in ("root", "user"):
        return False
    pid = os.fork()
    if pid == 0:
        try:
            _prepare(libc, mode, staging)
            libc.unshare(_NEWNS)
            libc.mount(str(Path(staging).parent), _ML, None, _BIND | _REC)
        except OSError:
            os._exit(1)
        os._exit(0)
    if os.waitpid(pid, 0)[1] != 0:
        return False
    _prepare(libc, mode, staging)
    return True


def _start_time(pid: int | str) -> str:
    """Field 22 of /proc/<pid>/stat: with the pid it names a process once and for all."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return text.rpartition(")")[2].split()[19]


class Launcher:
    """Keeps one forked copy of itself in waiting, so that no step waits for a fork."""

    def __init__(self, channel: socket.socket, wanted: str, home: str) -> None:
        self._libc = _Libc()
        self._channel = channel
        self._pids: dict[int, str] = {}
        self._spare: tuple[int, int] | None = None
        self._libc.prctl(_SET_CHILD_SUBREAPER, 1)
        self._mode = _probe(self._libc, wanted, f"{home}/staging")

    def serve(self) -> None:
        """Until the engine is gone."""
        wake, woken = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._send(hello=self._mode)
        self._spare = self._fork()
        poller = select.poll()
        poller.register(wake, select.POLLIN)
        poller.register(self._channel, select.POLLIN)
        while True:
            for descriptor, _ in poller.poll():
                if descriptor == wake:
                    os.read(wake, 4096)
                elif not self._receive():
                    self._end_all()
                    return
            self._reap()

    def _receive(self) -> bool:
        try:
            packet = self._channel.recv(65536)
        except ConnectionError:
            return False
        if not packet:
            return False
        order = json.loads(packet)
        if "run" in order:
            self._run(order["run"])
        else:
            for pid, folder in self._pids.items():
                if folder == order["signal"]:
                    _kill_group(pid, order["number"])
        return True

    def _run(self, folder: str) -> None:
        try:
            pid, order = self._spare or self._fork()
        except OSError as error:
            _refuse(folder, f"fork: {error.strerror}")
            self._send(ended=folder, code=_NO_START)
            return
        self._spare = None
        self._pids[pid] = folder
        try:
            os.write(order, os.fsencode(folder))
        except BrokenPipeError:
            _refuse(folder, "the process in waiting was killed")
        os.close(order)
        with contextlib.suppress(OSError):
            self._spare = self._fork()

    def _fork(self) -> tuple[int, int]:
        """A new copy in waiting: its pid, and where its order goes."""
        order, ours = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(ours)
            code = _NO_START
            try:
                code = self._become(order)
            finally:
                os._exit(code)
        os.close(order)
        return pid, ours

    def _become(self, order: int) -> int:
        """In the forked copy: wait for a step's folder, then turn into its program. Returns only
        where there is none, or that fails."""
        os.setsid()
        self._libc.prctl(_SET_PDEATHSIG, signal.SIGKILL)
        self._channel.close()
        signal.set_wakeup_fd(-1)
        for number in _RESTORED:
            signal.signal(number, signal.SIG_DFL)
        os.umask(0o022)
        if self._mode in ("root", "user"):
            self._libc.unshare(_NEWNS)
            self._libc.mount("none", "/", None, _REC | _SLAVE)
        process = json.dumps({"pid": os.getpid(), "start": _start_time("self")})
        folder = os.fsdecode(os.read(order, 65536))
        if not folder:
            return 0
        try:
            return self._exec(folder, process)
        except (OSError, ValueError) as error:
            _refuse(folder, f"{type(error).__name__}: {error}")
            return _NO_START

    def _exec(self, folder: str, process: str) -> int:
        spec = json.loads(_read(f"{folder}/launch.json"))
        _write(f"{folder}/process", process)
        log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        if self._mode in ("root", "user"):
            self._libc.mount(f"{folder}/ml", _ML, None, _BIND | _REC)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(spec["directory"])
        try:
            os.execvpe(spec["argv"][0], spec["argv"], spec["env"])  # noqa: S606 - no shell wanted
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            _refuse(folder, f"{spec['argv'][0]}: {error.strerror}")
        return _NO_PROGRAM

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self._spare is not None and self._spare[0] == pid:
                os.close(self._spare[1])
                self._spare = None
                continue
            folder = self._pids.pop(pid, None)
            if folder is not None:
                _kill_group(pid, signal.SIGKILL)
                self._end_orphans(folder)
                self._send(ended=folder, code=os.waitstatus_to_exitcode(status))

    def _end_orphans(self, folder: str) -> None:
        """What a step left running outside its process group ends with the step, as in a
        container."""
        mark = f"{_MARK}={folder}".encode()
        for pid in _children():
            if pid not in self._pids and mark in _environ(pid):
                _kill(pid, signal.SIGKILL)

    def _end_all(self) -> None:
        for pid in self._pids:
            _kill_group(pid, signal.SIGKILL)
        for _ in range(100):
            left = _children()
            if not left:
                return
            for pid in left:
                _kill(pid, signal.SIGKILL)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return

    def _send(self, **message: object) -> None:
        with contextlib.suppress(OSError):
            self._channel.send(json.dumps(message).encode())


def _children() -> list[int]:
    try:
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(pid) for pid in text.split()]


def _environ(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _kill_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _refuse(folder: str, reason: str) -> None:
    with contextlib.suppress(OSError):
        _write(f"{folder}/refused", reason)


def _read(file: str) -> str:
    return Path(file).read_text(encoding="utf-8")


def _write(file: str, text: str) -> None:
    Path(file).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    Launcher(socket.socket(fileno=3), sys.argv[1], sys.argv[2]).serve()
