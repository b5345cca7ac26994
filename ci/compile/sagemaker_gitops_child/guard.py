"""Refuses by an audit hook, at once and by name, what the system would refuse without a name.

Where the system refuses nothing, this is all there is. User code cannot take the hook off, but
native code and other programs do not pass by it.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from typing import Any

from .refused import Blocked, Forbidden
from .view import is_below

_LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname")
_LOOPBACK = (None, "", "localhost", "127.0.0.1", b"localhost", b"127.0.0.1")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Audit events of what changes a file system: where a path stands among the arguments, and where
# the descriptor of the folder that it counts from.
_CHANGES = {
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.truncate": ((0, None),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.utime": ((0, 3),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
}
_OTHERS = re.compile(r"/proc/(\d+)/(?:task/\d+/)?(?:environ|mem|maps|fd|cwd|root)\b")


class Guard:
    """`reached` lists the hosts and the paths that were refused, as an error names them."""

    def __init__(self, port: int, writable: list[str], closed: list[str]) -> None:
        """`closed` are folders inside those that are `writable`, and which are not."""
        self.reached: list[str] = []
        self.port = port
        places = dict.fromkeys((*writable, "/dev", "/proc"), True)
        places |= {path: False for path in closed if path not in places}
        places |= {os.path.realpath(path): known for path, known in places.items()}
        self.places = sorted(places.items(), key=lambda place: -len(place[0]))
        self.pid = os.getpid()

    def start(self) -> None:
        sys.addaudithook(self._check)

    def _refuse(self, what: str) -> None:
        if what not in self.reached:
            self.reached.append(what)

    def _check(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            self._open(arguments[0], arguments[2])
        elif event in _CHANGES:
            for path, folder in _CHANGES[event]:
                below = -1 if folder is None else arguments[folder]
                self._write(arguments[path], below)
        elif event in ("socket.connect", "socket.sendto"):
            self._connect(arguments[1])
        elif event in _LOOKUPS and arguments[0] not in _LOOPBACK:
            self._host(_text(arguments[0]))

    def _connect(self, address: Any) -> None:
        if not isinstance(address, tuple):
            self._host(f"the Unix socket {_text(address)}")
        elif address[:2] != ("127.0.0.1", self.port):
            self._host(f"{_text(address[0])}:{address[1]}")

    def _host(self, host: str) -> None:
        self._refuse(f"a connection to {host}")
        raise Blocked(f"compile is hermetic: no connection to {host}")

    def _open(self, path: Any, flags: int) -> None:
        if flags & _WRITING:
            self._write(path)
        elif isinstance(path, (str, bytes)):
            found = _OTHERS.match(_text(path))
            if found and int(found[1]) != self.pid:
                self._refuse(f"to read {_text(path)}")
                raise Forbidden(errno.EACCES, "compile is hermetic: another process", path)

    def _write(self, path: Any, folder: int = -1) -> None:
        if isinstance(path, int):  # a descriptor: it was opened before
            return
        place = _text(path)
        if folder >= 0:
            place = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), place)  # noqa: PTH115, PTH118
        place = os.path.abspath(place)  # noqa: PTH100  links are the system's to follow
        if not self._is_writable(place):
            real = f"{os.path.realpath(os.path.dirname(place))}/{os.path.basename(place)}"  # noqa: PTH119, PTH120
            if not self._is_writable(real):
                self._refuse(f"to write {place}")
                raise Forbidden(errno.EROFS, "compile writes below TMPDIR only", place)

    def _is_writable(self, path: str) -> bool:
        """As the innermost folder says that is known."""
        return next((known for folder, known in self.places if is_below(path, folder)), False)


def _text(value: object) -> str:
    return os.fsdecode(value) if isinstance(value, (bytes, os.PathLike)) else str(value)
