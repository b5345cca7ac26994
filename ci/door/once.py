"""Answers a job once, in time: a timer gives the last known answer before the function ends."""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

from ci.door.answer import Answer
from ci.errors import AwsError
from ci.sagemaker.codepipeline import CodePipeline, Failure, Success

MARGIN = 8.0  # seconds that giving an answer may take
_SHARE = 0.3  # of the time that is left, where that is short


class Once:
    """A context around the work for one job.

    `left` is in seconds; `late` gives the answer where they are nearly up; `hide` takes secrets
    out of its words. Whoever answers first has answered: what comes later says nothing.
    """

    def __init__(
        self,
        service: CodePipeline,
        job: str,
        *,
        left: float,
        late: Callable[[], Answer],
        hide: Callable[[str], str],
    ) -> None:
        self._service = service
        self._job = job
        self._late = late
        self._hide = hide
        self._lock = threading.Lock()
        self._given: Answer | None = None
        wait = max(0.0, left - min(MARGIN, left * _SHARE))
        self._timer = threading.Timer(wait, self._time_is_up)
        self._timer.daemon = True

    def __enter__(self) -> "Once":
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()

    @property
    def given(self) -> Answer | None:
        return self._given

    def give(self, answer: Answer) -> bool:
        """Whether this answer reached CodePipeline as the job's. AwsError where CodePipeline
        could not be reached: the job is not answered then, and may be by another call."""
        with self._lock:
            if self._given is not None:
                return False
            taken = self._put(answer)
            self._given = answer
            return taken

    def _put(self, answer: Answer) -> bool:
        match answer:
            case Success():
                told = replace(answer, summary=self._hide(answer.summary))
                return self._service.succeed(self._job, told)
            case Failure():
                return self._service.fail(
                    self._job, replace(answer, message=self._hide(answer.message))
                )

    def _time_is_up(self) -> None:
        # Where this cannot be told either, the work may still end in time, and Lambda invokes a
        # function again that did not.
        with contextlib.suppress(AwsError):
            self.give(self._late())
