"""Approving and rejecting: bound to what was seen, done once, and kept with who and when."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ci.registry.decisions import (
    ApprovalError,
    Decision,
    decide,
    decided_because,
    is_settled,
    keep_decision,
    mark_settled,
    read_decision,
)
from ci.registry.measures import stamp_measures
from ci.registry.packages import Provenance, read_provenance, stamp_package
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.model import ApprovalStatus

pytestmark = pytest.mark.endpoint
NOW = datetime(2026, 3, 2, 9, 25, 7, 123, tzinfo=UTC)
COMMIT, OTHER = "a1" * 20, "b2" * 20
SIBLING = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/sibling/execution/abc"


def packages(aws: SageMaker, group: str, count: int) -> list[str]:
    sagemaker = aws.clients.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    return [
        sagemaker.create_model_package(
            ModelPackageGroupName=group, ModelApprovalStatus="PendingManualApproval"
        )["ModelPackageArn"]
        for _ in range(count)
    ]


def approval(package: str, **changes: object) -> Decision:
    decision = Decision(
        package=package,
        approval=ApprovalStatus.APPROVED,
        expected=ApprovalStatus.PENDING,
        actor="anna",
        at=NOW,
        reason="good\nenough",
        pull_request=7,
        commit=COMMIT,
    )
    return replace(decision, **changes)  # type: ignore[arg-type]


def provenance(**changes: object) -> Provenance:
    made = Provenance(
        commit=COMMIT,
        execution="arn:aws:sagemaker:us-east-1:000000000000:pipeline/quality/execution/abc",
        environment="pull_request",
        digest="d" * 64,
        repository="acme/mlops",
        pull_request=7,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def status(aws: SageMaker, package: str) -> ApprovalStatus:
    return aws.packages.describe(package).approval


def test_a_decision_carries_who_when_and_on_what_and_is_made_once(aws: SageMaker) -> None:
    [package] = packages(aws, "carried", 1)
    stamp_package(aws.packages, package, provenance())
    done = decide(aws.packages, approval(package))
    assert done.approval is ApprovalStatus.APPROVED
    assert done.approval_description == (
        "Approved by anna on pull request 7 at a1a1a1a1a1a1, 2026-03-02T09:25:07Z: good enough"
    )
    held = {key.removeprefix("sagemaker-gitops:"): value for key, value in done.metadata.items()}
    assert held["decision"] == "Approved"
    assert held["decided-by"] == "anna"
    assert held["decided-at"] == "2026-03-02T09:25:07Z"
    assert held["decided-on"] == "pull request 7"
    assert held["decided-commit"] == COMMIT
    assert read_provenance(done) == provenance()
    assert decided_because(done) == "good enough"
    again = decide(aws.packages, approval(package, actor="bert"))
    assert again.approval_description == done.approval_description


def test_another_status_than_was_seen_changes_nothing(aws: SageMaker) -> None:
    first, second = packages(aws, "bound", 2)
    decide(aws.packages, approval(first, commit=None))
    rejection = approval(first, approval=ApprovalStatus.REJECTED, actor="bert", commit=None)
    with pytest.raises(ApprovalError, match="is Approved, not PendingManualApproval") as caught:
        decide(aws.packages, rejection)
    assert caught.value.exit_code == 5
    assert "--from Approved" in str(caught.value)
    assert status(aws, first) is ApprovalStatus.APPROVED
    changed = decide(aws.packages, replace(rejection, expected=ApprovalStatus.APPROVED))
    assert changed.approval is ApprovalStatus.REJECTED
    other = decide(aws.packages, replace(rejection, package=second))
    assert other.approval is ApprovalStatus.REJECTED


def test_another_commit_than_was_seen_changes_nothing(aws: SageMaker) -> None:
    stamped, bare = packages(aws, "commits", 2)
    stamp_package(aws.packages, stamped, provenance())
    with pytest.raises(ApprovalError, match=r"of commit a1a1a1a1a1a1, not b2b2b2b2b2b2"):
        decide(aws.packages, approval(stamped, commit=OTHER))
    with pytest.raises(ApprovalError, match="does not say which commit"):
        decide(aws.packages, approval(bare))
    assert status(aws, stamped) is ApprovalStatus.PENDING
    assert decide(aws.packages, approval(stamped, commit="a1a1a1a")).approval == "Approved"
    with pytest.raises(ApprovalError, match="of commit"):
        decide(aws.packages, approval(stamped, commit=OTHER))


@pytest.mark.parametrize(
    ("name", "newer", "refused"),
    [
        ("same-commit", {}, True),
        ("same-pull", {"commit": OTHER}, True),
        ("no-pull", {"commit": OTHER, "pull_request": None}, False),
        ("other-pull", {"commit": OTHER, "pull_request": 8}, False),
        ("sibling", {"execution": SIBLING}, False),
        ("other-place", {"environment": "main", "pull_request": None}, False),
    ],
)
def test_a_newer_package_of_the_same_change_is_the_one_to_decide_on(
    aws: SageMaker, name: str, newer: dict[str, object], *, refused: bool
) -> None:
    old, new = packages(aws, f"newer-{name}", 2)
    stamp_package(aws.packages, old, provenance())
    stamp_package(aws.packages, new, provenance(**newer))
    if refused:
        with pytest.raises(ApprovalError, match="v2 is newer, of the same pull request 7") as told:
            decide(aws.packages, approval(old))
        assert new in str(told.value)
        assert status(aws, old) is ApprovalStatus.PENDING
    else:
        assert decide(aws.packages, approval(old)).approval is ApprovalStatus.APPROVED
    assert decide(aws.packages, approval(new, commit=None)).approval is ApprovalStatus.APPROVED


def test_what_was_decided_elsewhere_is_kept_once_and_anew_when_it_changes(
    aws: SageMaker,
) -> None:
    [package] = packages(aws, "elsewhere", 1)
    held = aws.packages.describe(package)
    assert keep_decision(aws.packages, held, now=NOW) == held
    sagemaker = aws.clients.client("sagemaker")
    sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    kept = keep_decision(aws.packages, aws.packages.describe(package), now=NOW)
    decided = read_decision(kept)
    assert decided is not None
    assert (decided.approval, decided.place) == (ApprovalStatus.APPROVED, "SageMaker")
    assert decided.actor
    assert keep_decision(aws.packages, kept, now=NOW) == kept
    sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Rejected")
    turned = aws.packages.describe(package)
    assert read_decision(turned) is None
    after = read_decision(keep_decision(aws.packages, turned, now=NOW))
    assert after is not None
    assert after.approval is ApprovalStatus.REJECTED


def test_hostile_names_and_reasons_are_kept_as_text(aws: SageMaker) -> None:
    [package] = packages(aws, "hostile", 1)
    actor, reason = "evil[bot]\n<b>`$(x)`", "x" * 5000
    done = decide(aws.packages, approval(package, actor=actor, reason=reason, commit=None))
    assert len(done.approval_description or "") <= 1024
    assert done.metadata["sagemaker-gitops:decided-by"] == "evil-bot---b----x--"
    assert set(decided_because(done)) == {"x"}


def test_the_reason_is_what_follows_who_and_when_where_this_program_wrote_that(
    aws: SageMaker,
) -> None:
    [package] = packages(aws, "reasons", 1)
    bare = decide(aws.packages, approval(package, reason="", commit=None))
    assert decided_because(bare) == ""
    text = "Rejected by nobody: the text of a person"
    aws.packages.update(package, approval=ApprovalStatus.REJECTED, description=text)
    assert (
        decided_because(keep_decision(aws.packages, aws.packages.describe(package), now=NOW))
        == text
    )


@pytest.mark.parametrize("own", [50, 48, 40, 30])
def test_a_package_that_is_full_of_the_teams_own_metadata_is_decided_on_all_the_same(
    aws: SageMaker, own: int
) -> None:
    [package] = packages(aws, f"full-{own}", 1)
    theirs = {f"team-{number}": "x" for number in range(own)}
    aws.packages.update(package, metadata=theirs)
    stamped = stamp_package(aws.packages, package, provenance())
    assert stamped is (own < 50)
    held = aws.packages.describe(package)
    stamp_measures(aws.packages, held, {f"metric {number}": 1.0 for number in range(20)})
    done = decide(aws.packages, approval(package, commit=None))
    kept = keep_decision(aws.packages, done, now=NOW)
    mark_settled(aws.packages, kept)
    after = aws.packages.describe(package)
    assert after.approval is ApprovalStatus.APPROVED
    assert (after.approval_description or "").startswith("Approved by anna on pull request 7")
    assert len(after.metadata) <= 50
    assert theirs.items() <= after.metadata.items()
    # Where it comes from goes before its metrics, and so does who decided.
    assert (read_provenance(after) is not None) is (own <= 40)
    assert (read_decision(after) is not None) is (own <= 40)
    assert is_settled(after) is (own == 30)
