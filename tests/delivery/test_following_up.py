"""Deployments and rollbacks follow what is held at the moment of the call, and nobody else's."""

from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from support.registering import Registry

from ci.approval.announcing import announce
from ci.approval.approvals import Aftermath, follow_up
from ci.approval.settling import Means, settle
from ci.approval.subject import Subject
from ci.delivery.evidence import Waiting
from ci.delivery.stage import Ended
from ci.errors import ExitCode
from ci.metrics.model import MetricSource, Origin
from ci.project.model import Environment, OnApproved, OnRejected
from ci.registry.measures import measures_metadata
from ci.sagemaker.model import ApprovalStatus

MAIN = Environment(
    name="main",
    pipeline_name="{pipeline}",
    on_approved=OnApproved.DEPLOY,
    on_rejected=OnRejected.ROLLBACK,
)
APPROVED, REJECTED = ApprovalStatus.APPROVED, ApprovalStatus.REJECTED
PENDING = ApprovalStatus.PENDING
RMSE = MetricSource(name="rmse", origin=Origin.PROPERTY_FILE, path="$.rmse")
NOW = datetime(2026, 3, 2, 9, 25, 7, tzinfo=UTC)


@dataclass(slots=True)
class Followed:
    after: Aftermath
    said: list[str]
    slept: int


def subject_of(registry: Registry, arn: str) -> Subject:
    pipeline = SimpleNamespace(endpoint="e", name="alpha", metrics=(RMSE,))
    target = SimpleNamespace(environment=MAIN, region="", tags={}, pipeline=pipeline)
    session: Any = SimpleNamespace(adapter=lambda region: registry, reach=())
    job: Any = SimpleNamespace(target=target, identity=SimpleNamespace(commit="c" * 40))
    return Subject(
        session=session, job=job, package=registry.held[arn], execution=registry.execution(arn)
    )


def follow(registry: Registry, arn: str, *, sleep: Any = None, left: float = 60.0) -> Followed:
    said: list[str] = []
    slept: list[float] = []

    def pause(seconds: float) -> None:
        slept.append(seconds)
        if sleep is not None:
            sleep()

    subject = subject_of(registry, arn)
    waiting = Waiting(sleep=pause, left=lambda: left)
    after = follow_up(subject, waiting=waiting, tell=said.append)
    return Followed(after=after, said=said, slept=len(slept))


def with_others(registry: Registry) -> None:
    """Approved and newer, and none of them what pipeline alpha made for main."""
    registry.add(6, environment="pull_request", pull_request=9, pipeline="alpha-pr-9")
    registry.add(7, pipeline="beta")
    registry.add(8, registers=False)  # says that alpha's execution made it
    registry.add(9, environment="staging")
    gone = registry.add(10)
    del registry.snapshots[registry.execution(gone)]


def test_a_rollback_goes_to_what_the_same_pipeline_made_for_the_same_environment() -> None:
    registry = Registry()
    fourth = registry.add(4)
    registry.serves = fifth = registry.add(5, REJECTED)
    with_others(registry)
    done = follow(registry, fifth)
    assert done.after.error is None
    assert registry.calls == [("alpha-deploy", "4")]
    assert registry.serves == fourth


def test_an_approval_is_not_lost_to_a_newer_package_of_others() -> None:
    registry = Registry()
    registry.serves = registry.add(4)
    fifth = registry.add(5)
    with_others(registry)
    assert follow(registry, fifth).after.error is None
    assert registry.calls == [("alpha-deploy", "5")]
    newer = registry.add(11)
    late = follow(registry, fifth)
    assert "Left as it is: v11 is newer, and approved as well." in late.after.notes[-1]
    assert registry.serves == fifth != newer


@pytest.mark.parametrize("registers", [True, False])
def test_what_nobody_stamped_is_gone_back_to_where_an_execution_shows_that_it_made_it(
    *, registers: bool
) -> None:
    registry = Registry()
    fourth = registry.add(4, stamped=False, registers=registers)
    registry.serves = fifth = registry.add(5, REJECTED)
    done = follow(registry, fifth)
    if registers:
        assert registry.serves == fourth
    else:
        assert registry.calls == []
        assert "no approved package of models to go back to" in str(done.after.error)


def test_a_package_that_is_rejected_while_the_endpoint_settles_is_not_deployed() -> None:
    registry = Registry(statuses=["Updating"])
    fourth = registry.serves = registry.add(4)
    fifth = registry.add(5)
    done = follow(registry, fifth, sleep=lambda: registry.turn(fifth, REJECTED))
    assert done.slept == 1
    assert registry.calls == []
    assert (registry.serves, done.after.error) == (fourth, None)
    assert done.after.package.approval is REJECTED
    assert done.said == [
        "Waiting for the endpoint e",
        "models v5 is Rejected: nothing, the endpoint e does not serve it",
    ]


def test_a_package_that_is_rejected_right_before_the_call_is_not_deployed() -> None:
    registry = Registry()
    registry.serves = registry.add(4)
    fifth = registry.add(5)
    registry.before_call = lambda: registry.turn(fifth, REJECTED)
    follow(registry, fifth)
    assert registry.calls == []


