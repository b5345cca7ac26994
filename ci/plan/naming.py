"""The name of a plan: which source against which deployed state, in 64 hex digits.

The first half stands for what is wanted, the second for what is deployed. Held against a later
plan of the same pipeline it tells which of the two has moved. Counted is all that a deploy writes,
but for what tells of the deploy itself, and the values that the execution is given, but for the
commit, which it is told where it asks for it.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ci.definition.canonical import canonical_bytes
from ci.plan.model import PipelineState, Plan
from ci.project.names import OWN

# Tags that tell of the deploy itself and move with every one.
DIGEST_TAG = f"{OWN}digest"
VOLATILE_TAGS = frozenset({f"{OWN}commit", DIGEST_TAG})
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


def name_plan(
    pipeline: str,
    wanted: str,
    deployed: str | None,
    *,
    compared: bool,
    values: Mapping[str, str] | None = None,
) -> str:
    """`wanted` and `deployed` are digests; `deployed` None where there is no pipeline. `values` are
    what the execution is given, by parameter."""
    told = canonical_bytes(dict(values)).decode() if values else ""
    first = _half("wanted", pipeline, wanted, *([told] if told else []))
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


def as_compared(deployed: PipelineState, new: PipelineState) -> PipelineState:
    """The deployed side without what is not compared: it may move as it likes."""
    return replace(
        deployed,
        role=None if new.role is None else deployed.role,
        parallelism=None if new.parallelism is None else deployed.parallelism,
        tags={key: value for key, value in deployed.tags.items() if key in new.tags},
    )


def digest_state(state: PipelineState) -> str:
    """SHA-256, in hex, of all that a deploy writes."""
    functions = {}
    if state.identity is None:  # a bundle's digest covers its functions
        functions = {
            name: [function.sha256, dict(function.configuration)]
            for name, function in (state.functions or {}).items()
        }
    document = {
        "definition": state.identity
        or hashlib.sha256(canonical_bytes(state.definition.raw)).hexdigest(),
        "role": state.role,
        "parallelism": state.parallelism,
        "tags": {k: v for k, v in state.tags.items() if k not in VOLATILE_TAGS},
        "functions": functions,
    }
    return hashlib.sha256(canonical_bytes(document)).hexdigest()


def _half(side: str, pipeline: str, digest: str | None, *more: str) -> str:
    text = "\n".join((side, pipeline, str(digest), *more))
    return hashlib.sha256(text.encode()).hexdigest()[:_HALF]
