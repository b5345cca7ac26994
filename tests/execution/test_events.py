"""Events by a queue: parsed, sorted, acted upon once, and never more calls than changes ask for."""

import json
import random
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.executing import adapter
from support.simulated import Simulated, execution_arn

from ci.errors import AwsError, UsageError
from ci.execution.events import EventStream, Notice, is_news, parse_notice
from ci.execution.follow import Means, follow
from ci.execution.model import Change, ChangeKind, FollowState
from ci.execution.reduce import reduce
from ci.sagemaker.model import Message
from ci.sagemaker.queue import Queue

ARN = execution_arn("demo", 1)
HOUR = 3600.0


def event(arn: str, status: str, step: str | None = None) -> str:
    """As EventBridge sends it to a queue."""
    pipeline = arn.rpartition("/execution/")[0]
    detail: dict[str, Any] = {"pipelineArn": pipeline, "pipelineExecutionArn": arn}
    if step is None:
        kind = "Execution Status Change"
        detail |= {"currentPipelineExecutionStatus": status}
    else:
        kind = "Execution Step Status Change"
        detail |= {"stepName": step, "currentStepStatus": status, "metadata": {}}
    return json.dumps(
        {
            "version": "0",
            "id": "ea37ccbb-5e2b-05e9-4073-1daazc940304",
            "detail-type": f"SageMaker Model Building Pipeline {kind}",
            "source": "aws.sagemaker",
            "account": "000000000000",
            "time": "2021-03-15T16:10:10Z",
            "region": "us-east-1",
            "resources": [pipeline, arn],
            "detail": detail,
        }
    )


def test_both_kinds_of_event_are_read() -> None:
    assert parse_notice(event(ARN, "Succeeded"), handle="h") == Notice(
        arn=ARN, status="Succeeded", handle="h"
    )
    found = parse_notice(event(ARN, "Failed", "train"))
    assert found == Notice(arn=ARN, status="Failed", step="train")
    assert found is not None
    assert not found.terminal


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "{}",
        "[" * 100_000,
        '{"source": "aws.sagemaker"}',
        event(ARN, "Succeeded").replace("aws.sagemaker", "aws.batch"),
        event(ARN, "Succeeded").replace("Execution Status", "Model Status"),
        event(ARN, "Succeeded").replace("pipelineExecutionArn", "pipelineExecutionId"),
        event(ARN, "Failed", "train").replace("stepName", "name"),
        event(ARN, "Failed", "train").replace('"train"', "7"),
    ],
)
def test_anything_else_is_no_notice(body: str) -> None:
    assert parse_notice(body) is None


@given(st.text() | st.dictionaries(st.text(), st.integers() | st.text()).map(json.dumps))
def test_no_body_makes_it_raise(body: str) -> None:
    assert parse_notice(body) is None


def test_what_is_known_is_no_news() -> None:
    service = Simulated(plans={ARN: [100, 100]})
    service.now = 150
    state, _ = reduce(FollowState(arn=ARN), service.poll_snapshot(ARN))
    assert not is_news(state, Notice(arn=ARN, status="Executing"))
    assert not is_news(state, Notice(arn=ARN, status="Starting", step="step-0"))
    assert not is_news(state, Notice(arn=ARN, status="Executing", step="step-1"))
    assert is_news(state, Notice(arn=ARN, status="Succeeded", step="step-1"))
    assert is_news(state, Notice(arn=ARN, status="Executing", step="step-2"))
    assert is_news(state, Notice(arn=ARN, status="Stopping"))
    service.now = 300
    state, _ = reduce(state, service.poll_snapshot(ARN))
    assert not is_news(state, Notice(arn=ARN, status="Failed"))


