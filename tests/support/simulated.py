"""A service in simulated time: executions that run for hours pass in milliseconds."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from ci.errors import AwsError
from ci.execution.follow import Surroundings
from ci.sagemaker.arn import pipeline_of
from ci.sagemaker.model import ExecutionSnapshot, ExecutionSummary, StepSnapshot
from ci.sagemaker.read import parse_status

_JOB = "arn:aws:sagemaker:us-east-1:000000000000:processing-job/"
EPOCH = 1_800_000_000.0


def execution_arn(pipeline: str, number: int) -> str:
    return f"arn:aws:sagemaker:us-east-1:000000000000:pipeline/{pipeline}/execution/{number:012}"


@dataclass(slots=True, kw_only=True)
class Simulated:
    """`plans` maps an execution to the seconds each of its steps takes, one after the other.

    `jobs` gives each step one. `failing(now)` is the code of the fault of calls at that moment,
    or None.
    """

    plans: dict[str, list[float]]
    ending: str = "Succeeded"
    jobs: bool = False
    failing: Callable[[float], str | None] = lambda _now: None
    now: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)
    renewals: int = 0

    def surroundings(self, *, wall_jump: float = 0.0) -> Surroundings:
        return Surroundings(
            clock=lambda: self.now,
            wall=lambda: EPOCH + self.now + wall_jump,
            sleep=self.sleep,
            chance=lambda: 0.5,
        )

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def renew(self) -> None:
        self.renewals += 1

    def poll_snapshot(self, arn: str) -> ExecutionSnapshot:
        self._arrive("snapshot")
        return self._snapshot(arn)

    def poll_execution(self, arn: str) -> ExecutionSnapshot:
        self._arrive("execution")
        return replace(self._snapshot(arn), steps=())

    def _snapshot(self, arn: str) -> ExecutionSnapshot:
        status = self._status(arn)
        return ExecutionSnapshot(
            arn=arn,
            pipeline_name=pipeline_of(arn),
            status=parse_status(status),
            raw_status=status,
            steps=self._steps(arn),
            started=_moment(0),
            modified=_moment(min(self.now, sum(self.plans[arn]))),
        )

    def poll_steps(self, arn: str) -> tuple[StepSnapshot, ...]:
        self._arrive("steps")
        return self._steps(arn)

    def poll_summaries(
        self, pipeline_name: str, *, after: datetime | None = None
    ) -> tuple[ExecutionSummary, ...]:
        self._arrive("summaries")
        assert after is not None
        return tuple(
            ExecutionSummary(
                arn=arn, status=parse_status(self._status(arn)), raw_status=self._status(arn)
            )
            for arn in self.plans
            if pipeline_of(arn) == pipeline_name
        )

    def _arrive(self, call: str) -> None:
        self.calls[call] += 1
        code = self.failing(self.now)
        if code is not None:
            raise AwsError(f"{call} failed: {code}", code=code, operation=call)

    def _status(self, arn: str) -> str:
        return self.ending if self.now >= sum(self.plans[arn]) else "Executing"

    def _steps(self, arn: str) -> tuple[StepSnapshot, ...]:
        found, begins = [], 0.0
        for number, seconds in enumerate(self.plans[arn]):
            if begins > self.now:
                break
            ended = begins + seconds <= self.now
            found.append(
                StepSnapshot(
                    name=f"step-{number}",
                    kind="Processing",
                    status="Succeeded" if ended else "Executing",
                    started=_moment(begins),
                    ended=_moment(begins + seconds) if ended else None,
                    attempts=1,
                    job=f"{_JOB}step-{number}" if self.jobs else None,
                )
            )
            begins += seconds
        return tuple(found)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(EPOCH + seconds, UTC)
