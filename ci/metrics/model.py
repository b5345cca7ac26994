"""What is measured, what it is held against, and what came of it, as values."""

from dataclasses import dataclass
from enum import StrEnum


class Goal(StrEnum):
    """Which way is better."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"


class Origin(StrEnum):
    """Where a metric is read from."""

    PROPERTY_FILE = "property_file"
    MODEL_PACKAGE = "model_package"
    TRAINING_JOB = "training_job"
    S3 = "s3"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSource:
    """How to find one metric.

    `reference` names the place within the origin: the property file's name, the S3 URI, the
    training step; None takes the only one there is. `path` is a JSONPath into the document
    (for a training job: the metric's name). `champion_path` is where the same document holds
    the champion's value on the same data, if the evaluation measured it; without it the
    champion's value comes from its own model package.
    """

    name: str
    origin: Origin
    path: str
    reference: str | None = None
    champion_path: str | None = None
    goal: Goal = Goal.MINIMIZE
    unit: str | None = None


class ChangeUnit(StrEnum):
    ABSOLUTE = "absolute"
    PERCENT = "percent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A check on a metric: an inclusive bound, a change against the champion, or both.

    `minimum`/`maximum` bound the value. `improve_by` is the least change for the better against
    the champion that passes: 0 means at least as good, a negative number tolerates a loss.
    A gate that is not `required` is advisory: it is shown and never fails a run.
    """

    metric: str
    minimum: float | None = None
    maximum: float | None = None
    improve_by: float | None = None
    improve_unit: ChangeUnit = ChangeUnit.ABSOLUTE
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricValue:
    """One metric as read: a finite `value`, or None and the `problem` that says why not.

    `champion_problem` says why a champion that exists has no value here, `unmeasured` that the
    step did not succeed which writes it: then its problem follows from that step's.
    """

    source: MetricSource
    value: float | None
    champion: float | None
    problem: str | None = None
    champion_problem: str | None = None
    unmeasured: bool = False


class GateOutcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NO_CHAMPION = "no_champion"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """`reason` says in words what was compared with what. NO_CHAMPION passes: where none
    was approved before there is nothing to beat. UNKNOWN (no finite value) fails where the gate is
    required."""

    gate: Gate
    outcome: GateOutcome
    reason: str


class Outcome(StrEnum):
    """What came of an execution, after everything was read back."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    APPROVAL_PENDING = "approval_pending"
    REJECTED = "rejected"
    NOT_REGISTERED = "not_registered"
    GATE_FAILED = "gate_failed"
    FAILED = "failed"
    STOPPED = "stopped"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome, the sentence that says it, and what it rests on.

    The sentence is the first line of every rendering. `problems` are what was noticed beside
    it, in words. `ci.metrics.verdict.exit_code` says what the process ends with.
    """

    outcome: Outcome
    sentence: str
    metrics: tuple[MetricValue, ...] = ()
    gates: tuple[GateResult, ...] = ()
    problems: tuple[str, ...] = ()
