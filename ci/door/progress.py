"""What one call of the function leaves for the next: the continuation token. Pure.

CodePipeline keeps a text of at most 2,048 characters between two calls of one job, and hands it
back as it is. It holds no secret and nothing that cannot be read back by the next call.
"""

import base64
import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ci.errors import UsageError
from ci.sagemaker.arn import is_execution

LIMIT = 2048
_VERSION = 1
_UNPACKED = 1 << 16
_LONGEST_ID = "0" * 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """`began` is when the job's first call came, `troubled` since when AWS has not answered, both
    in epoch seconds. `executions` are ARNs, all of them once each was started; `seen` is the
    last look's checksum; `late` counts the calls in a row that ran out of time."""

    began: float
    executions: tuple[str, ...] = ()
    seen: str | None = None
    troubled: float | None = None
    late: int = 0

    def is_late(self) -> "Progress":
        return replace(self, late=self.late + 1)

    def at(self, executions: Sequence[str], seen: str) -> "Progress":
        """After a look that got its answers."""
        return Progress(began=self.began, executions=tuple(executions), seen=seen)

    def in_trouble(self, now: float) -> "Progress":
        return replace(self, troubled=now if self.troubled is None else self.troubled)


def encode(progress: Progress) -> str:
    """The token. UsageError where one action has more executions than a token holds."""
    arns = progress.executions
    prefix = arns[0].partition(":pipeline/")[0] + ":pipeline/" if arns else ""
    document = {
        "v": _VERSION,
        "b": round(progress.began, 3),
        "p": prefix,
        "x": [arn.removeprefix(prefix) for arn in arns],
        "s": progress.seen,
        "t": None if progress.troubled is None else round(progress.troubled, 3),
        "l": progress.late,
    }
    text = json.dumps(document, separators=(",", ":"))
    if len(text) > LIMIT:
        text = "z" + base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    if len(text) > LIMIT:
        raise UsageError(
            f"one action cannot follow {len(arns)} executions",
            why=f"what CodePipeline keeps between two calls holds {LIMIT} characters",
            fix='Make several actions, each with some of the pipelines: {"pipelines": ["..."]}',
        )
    return text


def require_room(began: float, region: str, account: str, names: Sequence[str]) -> None:
    """Refuse before anything is started what could not be followed. UsageError as `encode`."""
    place = f"arn:aws:sagemaker:{region}:{account or _LONGEST_ID}:pipeline"
    # Ids of executions are random: what stands for them must not compress either.
    ids = (f"{zlib.crc32(name.encode()) * 48_271:012x}"[:12] for name in names)
    arns = [f"{place}/{name}/execution/{each}" for name, each in zip(names, ids, strict=True)]
    encode(Progress(began=began, executions=tuple(arns), seen="0" * 8, troubled=began, late=9))


def decode(text: str | None, *, now: float) -> Progress:
    """The progress that a token holds; that of a first call without one. UsageError for a token
    that this program did not write."""
    if not text:
        return Progress(began=now)
    try:
        document = json.loads(_unpacked(text))
        version, began, late = document["v"], _seconds(document["b"]), int(document["l"])
        arns = tuple(str(document["p"]) + str(each) for each in document["x"])
        seen = None if document["s"] is None else str(document["s"])
        troubled = None if document["t"] is None else _seconds(document["t"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, zlib.error):
        raise _foreign("it cannot be read") from None
    if version != _VERSION:
        raise _foreign(f"it is of version {version!r}")
    if not all(map(is_execution, arns)):
        raise _foreign("it names what is no execution of a SageMaker pipeline")
    return Progress(began=began, executions=arns, seen=seen, troubled=troubled, late=late)


def _seconds(value: object) -> float:
    """ValueError for what is no moment: JSON as Python reads it knows infinities."""
    found = float(str(value))
    if not math.isfinite(found):
        raise ValueError(f"{found} is no moment")
    return found


def _unpacked(text: str) -> str:
    if not text.startswith("z"):
        return text
    packed = zlib.decompressobj()
    found = packed.decompress(base64.b64decode(text[1:], validate=True), _UNPACKED)
    return found.decode()


def _foreign(why: str) -> UsageError:
    return UsageError(
        "the continuation token was not written by this version of sagemaker-gitops",
        why=why,
        fix="Retry the stage: the execution of the commit is found again.",
    )
