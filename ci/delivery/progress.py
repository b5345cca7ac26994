"""Decides when a report of what still runs is worth showing again."""

import math
from collections.abc import Callable

from ci.sagemaker.model import ExecutionSnapshot

_PAUSE = 60.0  # seconds between two reports of one execution: a forge counts requests
_LOOKS = 10  # the same in looks, where their interval is fixed


class Progress:
    """`clock` is in seconds; `interval` is the fixed one between two looks, None where they are
    paced."""

    def __init__(self, clock: Callable[[], float], interval: float | None) -> None:
        self._clock = clock
        self._pause = _PAUSE if interval is None else _LOOKS * interval
        self._shown: dict[str, tuple[float, object]] = {}

    def show(self, execution: ExecutionSnapshot) -> None:
        """It was reported as it is."""
        self._shown[execution.arn] = (self._clock(), _state(execution))

    def is_due(self, execution: ExecutionSnapshot) -> bool:
        """Whether it has moved since it was reported last, and that is a while ago."""
        at, state = self._shown.get(execution.arn, (-math.inf, None))
        return state != _state(execution) and self._clock() - at >= self._pause


def _state(execution: ExecutionSnapshot) -> object:
    steps = ((step.name, step.status, step.attempts) for step in execution.steps)
    return execution.raw_status, tuple(steps)
