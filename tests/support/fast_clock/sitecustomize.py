"""A child with this folder on PYTHONPATH lives through a minute in a second: its monotonic clock
runs sixty times as fast. What it waits for, and the time of day, are the real ones."""

import time

_real = time.monotonic
_begun = _real()


def _fast() -> float:
    return _begun + 60.0 * (_real() - _begun)


time.monotonic = _fast
