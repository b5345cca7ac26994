"""The children that compile at this moment, so that a signal can end them from another thread."""

import os
import signal
import subprocess
from contextlib import suppress

RUNNING: set[subprocess.Popen[bytes]] = set()


def end_compiles() -> None:
    """Kill what compiles at this moment in any thread: whoever waits for it gets a CompileError."""
    for process in tuple(RUNNING):
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a child, and what it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
