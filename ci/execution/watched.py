"""What following asks of the world, and what it keeps of each execution meanwhile."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ci.errors import AwsError
from ci.execution.events import Notice
from ci.execution.model import FollowState
from ci.sagemaker.model import ExecutionSnapshot, ExecutionSummary, StepSnapshot


class Watch(Protocol):
    """What following needs of the adapter: one attempt for each call."""

    def poll_snapshot(self, arn: str) -> ExecutionSnapshot: ...

    def poll_execution(self, arn: str) -> ExecutionSnapshot: ...

    def poll_steps(self, arn: str) -> tuple[StepSnapshot, ...]: ...

    def poll_summaries(
        self, pipeline_name: str, *, after: datetime | None = None
    ) -> tuple[ExecutionSummary, ...]: ...

    def renew(self) -> None: ...


class Events(Protocol):
    """Notices of changes that come by themselves (`ci.execution.events`)."""

    @property
    def trusted(self) -> bool:
        """Whether they are known to arrive; until then, looks make sure often."""

    @property
    def problem(self) -> AwsError | None:
        """What kept them from coming last."""

    def take(self) -> Sequence[Notice]:
        """Those that have come since. Does not wait, and never raises."""

    def settle(self, notices: Sequence[Notice]) -> None:
        """They were acted upon."""

    def rest(self, seconds: float) -> None:
        """Make no call for so long."""


class Tails(Protocol):
    """What shows the logs of running steps; decides itself how often. Never raises."""

    def look(self, steps: Iterable[StepSnapshot]) -> None: ...


@dataclass(slots=True, kw_only=True)
class Followed:
    """One execution. `born` and `seen` are the clock's readings when it started, and when its
    steps were read last. `announced`: an event told its end."""

    state: FollowState
    snapshot: ExecutionSnapshot | None = None
    born: float = 0.0
    seen: float = 0.0
    polls: int = 0
    announced: bool = False


@dataclass(slots=True, kw_only=True)
class Group:
    """The executions of one pipeline, and when to look at them next."""

    pipeline: str
    members: dict[str, Followed]
    due: float
    rota: int = 0
    answers: int = 0
    failures: int = 0
    trouble_since: float | None = None

    def pending(self) -> list[Followed]:
        return [item for item in self.members.values() if not item.state.terminal]
