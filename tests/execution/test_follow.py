"""Following in simulated time: to the real end, through every fault, within the deadline."""

import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.simulated import Simulated, execution_arn

from ci.errors import AwsError, DeadlineReached, Interrupted
from ci.execution.follow import SPACING, Means, follow
from ci.execution.model import Change, ChangeKind
from ci.execution.pace import Past, learn

ARN = execution_arn("demo", 1)
HOUR = 3600.0


def changes_of(service: Simulated, **options: object) -> list[Change]:
    found: list[Change] = []
    follow(
        service,
        list(service.plans),
        emit=found.append,
        surroundings=service.surroundings(),
        **options,
    )  # type: ignore[arg-type]
    return found


def test_eight_hours_in_a_moment_with_flat_memory_and_few_calls() -> None:
    service = Simulated(plans={ARN: [HOUR / 2, 7 * HOUR, HOUR / 2]})
    tracemalloc.start()
    grown = []

    def watch_memory() -> bool:
        grown.append(tracemalloc.get_traced_memory()[0])
        return False

    pasts = [
        Past(
            seconds=8 * HOUR * factor,
            milestones={
                ("step-0", False): 0,
                ("step-0", True): HOUR / 2 * factor,
                ("step-1", False): HOUR / 2 * factor,
                ("step-1", True): 7.5 * HOUR * factor,
                ("step-2", False): 7.5 * HOUR * factor,
                ("step-2", True): 8 * HOUR * factor,
            },
        )
        for factor in (0.9, 1.0, 1.1, 1.05, 0.95)
    ]
    history = learn(pasts)
    assert history is not None
    found = changes_of(service, cancelled=watch_memory, means=Means(histories={"demo": history}))
    tracemalloc.stop()
    assert found[-1].status == "Succeeded"
    assert service.now - 8 * HOUR < 10
    assert service.calls.total() < 700
    assert max(grown[20:]) - min(grown[20:]) < 300_000


def test_each_step_is_told_as_it_happens() -> None:
    found = changes_of(Simulated(plans={ARN: [100, 200, 50]}))
    told = [(c.step, c.status) for c in found if c.kind is ChangeKind.STEP]
    assert told == [
        (name, status)
        for name in ("step-0", "step-1", "step-2")
        for status in ("Executing", "Succeeded")
    ]
    assert [c.seconds for c in found if c.status == "Succeeded"] == [100, 200, 50, 350]


@pytest.mark.parametrize(
    "code",
    ["EndpointConnectionError", "ThrottlingException", "InternalFailure", "ResponseParserError"],
)
def test_ten_minutes_without_an_answer_are_told_once(code: str) -> None:
    service = Simulated(plans={ARN: [1000]}, failing=lambda now: code if 200 <= now < 800 else None)
    found = changes_of(service)
    assert [c.kind for c in found if c.step is None] == [
        ChangeKind.STATUS,
        ChangeKind.TROUBLE,
        ChangeKind.RECOVERED,
        ChangeKind.STATUS,
    ]
    assert service.now - 1000 < 70
    assert service.calls.total() < 250


def test_expired_credentials_are_renewed() -> None:
    service = Simulated(plans={ARN: [1000]})
    service.failing = lambda now: (
        "ExpiredTokenException" if now > 300 and service.renewals < 2 else None
    )
    assert changes_of(service)[-1].status == "Succeeded"
    assert service.renewals == 2


@pytest.mark.parametrize(
    "code",
    [
        "ExpiredTokenException",
        "CredentialRetrievalError",
        "MetadataRetrievalError",
        "UnauthorizedSSOTokenError",
        "LoginRefreshRequired",
    ],
)
def test_credentials_that_cannot_be_renewed_end_with_the_way_back(code: str) -> None:
    service = Simulated(plans={ARN: [HOUR]}, failing=lambda now: code if now > 60 else None)
    with pytest.raises(DeadlineReached) as caught:
        changes_of(service)
    assert caught.value.exit_code == 4
    assert caught.value.fix == f"sagemaker-gitops attach {ARN}"
    assert code in str(caught.value)
    assert 300 <= service.now < 700


def test_half_an_hour_of_silence_ends_with_the_way_back() -> None:
    service = Simulated(
        plans={ARN: [5 * HOUR]}, failing=lambda now: "ReadTimeoutError" if now > 60 else None
    )
    with pytest.raises(DeadlineReached, match="30 minutes"):
        changes_of(service)


def test_a_refusal_that_waiting_does_not_cure_is_raised_at_once() -> None:
    service = Simulated(
        plans={ARN: [1000]}, failing=lambda now: "AccessDeniedException" if now > 100 else None
    )
    with pytest.raises(AwsError, match="AccessDenied"):
        changes_of(service)
    assert service.now < 200


