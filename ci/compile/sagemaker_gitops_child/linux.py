"""System calls of Linux that Python has no function for. OSError where one fails."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Any

NEWNS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
NOSUID, NODEV, NOEXEC, BIND, REC, PRIVATE = 0x2, 0x4, 0x8, 0x1000, 0x4000, 0x40000
_AT_FDCWD, _AT_RECURSIVE, _RDONLY = -100, 0x8000, 0x1
_PDEATHSIG, _NO_NEW_PRIVS = 1, 38
_CAPABILITY_VERSION = 0x20080522
# The numbers of calls newer than 2019 are the same on every architecture.
_MOUNT_SETATTR, _CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 442, 444, 445, 446


def _library() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, call: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    _check(_library().unshare(flags), "unshare")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    arguments = [os.fsencode(text) for text in (source, target, kind)]
    given = ctypes.c_ulong(flags)
    _check(_library().mount(*arguments, given, options.encode()), f"mount {target}")


def set_writable(path: str, *, writable: bool, below: bool = False) -> None:
    """Of the mount at `path`, and with `below` of all mounts under it."""
    wanted = (0, _RDONLY) if writable else (_RDONLY, 0)
    attributes = struct.pack("QQQQ", *wanted, 0, 0)
    flags = _AT_RECURSIVE if below else 0
    call = _library().syscall
    result = call(_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(path), flags, attributes, len(attributes))
    _check(result, f"mount_setattr {path}")


def end_with_parent() -> None:
    _check(_library().prctl(_PDEATHSIG, 9, 0, 0, 0), "prctl")


def give_up_privileges() -> None:
    """No capability, and none to come: not by a program that would give one either."""
    library = _library()
    _check(library.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    header = struct.pack("Ii", _CAPABILITY_VERSION, 0)
    _check(library.capset(header, struct.pack("6I", *[0] * 6)), "capset")


def landlock_version() -> int:
    """0 where there is no Landlock."""
    return max(0, int(_library().syscall(_CREATE_RULESET, None, 0, 1)))


def landlock(handled: bytes, rules: list[tuple[int, bytes]]) -> None:
    """Restrict this process and all that it starts. `rules` are (type, attributes)."""
    library = _library()
    ruleset = _check(library.syscall(_CREATE_RULESET, handled, len(handled), 0), "landlock")
    try:
        for kind, attributes in rules:
            _check(library.syscall(_ADD_RULE, ruleset, kind, attributes, 0), "landlock rule")
        _check(library.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
        _check(library.syscall(_RESTRICT_SELF, ruleset, 0), "landlock")
    finally:
        os.close(ruleset)
