"""The stage that commands follow executions on, and how they end."""

import argparse
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from ci.cli.reporting import Reporter
from ci.cli.shell import Shell
from ci.text.clean import clean

if TYPE_CHECKING:
    from ci.delivery.stage import Ended, Stage


class MaskedStream:
    """A stream that hides secrets: what steps log and why they fail is written by user code."""

    def __init__(self, stream: TextIO, mask: Callable[[str], str]) -> None:
        self._stream = stream
        self._mask = mask
        self.encoding = stream.encoding

    def write(self, text: str, /) -> int:
        return self._stream.write(self._mask(text))

    def flush(self) -> None:
        self._stream.flush()


@contextmanager
def make_stage(
    arguments: argparse.Namespace, shell: Shell, reporter: Reporter, *, title: str | None
) -> "Iterator[Stage]":
    """A stage whose display is open while the context is. Without a title it shows only what
    happens from now on."""
    from ci.delivery.stage import Stage
    from ci.execution.follow import Surroundings
    from ci.execution.show import LateShow, LiveShow, open_show

    def now() -> datetime:
        return datetime.fromtimestamp(shell.clock(), UTC)

    out = MaskedStream(shell.stderr if shell.json else shell.stdout, reporter.mask)
    opened = (
        LateShow(out, since=now()) if title is None else open_show(out, shell.environ, title=title)
    )
    with opened as show:
        above = show.say if isinstance(show, LiveShow) else None
        yield Stage(
            # What is written past a table that is drawn anew spoils it.
            tell=shell.say if above is None else lambda text: above(clean(reporter.mask(text))),
            show=show,
            publish=reporter.publish,
            commit_order=reporter.commit_order,
            hurry=reporter.hurry,
            queue=arguments.queue or None,
            logs=arguments.logs,
            now=now,
            surroundings=Surroundings(
                clock=time.monotonic,
                wall=shell.clock,
                sleep=shell.sleep,
                chance=random.random,
                interval=arguments.poll,
            ),
        )


def finish(ended: "Ended", reporter: Reporter) -> int:
    """Show the reports, then what ended the run early; the exit code."""
    unwritten = reporter.conclude(ended.reports, ended.error)
    return int(ended.code) or int(unwritten)
