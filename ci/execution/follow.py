"""Follows executions to their real end: when to look, at what, and what to do when AWS is away.

One loop for any number of executions. A few are looked at one by one: their steps, and the
execution itself when none runs. Many of one pipeline are looked at through one listing, and
only those whose status changed (and one more each round, for its steps) in full, so that calls
grow with changes; and however many pipelines there are, looks keep `SPACING` between them. A
poll that fails is made up for by the next one. Where events come from a queue, they say whom to
look at, and looking without one only makes sure.
"""

import math
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ci.errors import AwsError, DeadlineReached, Interrupted
from ci.execution.events import Notice, is_news
from ci.execution.model import Change, ChangeKind, FollowState
from ci.execution.pace import LONGEST, History, milestones, next_interval
from ci.execution.reduce import reduce, step_ended
from ci.execution.watched import Events, Followed, Group, Tails, Watch
from ci.sagemaker.arn import pipeline_of
from ci.sagemaker.model import ExecutionSnapshot, ExecutionStatus
from ci.sagemaker.retry import is_gone, is_transient, lacks_credentials

PATIENCE = 1800.0  # seconds without a single good answer before following is given up
CREDENTIAL_PATIENCE = 300.0  # the same when it is the credentials that are refused
SPACING = 0.5  # seconds between two looks on average, whatever the number of executions
QUIET = 600.0  # seconds between two looks that only make sure, while a queue brings the events
_SLOT = 20.0  # seconds that one call has to itself while nothing changes
_ANNOUNCED = 5.0  # seconds between looks once an end was announced that cannot be read yet
_FEW = 4
_FULL_LOOK = 10  # every so many polls the execution is read even though no step changed
_APPEARS_WITHIN = 60.0  # a new execution may not be readable at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Time and chance. `clock` is monotonic, so that a corrected wall clock moves no deadline;
    `wall` only serves to tell how long an execution has run when it is first seen. `interval`
    is a fixed number of seconds between two looks, in place of the paced one. `reach` are the
    options of the command that goes on from here."""

    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = field(default=random.random)
    interval: float | None = None
    reach: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What following can do with beside looking: `histories` are by pipeline name
    (`ci.execution.pace`), `events` say whom to look at, `tails` shows logs, `seen` is handed what
    each look at one of them gave."""

    histories: Mapping[str, History] = field(default_factory=dict)
    events: Events | None = None
    tails: Tails | None = None
    seen: Callable[[ExecutionSnapshot], None] = lambda _: None


def attach_command(arn: str, reach: Sequence[str] = ()) -> str:
    return " ".join(["sagemaker-gitops attach", arn, *reach])


def follow(
    watch: Watch,
    arns: Sequence[str],
    *,
    emit: Callable[[Change], None],
    deadline: float | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    surroundings: Surroundings | None = None,
    means: Means | None = None,
) -> dict[str, ExecutionSnapshot]:
    """The last snapshot of each execution, once all have ended.

    `deadline` is in seconds from now.
    Raises DeadlineReached (also when AWS stayed away longer than patience), Interrupted once
    `cancelled()`, AwsError for a refusal that waiting does not cure.
    """
    around = surroundings or Surroundings()
    follower = _Follower(watch, arns, emit, around, means or Means())
    return follower.run(None if deadline is None else around.clock() + deadline, cancelled)


