"""Deployments and rollbacks follow what is held at the moment of the call, and nobody else's."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from support.registering import Registry

from ci.approval.approvals import Aftermath, follow_up
from ci.approval.subject import Subject
from ci.delivery.evidence import Waiting
from ci.project.model import Environment, OnApproved, OnRejected
from ci.sagemaker.model import ApprovalStatus

MAIN = Environment(
    name="main",
    pipeline_name="{pipeline}",
    on_approved=OnApproved.DEPLOY,
    on_rejected=OnRejected.ROLLBACK,
)
APPROVED, REJECTED = ApprovalStatus.APPROVED, ApprovalStatus.REJECTED


@dataclass(slots=True)
class Followed:
    after: Aftermath
    said: list[str]
    slept: int


def follow(registry: Registry, arn: str, *, sleep: Any = None, left: float = 60.0) -> Followed:
    said: list[str] = []
    slept: list[float] = []

    def pause(seconds: float) -> None:
        slept.append(seconds)
        if sleep is not None:
            sleep()

    target = SimpleNamespace(
        environment=MAIN, region="", tags={}, pipeline=SimpleNamespace(endpoint="e")
    )
    session: Any = SimpleNamespace(adapter=lambda region: registry, reach=())
    job: Any = SimpleNamespace(target=target)
    subject = Subject(
        session=session, job=job, package=registry.held[arn], execution=registry.execution(arn)
    )
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
    assert done.said == ["models v5 is Rejected: nothing, the endpoint e does not serve it"]


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
