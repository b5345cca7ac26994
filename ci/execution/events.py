"""Decides what an event from SageMaker tells whoever follows executions.

EventBridge delivers `SageMaker Model Building Pipeline Execution Status Change` and `… Execution
Step Status Change` (Amazon SageMaker AI Developer Guide, "Events that SageMaker AI sends to
EventBridge"): once or more, in any order. So an event is never taken for the truth: it says
which execution to look at. One queue may serve many followers, each for its own executions: what
is another's comes back to the queue within seconds while somebody is likely to wait for it, seldom
after that, and is deleted once whoever follows has looked without it. What is no such event is
never deleted: the queue may be meant for something else.
"""

import json
import queue
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from ci.errors import AwsError
from ci.execution.model import FollowState
from ci.execution.reduce import step_ended, step_rank
from ci.sagemaker.model import Message
from ci.sagemaker.read import parse_status

_SOURCE = "aws.sagemaker"
_EXECUTION = "SageMaker Model Building Pipeline Execution Status Change"
_STEP = "SageMaker Model Building Pipeline Execution Step Status Change"
_FORGOTTEN = 1200.0  # seconds after which an event that nobody took is deleted
_FRESH = 60.0  # seconds for which somebody is likely to wait for an event
_LENT = 3  # seconds that what was received stays hidden from other followers
_LAID_BY = 30  # the same, as long as nothing but events come that nobody waits for
_LONGEST_PAUSE = 60.0
_FAULTS = 3  # in a row, after which the queue is not relied upon


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One event. `status` is the service's word for the execution, or for `step`. `handle`
    deletes its message."""

    arn: str
    status: str
    step: str | None = None
    handle: str = ""

    @property
    def terminal(self) -> bool:
        """Whether it tells the end of the execution."""
        return self.step is None and parse_status(self.status).terminal


def parse_notice(body: str, *, handle: str = "") -> Notice | None:
    """The notice in a message's body, None for anything else."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or event.get("source") != _SOURCE:
        return None
    detail, kind = event.get("detail"), event.get("detail-type")
    if not isinstance(detail, dict) or kind not in {_EXECUTION, _STEP}:
        return None
    of_step = kind == _STEP
    arn = detail.get("pipelineExecutionArn")
    status = detail.get("currentStepStatus" if of_step else "currentPipelineExecutionStatus")
    step = detail.get("stepName") if of_step else None
    if not isinstance(arn, str) or not isinstance(status, str):
        return None
    if of_step and not isinstance(step, str):
        return None
    return Notice(arn=arn, status=status, step=step, handle=handle)


def is_news(state: FollowState, notice: Notice) -> bool:
    """Whether an execution in this state is worth a look because of the notice."""
    if state.terminal:
        return False
    if notice.step is None:
        return notice.status != state.raw_status
    known = state.steps.get(notice.step)
    if known is None:
        return True
    return not step_ended(known.status) and step_rank(notice.status) > step_rank(known.status)


class Queue(Protocol):
    def receive(self, *, hidden: int) -> Sequence[Message]: ...

    def delete(self, handles: Sequence[str]) -> None: ...


class EventStream:
    """A context that reads the queue on a thread of its own: a long poll outlasts a signal.

    Messages are deleted once they were acted upon; a process that is killed before leaves them
    to the next one.
    """

    def __init__(
        self,
        source: Queue,
        arns: Collection[str],
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._arns = frozenset(arns)
        self._wall = wall
        self._came: queue.SimpleQueue[tuple[Notice, ...]] = queue.SimpleQueue()
        self._over = threading.Event()
        self._resting_until = 0.0
        self._hidden = _LENT
        self._faults = 0
        self._heard = False
        self._problem: AwsError | None = None

    def __enter__(self) -> "EventStream":
        threading.Thread(target=self._serve, name="events", daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()

    @property
    def trusted(self) -> bool:
        return self._heard and self._faults < _FAULTS

    @property
    def problem(self) -> AwsError | None:
        return self._problem

    def take(self) -> Sequence[Notice]:
        found: list[Notice] = []
        while not self._came.empty():
            found += self._came.get()
        return found

    def settle(self, notices: Sequence[Notice]) -> None:
        self._delete([notice.handle for notice in notices])

    def rest(self, seconds: float) -> None:
        self._resting_until = time.monotonic() + seconds

    def _serve(self) -> None:
        while not self._over.is_set():
            left = self._resting_until - time.monotonic()
            if left > 0:
                self._over.wait(left)
                continue
            try:
                messages = self._source.receive(hidden=self._hidden)
            except AwsError as error:
                self._problem = error
                self._faults += 1
                self._over.wait(min(_LONGEST_PAUSE, 2.0**self._faults))
                continue
            self._faults = 0
            self._sort(messages)

    def _sort(self, messages: Sequence[Message]) -> None:
        """Take ours, and delete what nobody waits for."""
        parsed = [(each, parse_notice(each.body, handle=each.handle)) for each in messages]
        ours = tuple(found for _, found in parsed if found and found.arn in self._arns)
        if ours:
            self._heard = True
            self._came.put(ours)
        now = self._wall()
        ages = {
            each.handle: now - each.sent
            for each, found in parsed
            if found is not None and found.arn not in self._arns and each.sent is not None
        }
        stale = bool(messages) and not ours and all(age > _FRESH for age in ages.values())
        self._hidden = _LAID_BY if stale else _LENT
        self._delete([handle for handle, age in ages.items() if age > _FORGOTTEN])

    def _delete(self, handles: Sequence[str]) -> None:
        """One that stays comes again, and tells nothing new then."""
        if not handles:
            return
        try:
            self._source.delete(handles)
        except AwsError as error:
            self._problem = error
