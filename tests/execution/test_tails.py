"""Whose log is shown while it runs: a few at a time, each line once, the end never missed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from support.simulated import Simulated, execution_arn

from ci.errors import AwsError
from ci.execution.follow import Means, follow
from ci.execution.tails import AT_ONCE, EVERY, LogTails
from ci.sagemaker.logs import LogCursor
from ci.sagemaker.model import StepSnapshot

ARN = execution_arn("demo", 1)


def step(name: str, status: str = "Executing") -> StepSnapshot:
    job = f"arn:aws:sagemaker:us-east-1:000000000000:processing-job/{name}"
    return StepSnapshot(name=name, status=status, job=job)


@dataclass(slots=True, kw_only=True)
class Logs:
    """What each step has written so far. Reads are counted."""

    written: dict[str, list[str]] = field(default_factory=dict)
    reads: Counter[str] = field(default_factory=Counter)
    failing: bool = False
    now: float = 0.0
    shown: list[tuple[str, str]] = field(default_factory=list)

    def advance(self, of: StepSnapshot, cursor: LogCursor) -> tuple[LogCursor, tuple[str, ...]]:
        self.reads[of.name] += 1
        if self.failing:
            raise AwsError("no access", code="AccessDenied", operation="GetLogEvents")
        at = int(cursor.tokens.get("only") or 0)
        lines = self.written.get(of.name, [])
        after = LogCursor(tokens={"only": str(len(lines))}, asked=cursor.asked + 1)
        return after, tuple(lines[at:])

    def show(self, name: str, lines: Sequence[str]) -> None:
        self.shown += [(name, line) for line in lines]

    def tails(self) -> LogTails:
        return LogTails(self.advance, self.show, clock=lambda: self.now)


def test_each_line_once_and_the_last_ones_after_the_end() -> None:
    logs = Logs(written={"a": ["1"]})
    tails = logs.tails()
    tails.look([step("a")])
    logs.written["a"].append("2")
    tails.look([step("a")])
    assert logs.shown == [("a", "1")]  # it is not time yet
    logs.now += EVERY
    tails.look([step("a")])
    logs.written["a"].append("3")
    tails.look([step("a", "Failed")])
    tails.look([step("a", "Failed")])
    assert logs.shown == [("a", "1"), ("a", "2"), ("a", "3")]
    assert logs.reads["a"] == 3


def test_many_steps_take_turns() -> None:
    logs = Logs()
    tails = logs.tails()
    steps = [step(f"s{number}") for number in range(3 * AT_ONCE)]
    for rounds in range(1, 7):
        tails.look(steps)
        assert logs.reads.total() == rounds * AT_ONCE
        logs.now += EVERY
    assert set(logs.reads.values()) == {2}


def test_what_was_over_before_is_not_retold_and_what_was_missed_is() -> None:
    logs = Logs(written={"old": ["x"], "quick": ["y"]})
    tails = logs.tails()
    tails.look([])
    tails.look([step("old", "Succeeded"), step("a")])
    tails.look([step("old", "Succeeded"), step("a"), step("quick", "Succeeded")])
    assert logs.shown == [("quick", "y")]


def test_steps_without_a_log_cost_nothing() -> None:
    logs = Logs()
    plain = StepSnapshot(name="check", status="Executing", kind="Condition")
    package = replace(plain, job="arn:aws:sagemaker:us-east-1:000000000000:model-package/a/1")
    logs.tails().look([plain, package])
    assert logs.reads.total() == 0


def test_a_log_that_cannot_be_read_is_told_once() -> None:
    logs = Logs(failing=True)
    tails = logs.tails()
    for _ in range(5):
        tails.look([step("a"), step("b")])
        logs.now += EVERY
    assert logs.shown == [("a", "(the log cannot be read: no access)")]


def test_following_shows_logs_more_often_than_it_looks() -> None:
    """Looks are a minute apart in the end; lines come within a quarter of it."""
    service = Simulated(plans={ARN: [300]}, jobs=True)
    logs = Logs(written={"step-0": []})
    seen: dict[str, float] = {}

    def advance(of: StepSnapshot, cursor: LogCursor) -> tuple[LogCursor, tuple[str, ...]]:
        logs.written[of.name] = [str(second) for second in range(0, int(service.now), 10)]
        return logs.advance(of, cursor)

    def show(_name: str, lines: Sequence[str]) -> None:
        seen.update(dict.fromkeys(lines, service.now))

    tails = LogTails(advance, show, clock=lambda: service.now)
    around = replace(service.surroundings(), interval=60.0)
    follow(service, [ARN], emit=lambda _c: None, surroundings=around, means=Means(tails=tails))
    assert list(seen) == [str(second) for second in range(0, 300, 10)]
    assert all(at - int(line) <= 21 for line, at in seen.items())
    assert logs.reads.total() <= 300 / EVERY + 2