def test_a_package_that_is_rejected_during_the_call_is_taken_back() -> None:
    registry = Registry()
    fourth = registry.serves = registry.add(4)
    fifth = registry.add(5)

    def reject() -> None:
        if registry.held[fifth].approval is APPROVED:
            registry.turn(fifth, REJECTED)

    registry.during_call = reject
    done = follow(registry, fifth)
    assert registry.calls == [("alpha-deploy", "5"), ("alpha-deploy", "4")]
    assert (registry.serves, done.after.error) == (fourth, None)


def test_a_rollback_whose_goal_is_rejected_meanwhile_goes_further_back() -> None:
    registry = Registry()
    third = registry.add(3)
    fourth = registry.add(4)
    registry.serves = fifth = registry.add(5, REJECTED)
    registry.before_call = lambda: registry.turn(fourth, REJECTED)
    follow(registry, fifth)
    assert registry.calls == [("alpha-deploy", "3")]
    assert registry.serves == third


def test_of_two_at_the_same_moment_the_later_one_finds_the_endpoint_on_its_way() -> None:
    registry = Registry()
    registry.serves = registry.add(4)
    fifth = registry.add(5)

    def other() -> None:
        registry.serves, registry.statuses = fifth, ["Updating", "Updating"]

    registry.before_call = other
    done = follow(registry, fifth)
    assert registry.calls == []
    assert done.after.error is None
    assert "deployed" not in " ".join(done.said[:1])
    assert "serves it" in done.said[-1]


def test_nothing_is_called_while_the_endpoint_still_changes() -> None:
    registry = Registry(statuses=["Updating"] * 9)
    registry.serves = registry.add(4)
    fifth = registry.add(5)
    done = follow(registry, fifth, left=0.0)
    assert registry.calls == []
    assert done.after.error is not None
    assert done.after.error.exit_code == 1
    assert "still Updating" in done.after.error.what


def test_what_changes_again_and_again_is_given_up_with_words() -> None:
    registry = Registry()
    registry.serves = registry.add(4)
    fifth = registry.add(5)

    def flip() -> None:
        turned = REJECTED if registry.held[fifth].approval is APPROVED else APPROVED
        registry.turn(fifth, turned)

    registry.during_call = flip
    done = follow(registry, fifth)
    assert len(registry.calls) == 5
    assert "again and again" in str(done.after.error)


def test_one_deadline_holds_however_often_it_is_decided_anew() -> None:
    registry = Registry(statuses=["Updating"] * 10_000)
    registry.serves = registry.add(4)
    fifth = registry.add(5)
    slept: list[float] = []

    def report(subject: Subject, notes: Any) -> Any:
        """Someone decides anew while it is reported: each report is of what was."""
        shown = registry.held[fifth]
        registry.turn(fifth, APPROVED, approval_description=f"reason {len(slept)}")
        reports: Any = (SimpleNamespace(package=shown),)
        return Ended(reports=reports, code=ExitCode.OK)

    means = Means(
        waiting=Waiting(sleep=slept.append, left=lambda: max(0.0, 60.0 - sum(slept))),
        report=report,
        answer=lambda subject: None,
        now=NOW,
        tell=lambda text: None,
    )
    done = settle(subject_of(registry, fifth), means)
    assert "still Updating" in done.errors[0].what
    assert sum(slept) == 60.0


def test_who_decides_is_told_what_is_replaced_and_how_the_two_measured() -> None:
    registry = Registry()
    fourth = registry.serves = registry.add(4)
    fifth = registry.add(5, PENDING)
    for arn, rmse in ((fourth, 2.0), (fifth, 1.9)):
        registry.update(arn, metadata=measures_metadata({"rmse": rmse}))
    told = list(announce(subject_of(registry, fifth), APPROVED))
    assert told == [
        (
            "models v5 of alpha in main (commit cccccccccccc) will be Approved; it is"
            " PendingManualApproval"
        ),
        "the endpoint e will serve it (on_approved: deploy), unless a newer one is approved",
        "the endpoint e is InService, and serves models v4",
        "rmse 1.9, 5.0 % better than models v4",
    ]
    [*_, last] = announce(subject_of(registry, fourth), REJECTED)
    assert last == "the endpoint e is InService, and serves it"


def test_a_function_that_deployed_nothing_is_quoted() -> None:
    registry = Registry()
    registry.serves = fourth = registry.add(4)
    fifth = registry.add(5)

    def undo() -> None:
        registry.serves = fourth

    registry.during_call = undo
    done = follow(registry, fifth)
    assert done.after.error is not None
    assert done.after.error.why == "The function was called, and answered: {}"


def test_a_rejected_model_that_nothing_can_replace_is_a_failure_with_a_way_out() -> None:
    registry = Registry()
    registry.serves = first = registry.add(1, REJECTED)
    error = follow(registry, first).after.error
    assert error is not None
    assert error.exit_code is ExitCode.FAILED
    assert "delete the endpoint" in (error.fix or "")
