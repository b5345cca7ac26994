"""Decides whose log is shown while an execution runs, and when.

Every step that runs, a few at a time in turn, and once more after its end. What cannot be read is
told once and never ends the following.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from ci.errors import AwsError
from ci.execution.reduce import step_ended
from ci.sagemaker.logs import LogCursor, find_place
from ci.sagemaker.model import StepSnapshot

EVERY = 10.0  # seconds between two rounds
AT_ONCE = 4  # logs in a round

Advance = Callable[[StepSnapshot, LogCursor], tuple[LogCursor, tuple[str, ...]]]


class LogTails:
    """`advance` reads what is new (`ci.sagemaker.logs.Logs.advance`), `show` is handed the
    step's name and the lines."""

    def __init__(
        self,
        advance: Advance,
        show: Callable[[str, Sequence[str]], None],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._advance = advance
        self._show = show
        self._clock = clock
        self._due = clock()
        self._open: dict[str, LogCursor] = {}
        self._closed: set[str] = set()
        self._told: set[str] = set()
        self._begun = False

    def look(self, steps: Iterable[StepSnapshot]) -> None:
        """Show what is new, if it is time or a step has just ended."""
        found = {step.job: step for step in steps if step.job and find_place(step)}
        if not self._begun:
            # Steps that were over before anybody watched are not retold.
            self._begun = bool(found)
            self._closed |= {job for job, step in found.items() if step_ended(step.status)}
        ended = [
            job
            for job, step in found.items()
            if step_ended(step.status) and job not in self._closed
        ]
        for job in ended:
            self._read(found[job])
            self._closed.add(job)
            self._open.pop(job, None)
        if self._clock() < self._due:
            return
        self._due = self._clock() + EVERY
        running = [job for job, step in found.items() if job not in self._closed]
        # In turn: those that were read last go to the end.
        running.sort(key=lambda job: self._open[job].asked if job in self._open else -1)
        for job in islice(running, AT_ONCE):
            self._read(found[job])

    def _read(self, step: StepSnapshot) -> None:
        job = step.job or ""
        cursor = self._open.get(job, LogCursor())
        try:
            self._open[job], lines = self._advance(step, cursor)
        except AwsError as error:
            self._open[job] = LogCursor(tokens=cursor.tokens, asked=cursor.asked + 1)
            if error.code in self._told:
                return
            self._told.add(error.code)
            lines = (f"(the log cannot be read: {error.what})",)
        if lines:
            self._show(step.name, lines)
