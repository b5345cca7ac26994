"""What the child may reach: nothing but the capture endpoint, and not its parent.

In a user namespace the parent's environment and memory in /proc are closed to this process; in a
network namespace no host but loopback exists. Where the system allows neither, connections are
refused by an audit hook alone, which user code cannot take off again.
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib.machinery
import itertools
import os
import resource
import socket
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

from .refused import Blocked

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
_LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname")
_LOOPBACK = (None, "", "localhost", "127.0.0.1", b"localhost", b"127.0.0.1")


def isolate(readable: list[str]) -> str:
    """Enter a user and a network namespace where the system allows it; say what was done.

    A forked probe goes first, because a namespace that is only half made cannot be left.
    `readable` are paths that must still be readable inside.
    """
    if not sys.platform.startswith("linux"):
        return "none: namespaces are Linux's"
    probe = os.fork()
    if probe == 0:
        status = 1
        try:
            _enter_namespaces()
            status = 0 if all(os.access(path, os.R_OK) for path in readable) else 2
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(probe, 0)[1])
    if status == 0:
        _enter_namespaces()
        return "user and network namespaces"
    return (
        "none: the source belongs to another user"
        if status == 2
        else "none: user namespaces are not allowed here"
    )


def _enter_namespaces() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(probe, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(probe, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def limit(memory: int) -> None:
    """Bound what one compile may take: `memory` is in bytes, 0 for no bound."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory and sys.platform.startswith("linux"):
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def listen() -> socket.socket:
    """The socket on which the parent will answer, made in this process's namespace."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    return listener


def guard_network(port: int, reached: list[str]) -> None:
    """Refuse every connection but to the capture endpoint at once, and remember the host."""

    def refuse(host: str) -> None:
        if host not in reached:
            reached.append(host)
        raise Blocked(f"compile is hermetic: no connection to {host}")

    def check(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto"):
            address = arguments[1]
            if not isinstance(address, tuple):
                refuse(f"the Unix socket {_text(address)}")
            elif address[:2] != ("127.0.0.1", port):
                refuse(f"{_text(address[0])}:{address[1]}")
        elif event in _LOOKUPS and arguments[0] not in _LOOPBACK:
            refuse(_text(arguments[0]))

    sys.addaudithook(check)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def name_temporary_files() -> None:
    """Temporary files get names by number, because the SDK uploads some under their own name.

    The folder of temporary files is this compile's own, so that nobody else makes a file there.
    """
    replaced: Any = tempfile
    name = "_name_sequence"
    if hasattr(replaced, name):
        setattr(replaced, name, (f"{number:08d}" for number in itertools.count()))


def keep_source_folders_clean() -> None:
    """Write byte code for installed packages only, so that compiling leaves no trace."""
    loader: Any = importlib.machinery.SourceFileLoader
    name = "_cache_bytecode"
    write = getattr(loader, name, None)
    if write is None:
        sys.dont_write_bytecode = True
        return

    def cache_bytecode(self: Any, source_path: str, cache_path: str, data: bytes) -> None:
        if "site-packages" in Path(source_path).parts:
            write(self, source_path, cache_path, data)

    setattr(loader, name, cache_bytecode)
