"""Follows executions to their real end: when to look, at what, and what to do when AWS is away.

One loop for any number of executions. A few are looked at one by one: their steps, and the
execution itself when a step changed. Many of one pipeline are looked at through one listing, and
only those whose status changed (and one more each round, for its steps) in full, so that calls
grow with changes. A poll that fails is made up for by the next one.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from ci.errors import AwsError, DeadlineReached, Interrupted
from ci.execution.model import Change, ChangeKind, FollowState
from ci.execution.pace import Expectation, next_interval
from ci.execution.reduce import reduce, step_ended
from ci.sagemaker.arn import pipeline_of
from ci.sagemaker.model import ExecutionSnapshot, ExecutionStatus, ExecutionSummary, StepSnapshot
from ci.sagemaker.retry import is_expired, is_transient

PATIENCE = 1800.0  # seconds without a single good answer before following is given up
CREDENTIAL_PATIENCE = 300.0  # the same when it is the credentials that are refused
_FEW = 4
_FULL_LOOK = 10  # every so many polls the execution is read even though no step changed
_APPEARS_WITHIN = 60.0  # a new execution may not be readable at once
_NOT_YET = frozenset({"ResourceNotFound", "ResourceNotFoundException"})
_NO_CREDENTIALS = frozenset({"NoCredentialsError", "MetadataRetrievalError"})


class Watch(Protocol):
    """What following needs of the adapter: one attempt for each call."""

    def poll_snapshot(self, arn: str) -> ExecutionSnapshot: ...

    def poll_steps(self, arn: str) -> tuple[StepSnapshot, ...]: ...

    def poll_summaries(
        self, pipeline_name: str, *, after: datetime | None = None
    ) -> tuple[ExecutionSummary, ...]: ...

    def renew(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class _Followed:
    """One execution. `born` is the clock's reading when it started."""

    state: FollowState
    snapshot: ExecutionSnapshot | None = None
    born: float = 0.0
    polls: int = 0


