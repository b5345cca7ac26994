"""Runs a program that may start threads and no processes, as a strict container lets it.

    python -m support.seccomp PROGRAM ARGUMENT ...

A filter of the kernel's (seccomp(2)) answers EPERM to fork and vfork, and to clone without
CLONE_THREAD; ENOSYS to clone3, after which a C library falls back to clone.
"""

import ctypes
import os
import platform
import struct
import sys

_LOAD, _EQUALS, _HAS, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_EPERM, _ENOSYS, _CLONE_THREAD = 1, 38, 0x10000
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2
# The calls' numbers: what always starts a process, clone, clone3.
_CALLS = {"x86_64": ((57, 58), 56, 435), "aarch64": ((), 220, 435)}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def is_known() -> bool:
    return sys.platform == "linux" and platform.machine() in _CALLS


def _line(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)


def _filter() -> bytes:
    always, clone, newer = _CALLS[platform.machine()]
    tail = [
        _line(_RETURN, _ERROR | _EPERM),
        _line(_RETURN, _ERROR | _ENOSYS),
        _line(_RETURN, _ALLOW),
    ]
    lines = [_line(_LOAD, 0)]
    for number, call in enumerate(always):
        lines.append(_line(_EQUALS, call, yes=len(always) - number + 3))
    lines.append(_line(_EQUALS, newer, yes=4))
    lines.append(_line(_EQUALS, clone, yes=0, no=4))
    lines += [_line(_LOAD, 16), _line(_HAS, _CLONE_THREAD, yes=2)]
    return b"".join(lines + tail)


def main(command: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    raw = ctypes.create_string_buffer(_filter())
    program = _Program(length=(len(raw) - 1) // 8, filter=ctypes.addressof(raw))
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(
        _SECCOMP, _FILTER, ctypes.byref(program)
    ):
        raise OSError(ctypes.get_errno(), "no filter of calls can be set here")
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
