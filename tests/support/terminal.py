"""The command at a real terminal: a pseudo-terminal that answers as a person would."""

import fcntl
import os
import pty
import select
import subprocess
import termios
import time

from support.scratch import COMMAND, Scratch

_PATIENCE = 60.0  # seconds


def at_terminal(
    scratch: Scratch, *arguments: str, answers: tuple[str, ...] = (), prompt: str = "[y/N] "
) -> tuple[int, str]:
    """The exit code, and all that was shown. Each answer is typed once the next prompt stands."""
    controller, terminal = pty.openpty()
    environ = {key: value for key, value in scratch.environment().items() if key != "CI"}
    process = subprocess.Popen(
        [COMMAND, *arguments],
        cwd=scratch.root,
        env={**environ, "TERM": "xterm", "COLUMNS": "200", **scratch.environ},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        # Ctrl-C reaches those whose terminal this is, and opening it is not enough for that.
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads
    )
    os.close(terminal)
    shown, waiting, ends = "", list(answers), time.monotonic() + _PATIENCE
    try:
        while time.monotonic() < ends:
            if waiting and shown.count(prompt) > len(answers) - len(waiting):
                os.write(controller, waiting.pop(0).encode())
            if select.select([controller], [], [], 0.1)[0]:
                try:
                    shown += os.read(controller, 65536).decode()
                except OSError:  # the other end is closed
                    return process.wait(_PATIENCE), shown.replace("\r\n", "\n")
        raise AssertionError(f"{arguments} still runs: {shown}")
    finally:
        process.kill()
        process.wait()
        os.close(controller)
