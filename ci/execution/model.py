"""What following an execution knows and tells, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ci.sagemaker.model import ExecutionStatus, StepSnapshot


class ChangeKind(StrEnum):
    STATUS = "status"
    STEP = "step"
    ATTEMPT = "attempt"
    CACHE_HIT = "cache_hit"
    CONDITION = "condition"
    CALLBACK = "callback"
    UNKNOWN = "unknown"
    TROUBLE = "trouble"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that happened to an execution or one of its steps.

    `status` is the service's word after the change. `detail` is what belongs to the kind: the
    failure reason, the source execution of a cache hit, a condition's outcome, the attempt's
    number, a callback's queue, the trouble's first line. `seconds` is how long a step or
    execution took that ended.
    """

    kind: ChangeKind
    arn: str
    step: str | None = None
    step_kind: str | None = None
    status: str | None = None
    detail: str | None = None
    seconds: float | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowState:
    """What is known of one execution. `warned` holds unknown statuses that were told."""

    arn: str
    status: ExecutionStatus | None = None
    raw_status: str | None = None
    steps: Mapping[str, StepSnapshot] = field(default_factory=dict)
    warned: frozenset[str] = frozenset()

    @property
    def terminal(self) -> bool:
        return self.status is not None and self.status.terminal
