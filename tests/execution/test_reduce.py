"""The reducer over any history of snapshots, and the words for single changes."""

import itertools
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ci.execution.model import Change, ChangeKind, FollowState
from ci.execution.reduce import reduce, step_ended
from ci.execution.words import format_change, format_duration
from ci.sagemaker.model import ExecutionSnapshot, StepSnapshot
from ci.sagemaker.read import parse_status
from ci.text.clean import output_line

ARN = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/demo/execution/abc"
START = datetime(2026, 1, 1, tzinfo=UTC)

STEPS = st.builds(
    StepSnapshot,
    name=st.sampled_from(["prepare", "train", "evaluate"]),
    status=st.sampled_from(
        ["Starting", "Executing", "Stopping", "Stopped", "Failed", "Succeeded", "Dreaming", ""]
    ),
    attempts=st.integers(0, 3),
    cache_hit=st.none() | st.just(ARN),
    outcome=st.none() | st.sampled_from(["True", "False"]),
)
STATUSES = ["Executing", "Stopping", "Stopped", "Failed", "Succeeded", "CompletedWithFailures"]


def snapshot(status: str, *steps: StepSnapshot, minutes: float = 0) -> ExecutionSnapshot:
    return ExecutionSnapshot(
        arn=ARN,
        pipeline_name="demo",
        status=parse_status(status),
        raw_status=status,
        steps=steps,
        started=START,
        modified=START + timedelta(minutes=minutes),
    )


SNAPSHOTS = st.builds(
    lambda status, steps: snapshot(status, *steps),
    st.sampled_from([*STATUSES, "Hibernating"]),
    st.lists(STEPS, max_size=5),
)


def run(history: list[ExecutionSnapshot]) -> tuple[list[FollowState], list[Change]]:
    states, changes = [FollowState(arn=ARN)], []
    for item in history:
        state, new = reduce(states[-1], item)
        states.append(state)
        changes += new
    return states, changes


@given(st.lists(SNAPSHOTS, max_size=12))
def test_a_terminal_execution_stays_as_it_ended(history: list[ExecutionSnapshot]) -> None:
    states, _ = run(history)
    for before, after in itertools.pairwise(states):
        if before.terminal:
            assert after == before


@given(st.lists(SNAPSHOTS, max_size=12))
def test_a_step_only_goes_back_with_a_new_attempt(history: list[ExecutionSnapshot]) -> None:
    states, _ = run(history)
    for before, after in itertools.pairwise(states):
        for name, step in before.steps.items():
            now = after.steps[name]
            assert now.attempts >= step.attempts
            if now.attempts == step.attempts and step_ended(step.status):
                assert now.status == step.status


@given(st.lists(SNAPSHOTS, max_size=12))
def test_each_change_is_told_once(history: list[ExecutionSnapshot]) -> None:
    states, changes = run(history)
    once = [c for c in changes if c.kind in {ChangeKind.CACHE_HIT, ChangeKind.CONDITION}]
    assert max(Counter((c.kind, c.step) for c in once).values(), default=0) <= 1
    unknown = Counter(c.status for c in changes if c.kind is ChangeKind.UNKNOWN)
    assert max(unknown.values(), default=0) <= 1
    ends = [
        c for c in changes if c.kind is ChangeKind.STATUS and parse_status(c.status or "").terminal
    ]
    assert len(ends) == states[-1].terminal
    for name in ("prepare", "train", "evaluate"):
        told = [c.status for c in changes if c.kind is ChangeKind.STEP and c.step == name]
        assert all(a != b for a, b in itertools.pairwise(told))


@given(st.lists(SNAPSHOTS, max_size=8))
def test_the_same_snapshot_twice_tells_nothing_new(history: list[ExecutionSnapshot]) -> None:
    states, _ = run(history)
    for item in history[-1:]:
        again, changes = reduce(states[-1], replace(item, steps=tuple(states[-1].steps.values())))
        assert [c for c in changes if c.kind is not ChangeKind.STATUS] == []
        assert again.steps == states[-1].steps


def test_a_story_in_lines() -> None:
    started = START + timedelta(minutes=1)
    train = StepSnapshot(
        name="train", kind="Training", status="Executing", started=started, attempts=1
    )
    states, changes = run(
        [
            snapshot("Executing"),
            snapshot("Executing", train),
            snapshot("Executing", replace(train, attempts=2)),
            snapshot(
                "Executing",
                replace(
                    train, status="Succeeded", attempts=2, ended=started + timedelta(minutes=4.2)
                ),
                StepSnapshot(name="gate", kind="Condition", status="Succeeded", outcome="False"),
                StepSnapshot(name="prepare", kind="Processing", status="Succeeded", cache_hit=ARN),
                StepSnapshot(
                    name="human",
                    kind="Callback",
                    status="Executing",
                    properties={"Callback": {"SqsQueueUrl": "https://sqs/q"}},
                ),
                StepSnapshot(name="odd", status="Dreaming"),
            ),
            snapshot("Stopping"),
            snapshot("Executing"),
            snapshot("Failed", minutes=90),
            snapshot("Executing"),
        ]
    )
    assert states[-1].raw_status == "Failed"
    assert [format_change(change) for change in changes] == [
        "Execution of demo: Executing",
        "train (Training): Executing",
        "train (Training): attempt 2",
        "train (Training): Succeeded, 4 min 12 s",
        "gate (Condition): condition is false",
        "gate (Condition): Succeeded",
        "prepare (Processing): from cache, of execution abc",
        "prepare (Processing): Succeeded",
        "human (Callback): waits for a callback through https://sqs/q",
        "human (Callback): Executing",
        "odd: Dreaming",
        "odd: status 'Dreaming' is new to this version, taken as running",
        "Execution of demo: Stopping",
        "Execution of demo: Failed, 1 h 30 min",
    ]


def test_an_unknown_execution_status_is_told_once_and_is_not_the_end() -> None:
    states, changes = run([snapshot("Hibernating"), snapshot("Hibernating"), snapshot("Succeeded")])
    assert not states[2].terminal
    assert [change.kind for change in changes] == [ChangeKind.UNKNOWN, ChangeKind.STATUS]


def test_an_end_without_an_attempt_count_is_an_end() -> None:
    train = StepSnapshot(name="train", status="Executing", attempts=2)
    states, _ = run(
        [
            snapshot("Executing", train),
            snapshot("Executing", StepSnapshot(name="train", status="Failed")),
        ]
    )
    assert states[-1].steps["train"].status == "Failed"


@given(st.text(max_size=800))
def test_no_text_can_break_a_line_or_command_the_log(text: str) -> None:
    line = output_line(text)
    assert len(line.splitlines()) <= 1
    assert not line.lstrip().startswith("::")
    assert "##[" not in line
    assert "\x1b" not in line
    assert len(line.replace("\u200b", "")) <= 500


def test_words_for_durations() -> None:
    assert [format_duration(value) for value in (-1, 0.4, 59, 60, 3599, 3600, 90061)] == [
        "0 s",
        "0 s",
        "59 s",
        "1 min",
        "59 min 59 s",
        "1 h 00 min",
        "25 h 01 min",
    ]
