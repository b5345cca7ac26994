"""The name of a plan: which source against which deployed state, in 64 hex digits.

The first half stands for what is wanted, the second for what is deployed. Held against a later
plan of the same pipeline it tells which of the two has moved.
"""

import hashlib
import re
from dataclasses import dataclass

from ci.plan.model import Plan

_HALF = 32
_DIGEST = re.compile(r"[0-9a-f]{64}")
# No hash reads like this: the plan was not made against what is deployed.
_NOT_COMPARED = "0" * _HALF


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What is no longer as it was reviewed. `compared` False: the reviewed plan was not made
    against what is deployed, so that nothing can be said of that side."""

    wanted: bool
    deployed: bool
    compared: bool = True

    def __bool__(self) -> bool:
        return self.wanted or self.deployed


def name_plan(pipeline: str, wanted: str, deployed: str | None, *, compared: bool) -> str:
    """`wanted` and `deployed` are digests; `deployed` None where there is no pipeline."""
    first = _half("wanted", pipeline, wanted)
    return first + (_half("deployed", pipeline, deployed) if compared else _NOT_COMPARED)


def is_plan_name(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def what_moved(reviewed: str, now: Plan) -> Moved:
    """What differs between the plan that was reviewed, by name, and the plan of now.

    Where nothing is left to apply, the deployed side moved by applying it: that is no difference.
    """
    wanted = reviewed[:_HALF] != now.digest[:_HALF]
    compared = reviewed[_HALF:] != _NOT_COMPARED
    applied = now.empty and not wanted
    return Moved(
        wanted=wanted,
        deployed=compared and not applied and reviewed[_HALF:] != now.digest[_HALF:],
        compared=compared,
    )


def _half(side: str, pipeline: str, digest: str | None) -> str:
    return hashlib.sha256(f"{side}\n{pipeline}\n{digest}".encode()).hexdigest()[:_HALF]