@dataclass(slots=True, kw_only=True)
class Announcer:
    """The events of a simulated service, each as late as `lag` seconds. Counts its calls as a
    queue would: one for 20 s without an event, one for each ten that come, one to delete."""

    service: Simulated
    lag: float = 2.0
    lost: frozenset[str] = frozenset()
    calls: float = 0.0
    sent: list[tuple[float, Notice]] = field(default_factory=list)
    idle_since: float = 0.0
    resting_until: float = 0.0
    breaks: float = 1e12
    heard: bool = False
    problem: AwsError | None = None

    def __post_init__(self) -> None:
        for arn, durations in self.service.plans.items():
            now = 0.0
            for number, seconds in enumerate(durations):
                for status, at in (("Executing", now), ("Succeeded", now + seconds)):
                    self.sent.append((at, Notice(arn=arn, status=status, step=f"step-{number}")))
                now += seconds
            if arn not in self.lost:
                self.sent.append((now, Notice(arn=arn, status="Succeeded")))
        self.sent.sort(key=lambda each: each[0], reverse=True)

    @property
    def trusted(self) -> bool:
        return self.heard and self.service.now < self.breaks

    def take(self) -> Sequence[Notice]:
        now = self.service.now
        if now >= self.breaks:
            self.problem = AwsError("no", code="AccessDenied", operation="ReceiveMessage")
            return ()
        if now < self.resting_until:
            return ()
        found = []
        while self.sent and self.sent[-1][0] + self.lag <= now and len(found) < 10:
            found.append(self.sent.pop()[1])
        if found or now - self.idle_since >= 20:
            self.calls += 1
            self.idle_since = now
        self.heard = self.heard or bool(found)
        return found

    def settle(self, notices: Sequence[Notice]) -> None:
        self.calls += bool(notices)

    def rest(self, seconds: float) -> None:
        self.resting_until = self.service.now + seconds
        self.idle_since = self.resting_until


def follow_by_events(service: Simulated, events: Announcer) -> list[tuple[float, Change]]:
    found: list[tuple[float, Change]] = []
    follow(
        service,
        list(service.plans),
        emit=lambda change: found.append((service.now, change)),
        surroundings=service.surroundings(),
        means=Means(events=events),
    )
    return found


def ends(found: list[tuple[float, Change]]) -> dict[str, float]:
    return {
        change.arn: at
        for at, change in found
        if change.step is None and change.status == "Succeeded"
    }


@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("pipelines", [1, 100])
def test_a_hundred_executions_by_queue(pipelines: int, heard: bool) -> None:
    plans = {
        execution_arn(f"p{number % pipelines}", number): [HOUR, 5 * HOUR + 30 * number]
        for number in range(100)
    }
    service = Simulated(plans=plans)
    events = Announcer(service=service, heard=heard)
    ended = ends(follow_by_events(service, events))
    lateness = [ended[arn] - sum(durations) for arn, durations in plans.items()]
    assert max(lateness) < 90
    assert sum(lateness) / 100 < 8
    changes = 100 * (2 * 2 + 1)
    reads = 2 * (100 * 4 + 10)
    # Nothing changes for hours, and then it is one call in 20 s and none beside.
    assert events.calls + service.calls.total() <= service.now / 20 + reads + changes * 0.5


def test_while_nothing_changes_one_call_in_twenty_seconds() -> None:
    plans = {execution_arn("demo", number): [0.0, 30 * HOUR] for number in range(100)}
    service = Simulated(plans=plans)
    events = Announcer(service=service)
    counted = []

    def watch() -> bool:
        counted.append((service.now, events.calls + service.calls.total()))
        return service.now > 29 * HOUR

    with pytest.raises(Exception, match="interrupted"):
        follow(
            service,
            list(plans),
            emit=lambda _change: None,
            cancelled=watch,
            surroundings=service.surroundings(),
            means=Means(events=events),
        )
    begin = next(pair for pair in counted if pair[0] > HOUR)
    end = counted[-1]
    assert end[1] - begin[1] <= (end[0] - begin[0]) / 20 + 1


