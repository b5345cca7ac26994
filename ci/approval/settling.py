"""Brings a decision on a model package home to its end: who made it is kept, the endpoint follows,
the report says so, manual approvals that wait are answered, and the package is marked as done.

One deadline holds for all of it, however often the package is decided on anew meanwhile.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ci.approval.approvals import Aftermath, follow_up
from ci.approval.consequence import asks_for_more
from ci.approval.subject import Subject
from ci.delivery.evidence import Waiting
from ci.delivery.stage import Ended
from ci.errors import GitOpsError
from ci.registry.decisions import keep_decision, mark_settled
from ci.report.model import Report
from ci.sagemaker.model import ModelPackage

# How often it is reported anew because someone decided otherwise while it was reported.
_MOST_TURNS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """`report` is handed the notes of a report, and returns once that stands where reports go;
    `answer` tells the manual approvals that wait, and what kept it from that. `waiting` is for
    all of it."""

    waiting: Waiting
    report: Callable[[Subject, Sequence[str]], Ended]
    answer: Callable[[Subject], GitOpsError | None]
    now: datetime
    tell: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Homecoming:
    """The package as it was read last, its reports, and what went wrong on the way, the most
    important first."""

    package: ModelPackage
    reports: tuple[Report, ...] = ()
    errors: tuple[GitOpsError, ...] = ()


def settle(subject: Subject, means: Means) -> Homecoming:
    """Act on the package's status as the environment asks, and bring its report up to date. What
    fails leaves the rest to be done."""
    package = subject.package
    if not asks_for_more(subject.job.target.environment, package):
        means.tell(f"{package.group} v{package.version} is {package.approval}")
    subject, ended, after = _report_last(subject, means)
    held = subject.package
    found = (after.error, ended.error, means.answer(subject))
    errors = tuple(each for each in found if each is not None)
    if not errors and _same(after.package, held):
        mark_settled(subject.adapter.packages, held)
    return Homecoming(package=held, reports=ended.reports, errors=errors)


def kept(subject: Subject, *, now: datetime) -> Subject:
    """The subject, who decided on its package kept with that."""
    packages = subject.adapter.packages
    return replace(subject, package=keep_decision(packages, subject.package, now=now))


def _report_last(subject: Subject, means: Means) -> tuple[Subject, Ended, Aftermath]:
    """Report until what stands there is what the package is: of two who decide at the same moment
    either one may write the comment last, and each reads the package after that."""
    packages = subject.adapter.packages
    for turn in range(1, _MOST_TURNS + 1):
        after = follow_up(subject, waiting=means.waiting, tell=means.tell)
        ended = means.report(subject, after.notes)
        subject = kept(
            replace(subject, package=packages.describe(subject.package.arn)), now=means.now
        )
        shown = [each.package for each in ended.reports if each.package is not None]
        now = subject.package
        if turn == _MOST_TURNS or ended.error or all(_same(each, now) for each in shown):
            break
        means.tell(f"Meanwhile it became {now.approval}: reported anew")
    return subject, ended, after


def _same(one: ModelPackage, other: ModelPackage) -> bool:
    """Whether both are as one decision left them."""
    return (one.approval, one.approval_description) == (other.approval, other.approval_description)
