"""What a package keeps of a decision, and what a new one forgets; which one is the champion."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from support.registering import Registry

from ci.registry.decisions import (
    ApprovalError,
    Decision,
    decide,
    is_settled,
    keep_decision,
    mark_settled,
    read_decision,
)
from ci.registry.packages import Provenance, champion, read_provenance, stamp_package
from ci.sagemaker.model import ApprovalStatus

APPROVED, REJECTED = ApprovalStatus.APPROVED, ApprovalStatus.REJECTED
PENDING = ApprovalStatus.PENDING
NOW = datetime(2026, 3, 2, 9, 25, 7, tzinfo=UTC)


def decided(arn: str, approval: ApprovalStatus, expected: ApprovalStatus, **more: Any) -> Decision:
    return Decision(package=arn, approval=approval, expected=expected, actor="anna", at=NOW, **more)


def kept(registry: Any, arn: str) -> str:
    decision = read_decision(keep_decision(registry, registry.describe(arn), now=NOW))
    assert decision is not None
    return f"{decision.approval} by {decision.actor}"


def test_a_decision_that_is_made_anew_has_settled_nothing() -> None:
    registry: Any = Registry()
    arn = registry.add(5, PENDING)
    mark_settled(registry, decide(registry, decided(arn, APPROVED, PENDING)))
    assert is_settled(registry.describe(arn))
    assert not is_settled(decide(registry, decided(arn, REJECTED, APPROVED)))
    # What followed from the rejection was killed; the same second brings the approval back.
    assert not is_settled(decide(registry, decided(arn, APPROVED, REJECTED)))


def test_nor_has_one_that_is_made_anew_elsewhere() -> None:
    registry: Any = Registry()
    arn = registry.add(5, PENDING)
    registry.turn(arn, APPROVED)
    mark_settled(registry, keep_decision(registry, registry.describe(arn), now=NOW))
    registry.turn(arn, REJECTED)
    keep_decision(registry, registry.describe(arn), now=NOW)
    registry.turn(arn, APPROVED)
    again = keep_decision(registry, registry.describe(arn), now=NOW)
    assert not is_settled(again)
    mark_settled(registry, again)
    assert is_settled(registry.describe(arn))
    old = {**again.metadata, "sagemaker-gitops:settled": "Approved"}
    assert not is_settled(replace(again, metadata=old))


def test_one_that_serves_is_rejected_although_a_newer_one_waits() -> None:
    registry: Any = Registry()
    commit = "c" * 40
    serving, waiting = registry.add(5, commit=commit), registry.add(6, PENDING, commit=commit)
    assert decide(registry, decided(serving, REJECTED, APPROVED)).approval is REJECTED
    with pytest.raises(ApprovalError, match="v6 is newer"):
        decide(registry, decided(serving, APPROVED, REJECTED))
    assert registry.describe(waiting).approval is PENDING


def test_who_approved_is_kept_by_whatever_stamps_first() -> None:
    registry: Any = Registry()
    arn = registry.add(5, PENDING, stamped=False)
    registry.turn(arn, APPROVED, by="studio/eve")
    made = Provenance(commit="c" * 40, execution="e", environment="main", digest="d")
    assert stamp_package(registry, arn, made)
    assert registry.describe(arn).modified_by == "gitops/ci"
    assert kept(registry, arn) == "Approved by studio/eve"
    assert read_provenance(registry.describe(arn)) == made


def test_what_was_registered_as_approved_was_approved_by_nobody() -> None:
    registry: Any = Registry()
    arn = registry.add(5, APPROVED, stamped=False)
    made = Provenance(commit="c" * 40, execution="e", environment="main", digest="d")
    assert stamp_package(registry, arn, made)
    assert read_decision(registry.describe(arn)) is None


def test_another_reason_shows_another_decision_between_two_looks() -> None:
    registry: Any = Registry()
    arn = registry.add(5, PENDING)
    registry.turn(arn, APPROVED, by="studio/eve", approval_description="fine")
    assert kept(registry, arn) == "Approved by studio/eve"
    registry.turn(arn, REJECTED, by="studio/bob", approval_description="odd")
    registry.turn(arn, APPROVED, by="studio/bob", approval_description="fine after all")
    assert kept(registry, arn) == "Approved by studio/bob"
    spaced = decide(registry, decided(arn, REJECTED, APPROVED, reason="two  words\n" + "x" * 2000))
    assert read_decision(spaced) is not None
    assert kept(registry, arn) == "Rejected by anna"


def test_a_pull_requests_approved_package_is_no_champion() -> None:
    registry: Any = Registry()
    stranger = registry.add(3, stamped=False)
    main = registry.add(4)
    registry.add(5, environment="pull_request", pull_request=9)
    registry.add(6, environment="preview", pull_request=9)
    challenger = registry.add(7)

    def found() -> str | None:
        package = champion(registry, "models", challenger=challenger, before=None)
        return package and package.arn

    assert found() == main
    registry.turn(main, REJECTED)
    assert found() == stranger
    by_hand = registry.add(6, environment="main", pull_request=9)
    assert found() == by_hand