def test_an_event_that_never_comes_is_made_up_for() -> None:
    service = Simulated(plans={ARN: [100, 200]})
    events = Announcer(service=service, lost=frozenset({ARN}))
    ended = ends(follow_by_events(service, events))
    assert ended[ARN] < 300 + 2 + 1200


def test_a_queue_that_breaks_off_is_told_and_made_up_for() -> None:
    service = Simulated(plans={ARN: [100, HOUR]})
    events = Announcer(service=service, breaks=300)
    found = follow_by_events(service, events)
    assert ends(found)[ARN] - HOUR - 100 <= 62
    assert [change.status for _, change in found if change.kind is ChangeKind.TROUBLE] == [
        "AccessDenied"
    ]


def test_a_queue_that_stays_silent_costs_a_look_a_minute() -> None:
    service = Simulated(plans={ARN: [HOUR]})
    events = Announcer(service=service, lag=1e9)
    ended = ends(follow_by_events(service, events))
    assert ended[ARN] - HOUR <= 62
    assert service.calls.total() <= 75


@dataclass(slots=True, kw_only=True)
class HeldQueue:
    """A queue in memory with SQS's rules: ten messages at once, any of them; what was received is
    hidden for a while, and gone when deleted. `pace` of its seconds go into a real one."""

    held: dict[str, Message] = field(default_factory=dict)
    hidden_until: dict[str, float] = field(default_factory=dict)
    faults: int = 0
    received: int = 0
    batches: int = 0
    pace: float = 1.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, handle: str, body: str, *, sent: float | None = None) -> None:
        with self.lock:
            self.held[handle] = Message(handle=handle, body=body, sent=sent)

    def receive(self, *, hidden: int) -> Sequence[Message]:
        now = time.monotonic()
        with self.lock:
            self.received += 1
            if self.faults:
                self.faults -= 1
                raise AwsError("no", code="AccessDenied", operation="ReceiveMessage")
            free = [each for each in self.held.values() if self.is_free(each, now)]
            found = random.sample(free, min(10, len(free)))
            self.hidden_until |= {each.handle: now + hidden / self.pace for each in found}
        self.batches += bool(found)
        if not found:
            time.sleep(0.02)
        return found

    def is_free(self, message: Message, now: float) -> bool:
        return self.hidden_until.get(message.handle, 0.0) <= now

    def delete(self, handles: Sequence[str]) -> None:
        with self.lock:
            for handle in handles:
                self.held.pop(handle, None)


def wait_for(condition: Any) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_only_what_is_ours_or_forgotten_is_deleted() -> None:
    other = execution_arn("demo", 2)
    queue = HeldQueue()
    queue.put("ours", event(ARN, "Succeeded"), sent=1000)
    queue.put("fresh", event(other, "Succeeded"), sent=9000)
    queue.put("forgotten", event(other, "Succeeded"), sent=1000)
    queue.put("order", '{"order": 7}', sent=1)
    with EventStream(queue, [ARN], wall=lambda: 10_000.0) as stream:
        wait_for(lambda: stream.trusted)
        found = list(stream.take())
        assert [notice.arn for notice in found] == [ARN]
        assert "ours" in queue.held  # until it was acted upon
        stream.settle(found)
    assert set(queue.held) == {"fresh", "order"}


def other_runs(count: int) -> list[str]:
    return [event(execution_arn("other", 10 + number), "Succeeded") for number in range(count)]


@pytest.mark.parametrize("age", [1.0, 300.0])
def test_a_backlog_of_other_runs_delays_nothing(age: float) -> None:
    queue = HeldQueue()
    for number, body in enumerate(other_runs(300)):
        queue.put(f"other-{number}", body, sent=10_000 - age)
    queue.put("ours", event(ARN, "Succeeded"), sent=10_000)
    began = time.monotonic()
    with EventStream(queue, [ARN], wall=lambda: 10_000.0) as stream:
        wait_for(lambda: stream.trusted)
        assert time.monotonic() - began < 2
        time.sleep(0.5)
        queue.put("later", event(ARN, "Executing", "train"), sent=10_000)
        wait_for(lambda: any(notice.step for notice in stream.take()))
    # Read through once, and not again while it is hidden.
    assert queue.batches <= 31 + 1
    assert len(queue.held) == 302


