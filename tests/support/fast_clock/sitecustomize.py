"""A child with this folder on PYTHONPATH lives through a minute in a second: its monotonic clock
runs sixty times as fast, and so do its sleeps (by select). The time of day is the real one."""

import select
import time
from collections.abc import Sequence
from typing import Any

_FASTER = 60.0
_real = time.monotonic
_select: Any = select.select
_begun = _real()


def _fast() -> float:
    return _begun + _FASTER * (_real() - _begun)


def _brief(
    read: Sequence[Any], write: Sequence[Any], failed: Sequence[Any], timeout: float | None = None
) -> tuple[list[Any], list[Any], list[Any]]:
    found: tuple[list[Any], list[Any], list[Any]]
    found = _select(read, write, failed, None if timeout is None else timeout / _FASTER)
    return found


time.monotonic = _fast
setattr(select, "select", _brief)  # noqa: B010 - its own type is narrower than its use
