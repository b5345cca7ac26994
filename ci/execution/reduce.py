"""Decides what a new snapshot of an execution changes. Pure.

Rules: a terminal execution stays as it ended; within one attempt a step only moves forward
(Starting, Executing, Stopping, its end); each change is told once; a status this program does
not know is told once and counts as running. Steps may come twice, in any order, or be missing
from a snapshot (a page read while the service was writing): what was known stays known.
"""

from dataclasses import replace
from datetime import datetime

from ci.execution.model import Change, ChangeKind, FollowState
from ci.sagemaker.model import ExecutionSnapshot, ExecutionStatus, StepSnapshot

_RANK = {"": 0, "Starting": 1, "Executing": 2, "Stopping": 3}
_ENDED = 4
_ENDS = frozenset({"Stopped", "Failed", "Succeeded"})
_KNOWN = frozenset(_RANK) | _ENDS


def step_ended(status: str) -> bool:
    return status in _ENDS


def step_rank(status: str) -> int:
    """How far within one attempt; a status that is not known counts as running."""
    return _ENDED if step_ended(status) else _RANK.get(status, 2)


def reduce(
    state: FollowState, snapshot: ExecutionSnapshot
) -> tuple[FollowState, tuple[Change, ...]]:
    """The state after `snapshot`, and what it changed, steps before the execution's status."""
    if state.terminal:
        return state, ()
    changes: list[Change] = []
    steps = dict(state.steps)
    warned = set(state.warned)
    for step in snapshot.steps:
        before = steps.get(step.name)
        after = step if before is None else _newer(before, step)
        if after is before:
            continue
        changes += _step_changes(state.arn, before, after)
        if after.status not in _KNOWN and after.status not in warned:
            warned.add(after.status)
            changes.append(_unknown(state.arn, after.status, after.name))
        steps[step.name] = after
    status = _forward(state.status, snapshot.status)
    raw = snapshot.raw_status if status is snapshot.status else state.raw_status
    if status is ExecutionStatus.UNKNOWN and raw and raw not in warned:
        warned.add(raw)
        changes.append(_unknown(state.arn, raw, None))
    if raw != state.raw_status and status is not ExecutionStatus.UNKNOWN:
        changes.append(_status_change(state.arn, snapshot, status))
    after_all = replace(state, status=status, raw_status=raw, steps=steps, warned=frozenset(warned))
    return after_all, tuple(changes)


def _forward(before: ExecutionStatus | None, after: ExecutionStatus) -> ExecutionStatus:
    """A late answer may still say Executing after one said Stopping."""
    if before is ExecutionStatus.STOPPING and after is ExecutionStatus.EXECUTING:
        return before
    return after


def _position(step: StepSnapshot) -> tuple[int, int]:
    return step.attempts, step_rank(step.status)


def _newer(before: StepSnapshot, after: StepSnapshot) -> StepSnapshot:
    """`before` itself where `after` tells nothing new."""
    if after.attempts == 0:
        after = replace(after, attempts=before.attempts)
    if _position(after) < _position(before):
        return before
    if _position(after) == _position(before) and step_ended(before.status):
        # An end is final; what the service adds to it later (metadata, reason) is taken.
        after = replace(after, status=before.status, ended=before.ended or after.ended)
    merged = replace(
        after,
        kind=after.kind or before.kind,
        job=after.job or before.job,
        outcome=after.outcome or before.outcome,
        cache_hit=after.cache_hit or before.cache_hit,
        started=after.started or before.started,
        failure_reason=after.failure_reason or before.failure_reason,
        properties=after.properties or before.properties,
    )
    return before if merged == before else merged


def _step_changes(arn: str, before: StepSnapshot | None, after: StepSnapshot) -> list[Change]:
    changes = []
    told = Change(
        kind=ChangeKind.STEP,
        arn=arn,
        step=after.name,
        step_kind=after.kind,
        status=after.status,
        at=after.ended if step_ended(after.status) else after.started,
    )
    if after.cache_hit and (before is None or before.cache_hit is None):
        changes.append(replace(told, kind=ChangeKind.CACHE_HIT, detail=after.cache_hit))
    if after.attempts > max(1, before.attempts if before else 0):
        changes.append(replace(told, kind=ChangeKind.ATTEMPT, detail=str(after.attempts)))
    if after.outcome and (before is None or before.outcome is None):
        changes.append(replace(told, kind=ChangeKind.CONDITION, detail=after.outcome))
    queue = _waiting(after)
    if queue and (before is None or _waiting(before) is None):
        changes.append(replace(told, kind=ChangeKind.CALLBACK, detail=queue))
    if before is None or before.status != after.status:
        seconds = _seconds(after.started, after.ended) if step_ended(after.status) else None
        reason = after.failure_reason if after.status in {"Failed", "Stopped"} else None
        changes.append(replace(told, detail=reason, seconds=seconds))
    return changes


def _waiting(step: StepSnapshot) -> str | None:
    """The queue of a callback step that waits for its answer."""
    callback = step.properties.get("Callback")
    if step_ended(step.status) or not isinstance(callback, dict):
        return None
    return str(callback.get("SqsQueueUrl") or "") or None


def _status_change(arn: str, snapshot: ExecutionSnapshot, status: ExecutionStatus) -> Change:
    return Change(
        kind=ChangeKind.STATUS,
        arn=arn,
        status=snapshot.raw_status,
        detail=snapshot.failure_reason,
        seconds=_seconds(snapshot.started, snapshot.modified) if status.terminal else None,
        at=snapshot.modified,
    )


def _unknown(arn: str, status: str, step: str | None) -> Change:
    return Change(kind=ChangeKind.UNKNOWN, arn=arn, step=step, status=status)


def _seconds(started: datetime | None, ended: datetime | None) -> float | None:
    if started is None or ended is None:
        return None
    return max(0.0, (ended - started).total_seconds())