def test_what_nobody_waits_for_is_received_seldom() -> None:
    queue = HeldQueue(pace=30)
    for number, body in enumerate(other_runs(50)):
        queue.put(f"other-{number}", body, sent=10_000 - 300)
    with EventStream(queue, [ARN], wall=lambda: 10_000.0):
        wait_for(lambda: len(queue.hidden_until) == 50)
        later = min(queue.hidden_until.values())
        wait_for(lambda: sum(until > later for until in queue.hidden_until.values()) >= 40)
        left = [until - time.monotonic() for until in queue.hidden_until.values()]
        assert sorted(left)[10] > 0.5  # of a second, which stand for 30


def test_followers_of_one_queue_all_get_theirs() -> None:
    queue = HeldQueue(pace=20)
    arns = [execution_arn("demo", number) for number in range(4)]
    took: dict[str, set[str | None]] = {arn: set() for arn in arns}
    with ExitStack() as stack:
        streams = {
            arn: stack.enter_context(EventStream(queue, [arn], wall=lambda: 10_000.0))
            for arn in arns
        }
        for number in range(25):
            for arn in arns:
                body = event(arn, "Succeeded", f"step-{number}")
                queue.put(f"{arn} {number}", body, sent=9_999)

        def all_taken() -> bool:
            for arn, stream in streams.items():
                found = stream.take()
                took[arn] |= {notice.step for notice in found}
                assert {notice.arn for notice in found} <= {arn}
                stream.settle(found)
            return all(len(steps) == 25 for steps in took.values())

        wait_for(all_taken)
    assert queue.held == {}


def test_a_queue_that_refuses_is_not_relied_upon() -> None:
    queue = HeldQueue(faults=10**6)
    with EventStream(queue, [ARN]) as stream:
        wait_for(lambda: stream.problem is not None)
        assert not stream.trusted
        assert stream.take() == []


def test_it_ends_with_its_block() -> None:
    queue = HeldQueue()
    with EventStream(queue, [ARN]):
        wait_for(lambda: queue.received)
    wait_for(lambda: all(thread.name != "events" for thread in threading.enumerate()))


@pytest.mark.parametrize(
    "url", ["", "orders", "arn:aws:sqs:us-east-1:0:q", "https://x", "file:///a/b"]
)
def test_what_is_no_url_of_a_queue(url: str) -> None:
    with pytest.raises(UsageError, match="no URL of a queue"):
        Queue(adapter("http://127.0.0.1:9").clients, url)


@pytest.mark.endpoint
def test_a_real_queue_gives_back_what_was_not_deleted(address: str) -> None:
    aws = adapter(address)
    url = aws.clients.client("sqs").create_queue(QueueName="kept")["QueueUrl"]
    for number in range(25):
        aws.clients.client("sqs").send_message(QueueUrl=url, MessageBody=str(number))
    queue = Queue(aws.clients, url, long_poll=0)
    found: list[Message] = []
    while batch := queue.receive():
        found += batch
    assert sorted(int(each.body) for each in found) == list(range(25))
    assert all(each.sent is not None and abs(each.sent - time.time()) < 60 for each in found)
    queue.delete([each.handle for each in found])
    counted = aws.clients.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
        "Attributes"
    ]
    assert counted["ApproximateNumberOfMessagesNotVisible"] == "0"
    assert counted["ApproximateNumberOfMessages"] == "0"


@pytest.mark.endpoint
def test_a_queue_that_is_not_there(address: str) -> None:
    with pytest.raises(AwsError) as caught:
        Queue(adapter(address).clients, f"{address}/000000000000/nowhere").receive()
    assert "NonExistentQueue" in caught.value.code
