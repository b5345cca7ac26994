"""Whether a failed attempt is made again, and when. Pure.

The rules are the developer guide's "Retry Policy for Pipeline Steps": a policy names exception
types, and ends after MaxAttempts retries or ExpireAfterMin minutes; service faults and throttling
are retried for every step, unless a policy of the step's own names them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ci.local.engine.failure import ExceptionType

_DEFAULT: Mapping[str, Any] = {
    "ExceptionType": [ExceptionType.SERVICE_FAULT, ExceptionType.THROTTLING],
    "IntervalSeconds": 1,
    "BackoffRate": 2.0,
    "MaxAttempts": 3,
}


def next_delay(
    policies: Sequence[Mapping[str, Any]],
    kind: ExceptionType | None,
    *,
    retries: int,
    elapsed: float,
) -> float | None:
    """Seconds to wait before the next attempt, None for no more. `retries` were made already,
    `elapsed` seconds have passed since the first attempt began."""
    if kind is None:
        return None
    for policy in (*policies, _DEFAULT):
        if kind in policy.get("ExceptionType", ()):
            return _delay(policy, retries, elapsed)
    return None


def _delay(policy: Mapping[str, Any], retries: int, elapsed: float) -> float | None:
    if retries >= int(policy.get("MaxAttempts") or 20):
        return None
    expires = policy.get("ExpireAfterMin")
    if expires is not None and elapsed >= float(expires) * 60:
        return None
    interval = float(policy.get("IntervalSeconds", 1))
    return interval * float(policy.get("BackoffRate", 2.0)) ** retries
