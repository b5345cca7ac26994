"""The composition root: puts the outside world into a Shell, runs a command, gives its code."""

import contextlib
import gc
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TextIO

from ci.cli.arguments import parse_arguments
from ci.cli.outcome import tell_bug, tell_error, tell_interrupt
from ci.cli.shell import Shell, wants_color
from ci.errors import ExitCode, GitOpsError, UsageError
from ci.text.environment import secrets_in

_COLLECT_AFTER = 200_000  # objects; Python's own 700 cost a tenth of a cold start


def run_process() -> int:
    """This process's own arguments, environment and streams."""
    # Starting makes objects by the hundred thousand, and none of them garbage.
    gc.set_threshold(_COLLECT_AFTER)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    # A job that is cancelled ends like one whose Ctrl-C is pressed: children gone, code 130.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    code = main(sys.argv[1:], os.environ, stdin=sys.stdin, stdout=sys.stdout, stderr=sys.stderr)
    # What is left ends with the process: Python's own last collections need not walk through it.
    gc.freeze()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        return code
    # Nobody reads on: Python's own last flush must not complain about that.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def main(
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    stdout: TextIO,
    stderr: TextIO,
    stdin: TextIO | None = None,
    cwd: Path | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Run the command that `argv` names; its exit code. Never raises."""
    is_tty = stdout.isatty()
    folder = cwd or _current_folder()
    shell = Shell(
        environ=environ,
        cwd=folder or Path(os.sep),
        stdout=stdout,
        stderr=stderr,
        stdin=stdin,
        clock=clock,
        sleep=sleep,
        json="--json" in argv,
        color=wants_color(environ, is_tty=is_tty),
        columns=shutil.get_terminal_size().columns if is_tty else None,
        secrets=secrets_in(environ),
    )
    try:
        return _dispatch(argv, shell, folder)
    except GitOpsError as error:
        return _quietly(partial(tell_error, error, shell), int(error.exit_code))
    except KeyboardInterrupt:
        return _quietly(partial(tell_interrupt, shell), int(ExitCode.INTERRUPTED))
    except BrokenPipeError:
        return int(ExitCode.INTERRUPTED)
    except Exception as error:  # noqa: BLE001  # whatever it is, it ends in a message and a code
        return _quietly(partial(tell_bug, error, shell), int(ExitCode.BUG))


def _dispatch(argv: Sequence[str], shell: Shell, folder: Path | None) -> int:
    if folder is None:
        raise UsageError("the current folder is gone", fix="cd to one that is there")
    try:
        command, arguments = parse_arguments(argv, shell.environ, shell.stdout)
    except SystemExit as shown:
        return int(shown.code or 0)
    if command is None:
        return int(ExitCode.OK)
    for pair in getattr(arguments, "parameter", ()):
        for secret in secrets_in(dict([pair.partition("=")[::2]])):
            shell.learn(secret)
    named = arguments.project_file
    return command.run(
        arguments,
        _with_options(shell, json=arguments.json, project_file=Path(named) if named else None),
    )


def _with_options(shell: Shell, *, json: bool, project_file: Path | None) -> Shell:
    return replace(shell, json=json, project_file=project_file)


def _current_folder() -> Path | None:
    try:
        return Path.cwd()
    except OSError:
        return None


def _quietly(tell: Callable[[], int], code: int) -> int:
    """The code that `tell` gives, or `code` where nobody reads what it says."""
    try:
        return tell()
    except BrokenPipeError:
        return code
