"""Asks before a command changes what runs: where somebody sits at a terminal, and nowhere else."""

import argparse
from collections.abc import Iterable

from ci.cli.shell import Shell
from ci.errors import Interrupted

_UNATTENDED = ("CI", "GITHUB_ACTIONS", "CODEBUILD_BUILD_ID")


def add_confirmation_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do it without asking at the terminal")


def confirm(arguments: argparse.Namespace, shell: Shell, doing: Iterable[str]) -> None:
    """Show what will be done, a line each, and wait for a yes. Nothing is asked with `--yes`, in
    CI, and where no terminal is there to answer at. Interrupted where the answer is not yes."""
    from ci.text.wrap import wrap_line

    if getattr(arguments, "yes", False) or not is_attended(shell):
        return
    for line in doing:
        for part in wrap_line(line, shell.columns, hang=4):
            shell.warn(part)
    if shell.ask("Go on? [y/N] ").strip().lower() not in {"y", "yes"}:
        raise Interrupted("nothing was changed: the answer was not yes", fix="--yes asks nothing")


def is_attended(shell: Shell) -> bool:
    """Whether a person can read the question and answer it. The question goes to standard error,
    so that standard output may be piped."""
    if any(shell.environ.get(name, "") not in {"", "0", "false"} for name in _UNATTENDED):
        return False
    return shell.stdin is not None and shell.stdin.isatty() and shell.stderr.isatty()
