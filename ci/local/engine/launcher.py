"""The process that starts step processes: small, and alone in its thread, as namespaces want it.

Run as a script with the standard library alone. It speaks with the engine over the socket given
as file descriptor 3, one JSON object a packet:

    <- {"hello": mode}                 once: how /opt/ml is given to steps (see `_probe`)
    -> {"run": folder, ...}            start a program: argv, env, log, directory; where they are
                                       not in the packet, they are in the folder's `launch.json`
    <- {"ended": folder, "code": n}    exit code, or minus the signal's number
    -> {"signal": folder, "number": n} signal the step's process group

A step's folder holds `ml` (bound at /opt/ml), `process` (pid and start time), `log`, and `refused`
when it could not be started. When the engine is gone the socket ends, and every step ends with it.

    launcher.py enclose <folder> <program> ...     becomes the program, with the folder at /opt/ml

No step waits for a fork of this interpreter: the launcher itself goes into a mount namespace made
beforehand, binds the step's folder there, spawns the program, and comes back.
"""

import contextlib
import ctypes
import errno
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any

_NEWNS, _NEWUSER = 0x00020000, 0x10000000
_BIND, _REC, _SLAVE = 0x1000, 0x4000, 0x80000
_SET_CHILD_SUBREAPER = 36
_MARK = "SAGEMAKER_GITOPS_STEP"
_ML = "/opt/ml"
_OWN = "/proc/self/ns/mnt"
_MOST_BYTES = 1 << 20
_LOG_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND
_NO_PROGRAM, _NO_START = 127, 126
_OUTLIVED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_RESTORED = (signal.SIGCHLD, *_OUTLIVED, signal.SIGPIPE, signal.SIGXFSZ)


class _Libc:
    """The calls that Python 3.11 has no names for. OSError where one fails."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def unshare(self, flags: int) -> None:
        self._check(self._libc.unshare(flags), "unshare")

    def enter(self, namespace: int) -> None:
        self._check(self._libc.setns(namespace, _NEWNS), "setns")

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
            namespaces = _Namespaces(libc)
            namespaces.bind(str(Path(staging).parent))
            namespaces.leave()
        except OSError:
            os._exit(1)
        os._exit(0)
    if os.waitpid(pid, 0)[1] != 0:
        return False
    _prepare(libc, mode, staging)
    return True


class _Namespaces:
    """One mount namespace a step. This process stands in the next one, which is still empty."""

    def __init__(self, libc: _Libc) -> None:
        self._libc = libc
        self._base = os.open(_OWN, os.O_RDONLY)
        libc.unshare(_NEWNS)

    def bind(self, folder: str) -> None:
        self._libc.mount(folder, _ML, None, _BIND)

    def leave(self) -> int:
        """Go over to a fresh one. The one left lives until the number that is returned is closed:
        to take a namespace down costs a millisecond, which no step should end with."""
        used = os.open(_OWN, os.O_RDONLY)
        self._libc.enter(self._base)
        self._libc.unshare(_NEWNS)
        return used


def _start_time(pid: int | str) -> str:
    """Field 22 of /proc/<pid>/stat: with the pid it names a process once and for all."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return text.rpartition(")")[2].split()[19]


