"""Decides what a signal does: the first one asks to end in order, the second ends at once.

GitHub sends SIGINT to the entry process, SIGTERM 7.5 s later, and kills 2.5 s after that. So the
stop of each running execution is sent from a thread of its own, at once, whatever call the run is
waiting in; the main thread ends in order meanwhile. AWS's answers are waited for in one
budget that begins with the signal: reports wait for them while the forge can still be told, and
the end waits no longer than the forge has.
"""

import math
import os
import select
import signal
import threading
import time
import uuid
from collections.abc import Callable
from types import FrameType, TracebackType

from ci.errors import ExitCode
from ci.project.model import OnCancel

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# A terminal and a wrapper (uv run, make) may both pass on one Ctrl-C.
_SAME_SIGNAL = 0.3
# Seconds after the first signal: until then reports wait for the answers, and until then the end.
_REPORTED, _ENDED = 2.5, 6.0
_ATTEMPTS = 3


class Cancellation:
    """A context that holds SIGINT and SIGTERM. Enter it in the main thread.

    `stop` is called with the ARN of each execution that was given to `watch`, where the policy
    is to stop. `stopped` holds those for which it was done, `problems` what it raised at last for
    others; what is in neither (`unanswered`) was asked to stop, and nobody has answered.
    `hurry` is called in the handler of the first signal.
    """

    def __init__(
        self,
        policy: OnCancel,
        stop: Callable[[str, str], None],
        *,
        hurry: Callable[[], None] = lambda: None,
    ) -> None:
        self.policy = policy
        self._hurry = hurry
        self.stopped: list[str] = []
        self.problems: dict[str, Exception] = {}
        self._stop = stop
        self._arns: list[str] = []
        self._senders: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()
        self._sent = threading.Event()
        self._requested = False
        self._finished = False
        self._first = 0.0
        # A pipe wakes waiters: unlike an Event it may be touched in a signal handler.
        self._wakes, self._wake = os.pipe()
        self._previous: dict[signal.Signals, object] = {}
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "Cancellation":
        self._thread = threading.Thread(target=self._serve, name="cancellation", daemon=True)
        self._thread.start()
        for number in SIGNALS:
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wait(_ENDED)
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() gave
        self._finished = True
        os.write(self._wake, b".")
        if self._thread is not None:
            self._thread.join(_ENDED)
        if self._thread is None or not self._thread.is_alive():
            self.close()

    def close(self) -> None:
        """Give the pipe back: what was left, or never entered, waits for nothing more."""
        for end in (self._wakes, self._wake):
            os.close(end)

    def requested(self) -> bool:
        """Whether a signal asked this program to end."""
        return self._requested

    def left(self) -> float:
        """Seconds that reports may still wait for AWS; infinity until a signal came."""
        return self._first + _REPORTED - time.monotonic() if self._requested else math.inf

    def watch(self, arn: str) -> None:
        """From now on this execution is stopped, if the policy is to. A signal that came while
        it was being started counts."""
        with self._lock:
            self._arns.append(arn)
        if self.requested():
            self._send()
            self.wait_sent()

    def sleep(self, seconds: float) -> None:
        """Sleep, but not past a signal."""
        select.select([self._wakes], [], [], max(0.0, seconds))

    def wait_sent(self) -> None:
        """Wait until the stops were answered (or need no sending), for a moment at most."""
        self._wait(_REPORTED)

    def unanswered(self, arn: str) -> bool:
        """Whether the stop was sent for it, and how that ended is not known."""
        return arn in self._senders and arn not in self.stopped and arn not in self.problems

    def _wait(self, seconds: float) -> None:
        """Until that long after the first signal."""
        if not self._requested:
            return
        ends = self._first + seconds
        self._sent.wait(max(0.0, ends - time.monotonic()))
        for sender in list(self._senders.values()):
            sender.join(max(0.0, ends - time.monotonic()))

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._requested:
            if now - self._first > _SAME_SIGNAL:
                os._exit(ExitCode.INTERRUPTED)
            return
        self._first = now
        self._hurry()
        self._requested = True
        os.write(self._wake, b".")

    def _serve(self) -> None:
        select.select([self._wakes], [], [])
        if not self._finished:
            self._send()
        self._sent.set()

    def _send(self) -> None:
        if self.policy is not OnCancel.STOP:
            return
        with self._lock:
            for arn in self._arns:
                if arn not in self._senders:
                    sender = threading.Thread(target=self._send_one, args=(arn,), daemon=True)
                    self._senders[arn] = sender
                    sender.start()

    def _send_one(self, arn: str) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                self._stop(arn, uuid.uuid4().hex)
            except Exception as error:  # noqa: BLE001 - told by the main thread, which is ending
                if attempt == _ATTEMPTS - 1:
                    self.problems[arn] = error
                else:
                    time.sleep(0.3)
            else:
                self.stopped.append(arn)
                return