def test_an_execution_that_is_not_readable_yet() -> None:
    service = Simulated(
        plans={ARN: [100]}, failing=lambda now: "ResourceNotFound" if now < 10 else None
    )
    found = changes_of(service)
    assert found[-1].status == "Succeeded"
    service = Simulated(plans={ARN: [100]}, failing=lambda now: "ResourceNotFound")
    with pytest.raises(AwsError):
        changes_of(service)


@settings(max_examples=60)
@given(
    deadline=st.floats(1, 50_000),
    length=st.floats(1, 50_000),
    outage=st.tuples(st.floats(0, 50_000), st.floats(0, 1700)),
)
def test_always_ended_by_the_deadline(
    deadline: float, length: float, outage: tuple[float, float]
) -> None:
    begins, lasts = outage
    service = Simulated(
        plans={ARN: [length]},
        failing=lambda now: "ReadTimeoutError" if begins <= now < begins + lasts else None,
    )
    with suppress(DeadlineReached):
        changes_of(service, deadline=deadline)
        assert service.now >= length
    assert service.now <= deadline + 1e-6


def test_a_wall_clock_that_jumps_moves_nothing() -> None:
    for jump in (-10 * HOUR, 10 * HOUR):
        service = Simulated(plans={ARN: [1000]})
        follow(
            service,
            [ARN],
            emit=lambda _c: None,
            deadline=2000,
            surroundings=service.surroundings(wall_jump=jump),
        )
        assert 1000 <= service.now <= 1060


def test_a_hundred_executions_of_one_pipeline_cost_calls_by_their_changes() -> None:
    plans = {execution_arn("mono", number): [600.0 + 60 * number] for number in range(100)}
    service = Simulated(plans=plans)
    found = changes_of(service)
    assert len([c for c in found if c.kind is ChangeKind.STATUS and c.status == "Succeeded"]) == 100
    polls = service.calls["summaries"]
    # One reading at first and one at its end for each, one listing and one reading a round.
    assert service.calls["snapshot"] <= 100 * 2 + polls
    assert service.calls["steps"] == 0


def test_executions_of_many_pipelines_at_once() -> None:
    plans = {execution_arn(f"p{number}", number): [50.0 * number + 1] for number in range(20)}
    service = Simulated(
        plans=plans, failing=lambda now: "ThrottlingException" if 300 < now < 350 else None
    )
    seen = follow(service, list(plans), emit=lambda _c: None, surroundings=service.surroundings())
    assert {arn: item.raw_status for arn, item in seen.items()} == dict.fromkeys(plans, "Succeeded")


def test_cancelling_ends_it_with_the_way_back() -> None:
    service = Simulated(plans={ARN: [HOUR]})
    with pytest.raises(Interrupted) as caught:
        changes_of(service, cancelled=lambda: service.now > 100)
    assert service.now < 170
    assert caught.value.fix == f"sagemaker-gitops attach {ARN}"


@pytest.mark.parametrize("known", [False, True])
def test_a_hundred_pipelines_share_the_calls(known: bool) -> None:
    plans = {execution_arn(f"p{number}", number): [HOUR, HOUR] for number in range(100)}
    service = Simulated(plans=plans)
    history = learn([Past(seconds=2 * HOUR * factor, milestones={}) for factor in (0.9, 1, 1.1)])
    assert history is not None
    histories = {f"p{number}": history for number in range(100)} if known else {}
    ended: dict[str, float] = {}

    def note(change: Change) -> None:
        if change.kind is ChangeKind.STATUS and change.status == "Succeeded":
            ended[change.arn] = service.now

    follow(
        service,
        list(plans),
        emit=note,
        surroundings=service.surroundings(),
        means=Means(histories=histories),
    )
    # Two looks a second at most, one in ten with another call, and none waits beyond its turn.
    assert service.calls.total() <= 1.1 * service.now / SPACING + 100 * 12
    assert max(ended.values()) - 2 * HOUR <= 100 * SPACING + 15
    assert len(ended) == 100


@settings(max_examples=12)
@given(
    pipelines=st.integers(1, 12),
    each=st.integers(1, 12),
    lengths=st.lists(st.floats(1, 5000), min_size=1, max_size=5),
)
def test_every_end_is_told_once_however_they_are_spread(
    pipelines: int, each: int, lengths: list[float]
) -> None:
    plans = {
        execution_arn(f"p{number % pipelines}", number): [lengths[number % len(lengths)]]
        for number in range(pipelines * each)
    }
    service = Simulated(plans=plans)
    found = changes_of(service)
    ends = [change.arn for change in found if change.status == "Succeeded" and not change.step]
    assert sorted(ends) == sorted(plans)
    steps = [change.arn for change in found if change.status == "Succeeded" and change.step]
    assert sorted(steps) == sorted(plans)