class Launcher:
    """`_steps` maps the pid of each running program to its folder and its namespace; `_ended`
    the marks of steps to the numbers of their namespaces while they may have left something."""

    def __init__(self, channel: socket.socket, wanted: str, home: str) -> None:
        self._channel = channel
        self._steps: dict[int, tuple[str, int | None]] = {}
        self._ended: dict[bytes, int | None] = {}
        self._children = os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY)
        libc = _Libc()
        libc.prctl(_SET_CHILD_SUBREAPER, 1)
        self._mode = _probe(libc, wanted, f"{home}/staging")
        self._namespaces = _Namespaces(libc) if self._mode in ("root", "user") else None

    def serve(self) -> None:
        """Until the engine is gone."""
        wake, woken = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, *_OUTLIVED):
            signal.signal(number, lambda *_: None)
        os.umask(0o022)
        self._channel.set_inheritable(False)
        self._send(hello=self._mode)
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
            packet = self._channel.recv(_MOST_BYTES)
        except ConnectionError:
            return False
        if not packet:
            return False
        order = json.loads(packet)
        if "run" in order:
            self._run(order["run"], order)
        else:
            for pid, (folder, _) in self._steps.items():
                if folder == order["signal"]:
                    _kill_group(pid, order["number"])
        return True

    def _run(self, folder: str, order: dict[str, Any]) -> None:
        try:
            spec = order if "argv" in order else json.loads(_read(f"{folder}/launch.json"))
            pid = self._spawn(folder, spec)
        except (OSError, ValueError) as error:
            _refuse(folder, f"{type(error).__name__}: {error}")
            self._send(ended=folder, code=_NO_START)
            self._forsake()
            return
        if pid is None:
            self._send(ended=folder, code=_NO_PROGRAM)
            self._forsake()
            return
        self._steps[pid] = (folder, None)
        with contextlib.suppress(OSError):
            _write(f"{folder}/process", json.dumps({"pid": pid, "start": _start_time(pid)}))
        if self._namespaces is not None:
            self._steps[pid] = (folder, self._namespaces.leave())

    def _spawn(self, folder: str, spec: dict[str, Any]) -> int | None:
        """The program's pid. None where there is no such program."""
        if self._namespaces is not None:
            self._namespaces.bind(f"{folder}/ml")
        os.chdir(spec["directory"])
        try:
            return os.posix_spawn(
                _find(spec["argv"][0], spec["env"]),
                spec["argv"],
                spec["env"],
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, spec["log"], _LOG_FLAGS, 0o644),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ],
                setsid=True,
                setsigdef=_RESTORED,
            )
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            _refuse(folder, f"{spec['argv'][0]}: {error.strerror}")
            return None
        finally:
            os.chdir("/")

    def _forsake(self) -> None:
        """Go on from a namespace that no program was started in."""
        if self._namespaces is not None:
            os.close(self._namespaces.leave())

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            folder, namespace = self._steps.pop(pid, (None, None))
            if folder is not None:
                _kill_group(pid, signal.SIGKILL)
                number = None if namespace is None else os.fstat(namespace).st_ino
                self._ended[f"{_MARK}={folder}".encode()] = number
            if self._ended:
                self._end_orphans()
            if folder is not None:
                self._send(ended=folder, code=os.waitstatus_to_exitcode(status))
            if namespace is not None:
                os.close(namespace)

    def _end_orphans(self) -> None:
        """What a step left running outside its process group ends with the step, as in a
        container. The children of one that is ended here come to this process in their turn."""
        orphans = [pid for pid in self._list_children() if pid not in self._steps]
        for pid in orphans:
            if not self._steps or self._is_left(pid):
                _kill(pid, signal.SIGKILL)
        if not orphans:
            self._ended.clear()

    def _is_left(self, pid: int) -> bool:
        """By the mark in its environment; where it has cleared that, by its mount namespace."""
        if not self._ended.keys().isdisjoint(_environ(pid)):
            return True
        try:
            number = os.stat(f"/proc/{pid}/ns/mnt").st_ino  # noqa: PTH116 - no link to follow
        except OSError:
            return False
        running = {os.fstat(each).st_ino for _, each in self._steps.values() if each is not None}
        return number in self._ended.values() and number not in running

    def _end_all(self) -> None:
        for pid in self._steps:
            _kill_group(pid, signal.SIGKILL)
        for _ in range(100):
            left = self._list_children()
            if not left:
                return
            for pid in left:
                _kill(pid, signal.SIGKILL)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return

    def _list_children(self) -> list[int]:
        try:
            return [int(pid) for pid in os.pread(self._children, 1 << 20, 0).split()]
        except OSError:
            return []

    def _send(self, **message: object) -> None:
        with contextlib.suppress(OSError):
            self._channel.send(json.dumps(message).encode())


def _find(program: str, env: dict[str, str]) -> str:
    """Where the program is that a name without a slash means, on the step's own PATH."""
    if "/" in program:
        return program
    for folder in os.get_exec_path(env):
        file = os.path.join(folder, program)  # noqa: PTH118 - on the way to every step
        if os.access(file, os.X_OK) and not os.path.isdir(file):  # noqa: PTH112 - as above
            return file
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)


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


def enclose(folder: str, argv: list[str]) -> None:
    """Become a program that finds `folder` at /opt/ml; where this machine allows no mount, one
    that finds what is there."""
    libc = _Libc()
    with contextlib.suppress(OSError):
        _prepare(libc, "root" if os.geteuid() == 0 else "user", f"{folder}/home/staging")
        libc.mount(folder, _ML, None, _BIND)
    os.execv(argv[0], argv)  # noqa: S606 - no shell wanted


if __name__ == "__main__" and sys.argv[1] == "enclose":
    enclose(sys.argv[2], sys.argv[3:])
elif __name__ == "__main__":
    Launcher(socket.socket(fileno=3), sys.argv[1], sys.argv[2]).serve()