@dataclass(slots=True, kw_only=True)
class _Group:
    """The executions of one pipeline, and when to look at them next."""

    pipeline: str
    members: dict[str, _Followed]
    due: float
    rota: int = 0
    answers: int = 0
    failures: int = 0
    trouble_since: float | None = None

    def pending(self) -> list[_Followed]:
        return [item for item in self.members.values() if not item.state.terminal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Time and chance. `clock` is monotonic, so that a corrected wall clock moves no deadline;
    `wall` only serves to tell how long an execution has run when it is first seen. `interval`
    is a fixed number of seconds between two looks, in place of the paced one."""

    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = field(default=random.random)
    interval: float | None = None


def attach_command(arn: str) -> str:
    return f"sagemaker-gitops attach {arn}"


def follow(
    watch: Watch,
    arns: Sequence[str],
    *,
    emit: Callable[[Change], None],
    deadline: float | None = None,
    expectations: Mapping[str, Expectation] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    surroundings: Surroundings | None = None,
) -> dict[str, ExecutionSnapshot]:
    """The last snapshot of each execution, once all have ended.

    `deadline` is in seconds from now. `expectations` are by pipeline name (`ci.execution.pace`).
    Raises DeadlineReached (also when AWS stayed away longer than patience), Interrupted once
    `cancelled()`, AwsError for a refusal that waiting does not cure.
    """
    around = surroundings or Surroundings()
    follower = _Follower(watch, arns, emit, expectations or {}, around)
    return follower.run(None if deadline is None else around.clock() + deadline, cancelled)


class _Follower:
    def __init__(
        self,
        watch: Watch,
        arns: Iterable[str],
        emit: Callable[[Change], None],
        expectations: Mapping[str, Expectation],
        around: Surroundings,
    ) -> None:
        self._watch = watch
        self._emit = emit
        self._expectations = expectations
        self._around = around
        self._begun = around.clock()
        self._groups: dict[str, _Group] = {}
        for arn in arns:
            name = pipeline_of(arn)
            group = self._groups.setdefault(
                name, _Group(pipeline=name, members={}, due=self._begun)
            )
            group.members[arn] = _Followed(state=FollowState(arn=arn), born=self._begun)

    def run(
        self, deadline: float | None, cancelled: Callable[[], bool]
    ) -> dict[str, ExecutionSnapshot]:
        while groups := [group for group in self._groups.values() if group.pending()]:
            group = min(groups, key=lambda item: item.due)
            self._wait(group.due if deadline is None else min(group.due, deadline))
            if cancelled():
                raise Interrupted("Following was interrupted", fix=self._attach())
            late = deadline is not None and self._around.clock() >= deadline
            self._look(group)
            if late and any(item.pending() for item in self._groups.values()):
                raise self._still_running("The deadline came while it was still running")
        return {
            arn: item.snapshot
            for group in self._groups.values()
            for arn, item in group.members.items()
            if item.snapshot is not None
        }

    def _wait(self, until: float) -> None:
        seconds = until - self._around.clock()
        if seconds > 0:
            self._around.sleep(seconds)

    def _look(self, group: _Group) -> None:
        answers = group.answers
        try:
            if len(group.members) <= _FEW:
                for item in group.pending():
                    self._look_closely(group, item)
            else:
                self._look_over(group)
        except AwsError as error:
            self._bear(group, error, progressed=group.answers > answers)
            return
        if group.trouble_since is not None:
            self._tell_group(group, ChangeKind.RECOVERED, None)
        group.trouble_since, group.failures = None, 0
        group.due = self._around.clock() + self._interval(group)

    def _look_closely(self, group: _Group, item: _Followed) -> None:
        item.polls += 1
        running = any(not step_ended(step.status) for step in item.state.steps.values())
        if running and item.snapshot is not None and item.polls % _FULL_LOOK:
            steps = self._watch.poll_steps(item.state.arn)
            group.answers += 1
            seen = replace(item.snapshot, steps=steps)
            after, _ = reduce(item.state, seen)
            if after == item.state:
                return
        self._read(group, item)

    def _look_over(self, group: _Group) -> None:
        """Every pending execution that was not seen yet in full, then by the listing."""
        for item in group.pending():
            if item.snapshot is None:
                self._read(group, item)
        pending = group.pending()
        if not pending:
            return
        listed = self._watch.poll_summaries(group.pipeline, after=_oldest(pending))
        group.answers += 1
        status = {summary.arn: summary.raw_status for summary in listed}
        group.rota += 1
        for number, item in enumerate(pending):
            now = status.get(item.state.arn, item.state.raw_status)
            if now != item.state.raw_status or number == group.rota % len(pending):
                self._read(group, item)

    def _read(self, group: _Group, item: _Followed) -> None:
        snapshot = self._watch.poll_snapshot(item.state.arn)
        group.answers += 1
        if item.snapshot is None and snapshot.started is not None:
            age = max(0.0, self._around.wall() - snapshot.started.timestamp())
            item.born = self._around.clock() - age
        item.state, changes = reduce(item.state, snapshot)
        item.snapshot = replace(snapshot, steps=tuple(item.state.steps.values()))
        for change in changes:
            self._emit(change)

    def _interval(self, group: _Group) -> float:
        """The shortest of what its running executions ask for; a step that has just begun or
        ended says nothing of when the next one will."""
        pending = group.pending()
        if self._around.interval is not None:
            return self._around.interval
        if any(item.state.status is ExecutionStatus.STOPPING for item in pending):
            return 2.0
        now, expected = self._around.clock(), self._expectations.get(group.pipeline)
        chance = self._around.chance()
        return min(
            (next_interval(now - item.born, expected, chance=chance) for item in pending),
            default=0.0,
        )

    def _bear(self, group: _Group, error: AwsError, *, progressed: bool) -> None:
        """Go on after a fault that passes, raise what does not."""
        now = self._around.clock()
        expired = is_expired(error) or error.code in _NO_CREDENTIALS
        early = error.code in _NOT_YET and now - self._begun < _APPEARS_WITHIN
        if not (expired or early or is_transient(error)):
            raise error
        if group.trouble_since is None:
            group.trouble_since = now
            if not early:
                self._tell_group(group, ChangeKind.TROUBLE, error)
        elif progressed:
            group.trouble_since, group.failures = now, 0
        patience = CREDENTIAL_PATIENCE if expired else PATIENCE
        if now - group.trouble_since >= patience:
            minutes = round((now - group.trouble_since) / 60)
            raise self._still_running(
                f"AWS gave no usable answer for {minutes} minutes ({error.code})", error
            )
        if expired:
            self._watch.renew()
        group.failures += 1
        pause = min(30.0, 2.0 * 1.6 ** (group.failures - 1))
        group.due = now + pause * (0.8 + 0.4 * self._around.chance())

    def _tell_group(self, group: _Group, kind: ChangeKind, error: AwsError | None) -> None:
        detail = None if error is None else error.what.splitlines()[0]
        status = None if error is None else error.code
        arn = next(iter(item.state.arn for item in group.pending()), group.pipeline)
        self._emit(Change(kind=kind, arn=arn, status=status, detail=detail))

    def _still_running(self, what: str, error: AwsError | None = None) -> DeadlineReached:
        return DeadlineReached(
            what,
            where=", ".join(self._running()[:5]),
            why=None if error is None else str(error),
            fix=self._attach(),
        )

    def _running(self) -> list[str]:
        groups = self._groups.values()
        return [item.state.arn for group in groups for item in group.pending()]

    def _attach(self) -> str:
        return "\n".join(attach_command(arn) for arn in self._running()[:5])


def _oldest(items: Iterable[_Followed]) -> datetime | None:
    """A minute before the oldest start: the listing's bound need not include it."""
    known = [item.snapshot.started for item in items if item.snapshot and item.snapshot.started]
    return min(known) - timedelta(minutes=1) if known else None
