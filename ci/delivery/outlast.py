"""Decides how long reading back what an execution left is tried while AWS is away."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ci.errors import AwsError
from ci.execution.follow import CREDENTIAL_PATIENCE, PATIENCE
from ci.sagemaker.retry import is_transient, lacks_credentials

_FIRST_PAUSE = 2.0
_LONGEST_PAUSE = 30.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """`left()` is in seconds, None without a bound, 0 once a signal or the deadline came. `renew`
    has credentials looked up anew; `tell` is handed the trouble once."""

    clock: Callable[[], float]
    sleep: Callable[[float], None]
    left: Callable[[], float | None]
    renew: Callable[[], None]
    tell: Callable[[str], None]


def outlast(read: Callable[[], _T], patience: Patience) -> _T:
    """`read()`, again for as long as following would bear it. Raises AwsError where that is over,
    and for a refusal that waiting does not cure."""
    begun, pause = patience.clock(), _FIRST_PAUSE
    while True:
        try:
            return read()
        except AwsError as error:
            expired = lacks_credentials(error)
            passed = patience.clock() - begun
            over = passed >= (CREDENTIAL_PATIENCE if expired else PATIENCE) or patience.left() == 0
            if over or not (expired or is_transient(error)):
                raise
            if pause == _FIRST_PAUSE:
                patience.tell(f"going on: {error.what.splitlines()[0]}")
            if expired:
                patience.renew()
        left = patience.left()
        patience.sleep(pause if left is None else min(pause, left))
        pause = min(_LONGEST_PAUSE, 1.6 * pause)
