"""Keeps this process from what it starts for a compile, until that is cut off (Linux).

The user's Python runs its first instructions as this process's own user: it could read this
job's tokens in `/proc/PID/environ`, or have `sudo` read them. A process that is not dumpable has
both closed to its own user (proc(5), PR_SET_DUMPABLE), and a child without new privileges is given
none by any program that it starts (PR_SET_NO_NEW_PRIVS). Elsewhere nothing is done.
"""

import ctypes
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

_SET_DUMPABLE = 4
_SET_NO_NEW_PRIVS = 38


def start_shielded(start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """What `start` started. The process that calls stays as it is but for not being dumpable."""
    if sys.platform != "linux":
        return start()
    _prctl(_SET_DUMPABLE, 0)
    return _thread().submit(start).result()


@cache
def _thread() -> ThreadPoolExecutor:
    """Privileges are a thread's, and its children have those of the thread that made them. It
    stays: a child that asks to end with its parent ends with the thread that made it."""
    return ThreadPoolExecutor(1, initializer=_prctl, initargs=(_SET_NO_NEW_PRIVS, 1))


def _prctl(option: int, value: int) -> None:
    """Kernels and sandboxes that refuse leave the process as it was."""
    words = [ctypes.c_ulong(each) for each in (value, 0, 0, 0)]
    ctypes.CDLL(None).prctl(ctypes.c_int(option), *words)
