"""Decides when a report of what still runs is worth showing again."""

import math
from collections.abc import Callable

from ci.sagemaker.model import ExecutionSnapshot

_PAUSE = 60.0  # seconds between two reports of one execution: a forge counts requests


class Progress:
    """`clock` is in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._shown: dict[str, tuple[float, object]] = {}

    def show(self, execution: ExecutionSnapshot) -> None:
        """It was reported as it is."""
        self._shown[execution.arn] = (self._clock(), _state(execution))

    def is_due(self, execution: ExecutionSnapshot) -> bool:
        """Whether it has moved since it was reported last, and that is a while ago."""
        at, state = self._shown.get(execution.arn, (-math.inf, None))
        return state != _state(execution) and self._clock() - at >= _PAUSE


def _state(execution: ExecutionSnapshot) -> object:
    steps = ((step.name, step.status, step.attempts) for step in execution.steps)
    return execution.raw_status, tuple(steps)