class _Follower:
    def __init__(
        self,
        watch: Watch,
        arns: Iterable[str],
        emit: Callable[[Change], None],
        around: Surroundings,
        means: Means,
    ) -> None:
        self._watch = watch
        self._emit = emit
        self._around = around
        self._histories = means.histories
        self._events = means.events
        self._tails = means.tails
        self._seen = means.seen
        self._problem_told = False
        self._told = 0
        self._begun = around.clock()
        self._groups: dict[str, Group] = {}
        for arn in arns:
            name = pipeline_of(arn)
            group = self._groups.setdefault(name, Group(pipeline=name, members={}, due=self._begun))
            group.members[arn] = Followed(state=FollowState(arn=arn), born=self._begun)

    def run(
        self, deadline: float | None, cancelled: Callable[[], bool]
    ) -> dict[str, ExecutionSnapshot]:
        while groups := [group for group in self._groups.values() if group.pending()]:
            group = min(groups, key=lambda item: item.due)
            until = group.due if deadline is None else min(group.due, deadline)
            due = self._wait(until, cancelled)
            if cancelled():
                raise Interrupted("Following was interrupted", fix=self._attach())
            if not due:
                continue
            late = deadline is not None and self._around.clock() >= deadline
            self._look(group)
            if late and any(item.pending() for item in self._groups.values()):
                raise self._still_running("The deadline came while it was still running")
        self._show_logs()
        return {
            arn: item.snapshot
            for group in self._groups.values()
            for arn, item in group.members.items()
            if item.snapshot is not None
        }

    def _wait(self, until: float, cancelled: Callable[[], bool]) -> bool:
        """Whether the time has come; False after events that came first."""
        slice_ = 1.0 if self._events else 5.0 if self._tails else math.inf
        begun = self._around.clock()
        while not cancelled():
            self._show_logs()
            if self._events is not None and not self._events.trusted:
                self._tell_problem(self._events.problem)
                until = min(until, begun + LONGEST)
            notices = self._events.take() if self._events else ()
            if notices:
                self._heed(notices)
                return False
            left = until - self._around.clock()
            if left <= 0:
                return True
            self._around.sleep(min(left, slice_))
        return False

    def _show_logs(self) -> None:
        if self._tails is not None:
            groups = self._groups.values()
            items = [item for group in groups for item in group.members.values()]
            self._tails.look(step for item in items for step in item.state.steps.values())

    def _heed(self, notices: Sequence[Notice]) -> None:
        """Read what the notices are about, as far as they tell something new."""
        for notice in notices:
            group = self._groups.get(pipeline_of(notice.arn))
            item = None if group is None else group.members.get(notice.arn)
            if group is None or item is None or not is_news(item.state, notice):
                continue
            try:
                self._read(group, item)
            except AwsError as error:
                self._bear(group, error, progressed=False)
                continue
            if notice.terminal and not item.state.terminal:
                item.announced = True
                group.due = min(group.due, self._around.clock() + _ANNOUNCED)
        if self._events is not None:
            self._events.settle(notices)

    def _look(self, group: Group) -> None:
        answers, told = group.answers, self._told
        try:
            if len(group.members) <= _FEW and not self._by_events:
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
        if self._events is not None and self._by_events and self._told == told:
            self._events.rest(_SLOT * (group.answers - answers))

    def _look_closely(self, group: Group, item: Followed) -> None:
        """The steps; the execution too when none of them runs, and every so often. Its status is
        read before the steps, so that those of an ended one are never older than its end."""
        item.polls += 1
        if item.snapshot is None:
            return self._read(group, item)
        if _running(item.state):
            steps = self._watch.poll_steps(item.state.arn)
            group.answers += 1
            self._take(item, replace(item.snapshot, steps=steps))
            if _running(item.state) and item.polls % _FULL_LOOK:
                return None
        snapshot = self._watch.poll_execution(item.state.arn)
        group.answers += 1
        if snapshot.status.terminal or not _running(item.state):
            steps = self._watch.poll_steps(item.state.arn)
            group.answers += 1
            snapshot = replace(snapshot, steps=steps)
        self._take(item, snapshot)
        return None

    @property
    def _by_events(self) -> bool:
        """Whether looks only make sure."""
        return self._events is not None and self._events.trusted

    def _look_over(self, group: Group) -> None:
        """Every pending execution that was not seen yet in full, then by the listing. Where
        events tell of the steps, one call is all while nothing changes."""
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
            turn = number == group.rota % len(pending) and not self._by_events
            if turn or now != item.state.raw_status:
                self._read(group, item)

    def _read(self, group: Group, item: Followed) -> None:
        snapshot = self._watch.poll_snapshot(item.state.arn)
        group.answers += 2
        if item.snapshot is None and snapshot.started is not None:
            age = max(0.0, self._around.wall() - snapshot.started.timestamp())
            item.born = self._around.clock() - age
        self._take(item, snapshot)

    def _take(self, item: Followed, snapshot: ExecutionSnapshot) -> None:
        item.state, changes = reduce(item.state, snapshot)
        item.snapshot = replace(snapshot, steps=tuple(item.state.steps.values()))
        item.seen = self._around.clock()
        self._told += len(changes)
        for change in changes:
            self._emit(change)
        self._seen(item.snapshot)

    def _interval(self, group: Group) -> float:
        """The shortest of what its running executions ask for, but for the room that all of
        them together leave it."""
        pending = group.pending()
        if self._around.interval is not None:
            return self._around.interval
        if any(item.announced for item in pending):
            return _ANNOUNCED
        others = [other for other in self._groups.values() if other.pending()]
        if self._by_events:
            return QUIET * max(1, len(others))
        looks = sum(len(each) if len(each := other.pending()) <= _FEW else 3 for other in others)
        if any(item.state.status is ExecutionStatus.STOPPING for item in pending):
            wanted = 2.0
        else:
            chance = self._around.chance()
            wanted = min((self._paced(group, item, chance) for item in pending), default=0.0)
        return max(wanted, LONGEST if self._events else 0.0, looks * SPACING)

    def _paced(self, group: Group, item: Followed, chance: float) -> float:
        started = None if item.snapshot is None else item.snapshot.started
        return next_interval(
            self._around.clock() - item.born,
            self._histories.get(group.pipeline),
            milestones(started, tuple(item.state.steps.values())),
            seen=item.seen - item.born,
            chance=chance,
        )

    def _bear(self, group: Group, error: AwsError, *, progressed: bool) -> None:
        """Go on after a fault that passes, raise what does not."""
        now = self._around.clock()
        expired = lacks_credentials(error)
        early = is_gone(error) and now - self._begun < _APPEARS_WITHIN
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

    def _tell_group(self, group: Group, kind: ChangeKind, error: AwsError | None) -> None:
        detail = None if error is None else error.what.splitlines()[0]
        status = None if error is None else error.code
        arn = next(iter(item.state.arn for item in group.pending()), group.pipeline)
        self._emit(Change(kind=kind, arn=arn, status=status, detail=detail))

    def _tell_problem(self, error: AwsError | None) -> None:
        if error is not None and not self._problem_told:
            self._problem_told = True
            group = next(group for group in self._groups.values() if group.pending())
            self._tell_group(group, ChangeKind.TROUBLE, error)

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
        reach = self._around.reach
        return "\n".join(attach_command(arn, reach) for arn in self._running()[:5])


def _running(state: FollowState) -> bool:
    return any(not step_ended(step.status) for step in state.steps.values())


def _oldest(items: Iterable[Followed]) -> datetime | None:
    """A minute before the oldest start: the listing's bound need not include it."""
    known = [item.snapshot.started for item in items if item.snapshot and item.snapshot.started]
    return min(known) - timedelta(minutes=1) if known else None
