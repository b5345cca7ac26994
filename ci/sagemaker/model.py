"""What the SageMaker API tells of pipelines, executions and model packages, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class ExecutionStatus(StrEnum):
    EXECUTING = "Executing"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    FAILED = "Failed"
    SUCCEEDED = "Succeeded"
    COMPLETED_WITH_FAILURES = "CompletedWithFailures"
    UNKNOWN = "Unknown"

    @property
    def terminal(self) -> bool:
        return self in _TERMINAL


_TERMINAL = frozenset(
    {
        ExecutionStatus.STOPPED,
        ExecutionStatus.FAILED,
        ExecutionStatus.SUCCEEDED,
        ExecutionStatus.COMPLETED_WITH_FAILURES,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedPipeline:
    """A pipeline as the service holds it. `version_id` is None where the API has no versions."""

    name: str
    arn: str
    definition: bytes
    role: str
    parallelism: int | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    version_id: int | None = None
    modified: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSnapshot:
    """A step of an execution at one moment.

    `kind` is the definition's step type (`Processing`), or the metadata's kind where the
    definition is not at hand. `status` is the service's own word (Starting, Executing, Stopping,
    Stopped, Failed, Succeeded). `job` is the ARN of what the step made (job, model, package,
    lambda). `outcome` is a condition's (`True`/`False`). `cache_hit` is the ARN of the execution
    whose result was taken. `properties` is the step's raw metadata.
    """

    name: str
    status: str
    kind: str | None = None
    display_name: str | None = None
    started: datetime | None = None
    ended: datetime | None = None
    attempts: int = 0
    failure_reason: str | None = None
    cache_hit: str | None = None
    outcome: str | None = None
    job: str | None = None
    properties: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionSnapshot:
    """An execution at one moment; `raw_status` keeps a status this version does not know."""

    arn: str
    pipeline_name: str
    status: ExecutionStatus
    raw_status: str
    steps: tuple[StepSnapshot, ...] = ()
    display_name: str | None = None
    description: str | None = None
    failure_reason: str | None = None
    started: datetime | None = None
    modified: datetime | None = None
    version_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionSummary:
    """An execution as a listing of its pipeline's executions tells it."""

    arn: str
    status: ExecutionStatus
    raw_status: str
    display_name: str | None = None
    description: str | None = None
    failure_reason: str | None = None
    started: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineVersion:
    number: int
    display_name: str | None = None
    description: str | None = None
    created: datetime | None = None
    aliases: tuple[str, ...] = ()


# The statuses that an endpoint leaves by itself.
ENDPOINT_MOVES = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A hosted endpoint; `model_package` is the package its first variant's model was made of."""

    name: str
    arn: str
    status: str
    failure_reason: str | None = None
    config: str | None = None
    model_package: str | None = None

    @property
    def moving(self) -> bool:
        return self.status in ENDPOINT_MOVES


class ApprovalStatus(StrEnum):
    APPROVED = "Approved"
    REJECTED = "Rejected"
    PENDING = "PendingManualApproval"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPackage:
    """A model package of a group. `metrics_uri` is ModelMetrics' model-quality statistics.
    `modified_by` names whoever changed it last, as far as the service tells."""

    arn: str
    group: str
    version: int
    approval: ApprovalStatus
    status: str
    approval_description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    metrics_uri: str | None = None
    model_data: str | None = None
    created: datetime | None = None
    modified: datetime | None = None
    modified_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message of a queue. `sent` is in epoch seconds, None where the service does not tell."""

    handle: str
    body: str
    sent: float | None = None
