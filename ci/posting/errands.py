"""Calls made one after the other on a thread of their own, which ends when all are made.

Whoever waits for them waits no longer than there is time: a call that hangs is left behind, also
where it began when there was time enough.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

T = TypeVar("T")

_SLICE = 0.1  # seconds after which the time that is left is looked at again


class Errands:
    """`left` gives the seconds that may still be waited, infinity where there is no bound."""

    def __init__(self, left: Callable[[], float]) -> None:
        self._left = left
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._begun: list[Future[Any]] = []
        self._serving = False
        self._lock = threading.Lock()

    def submit(self, call: Callable[[], T]) -> "Future[T]":
        """What the call gives or raises, once it was its turn."""
        done: Future[T] = Future()
        self._begun.append(done)
        with self._lock:
            self._waiting.append((done, call))
            idle, self._serving = not self._serving, True
        if idle:
            # No pool of the standard library: those hold the process until their calls end. And no
            # thread that waits for more: a function's process outlives thousands of its calls.
            threading.Thread(target=self._serve, name="errands", daemon=True).start()
        return done

    def wait(self) -> bool:
        """Whether all have been made in the time there was."""
        open_ = {done for done in self._begun if not done.done()}
        while open_ and self._left() > 0:
            open_ = wait(open_, timeout=min(_SLICE, self._left())).not_done
        return not open_

    def errors(self) -> list[BaseException]:
        """What the calls that were made raised."""
        ended = (done for done in self._begun if done.done())
        return [error for error in (done.exception() for done in ended) if error]

    def _serve(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._serving = False
                    return
                done, call = self._waiting.popleft()
            try:
                done.set_result(call())
            except BaseException as error:  # noqa: BLE001 - handed to who asked, who waits for it
                done.set_exception(error)
