"""What follows from a decision on a model package, from the registry to the report: what `approve`,
`reject`, `approvals sync` and a comment have in common."""

import argparse
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ci.cli.options import settle_deadline
from ci.cli.shell import Shell
from ci.errors import ExitCode, GitOpsError

if TYPE_CHECKING:
    from ci.approval.approvals import Subject
    from ci.cli.reporting import Reporter
    from ci.delivery.deploy import Ended
    from ci.report.model import Report
    from ci.session.session import Session

# How long an endpoint is waited for where neither option nor environment says so.
_PATIENCE = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What came of one package. `document` tells it as JSON; `reporter` is None where nothing was
    to be reported."""

    document: dict[str, Any]
    reports: "tuple[Report, ...]" = ()
    error: GitOpsError | None = None
    reporter: "Reporter | None" = field(default=None, compare=False)

    @property
    def code(self) -> ExitCode:
        return ExitCode.OK if self.error is None else self.error.exit_code


def settle_package(
    arguments: argparse.Namespace,
    shell: Shell,
    session: "Session",
    package: str,
    *,
    again: bool = True,
) -> Settled:
    """Act on the package's status as the environment asks, and bring its report up to date.
    `again` False leaves one alone for which all that was done before."""
    from ci.approval.approvals import Foreign, find_subject
    from ci.registry.decisions import is_settled, mark_settled

    now = datetime.fromtimestamp(shell.clock(), UTC)
    # The comment tells who decided; who runs this makes no difference to it.
    unsigned = replace(session, trigger=replace(session.trigger, actor=None))
    subject = find_subject(unsigned, package, now=now)
    if isinstance(subject, Foreign):
        shell.say(f"Ignored {package}: {subject.reason}")
        return Settled(document={"model_package": package, "ignored": subject.reason})
    held = subject.package
    document = {
        "model_package": held.arn,
        "approval": held.approval.value,
        "description": held.approval_description,
    }
    _answer_codepipeline(shell, subject)
    if not again and is_settled(held):
        shell.say(f"{held.group} v{held.version} is {held.approval}, and nothing is left to do")
        return Settled(document=document)
    shell.say(f"{held.group} v{held.version} is {held.approval}")
    ended, reporter, failed = _report(arguments, shell, subject)
    error = failed or ended.error
    if error is None:
        mark_settled(subject.adapter.packages, held)
    return Settled(document=document, reports=ended.reports, error=error, reporter=reporter)


def _answer_codepipeline(shell: Shell, subject: "Subject") -> None:
    """The manual approvals of CodePipeline that wait for this package get its decision."""
    from ci.approval.manual_approval import PLACES, parse_places

    places = parse_places(shell.environ.get(PLACES, ""), PLACES)
    if not places:
        return
    from ci.approval.approval_actions import answer_waiting
    from ci.sagemaker.codepipeline import CodePipeline

    adapter = subject.adapter
    service = CodePipeline(adapter.clients)
    answer_waiting(service, adapter.packages, subject.package, places, shell.say)


def _report(
    arguments: argparse.Namespace, shell: Shell, subject: "Subject"
) -> "tuple[Ended, Reporter, GitOpsError | None]":
    import time

    from ci.approval.approvals import follow_up
    from ci.cli.following import make_stage
    from ci.cli.reporting import Reporter
    from ci.delivery.deploy import attach
    from ci.delivery.evidence import Waiting

    deadline = settle_deadline(arguments.deadline) or subject.job.target.environment.deadline
    ends = time.monotonic() + (deadline or _PATIENCE)
    waiting = Waiting(
        sleep=lambda seconds: shell.sleep(min(seconds, arguments.poll or seconds)),
        left=lambda: max(0.0, ends - time.monotonic()),
    )
    after = follow_up(subject, waiting=waiting, tell=shell.say)
    reporter = Reporter(arguments, shell, subject.session, several=False)
    with make_stage(arguments, shell, reporter, title=subject.job.name) as stage:
        left = max(1.0, waiting.left() or 0.0)
        jobs = {subject.execution: subject.job}
        ended = attach(subject.session, jobs, left, stage, notes=after.notes)
    return ended, reporter, after.error


def conclude_one(shell: Shell, settled: Settled) -> int:
    """Show what came of one package; the exit code. The verdict's own code is not the decision's:
    an approval that nothing was to follow from is done."""
    if settled.reporter is None:
        shell.emit({**settled.document, "reports": []})
        return int(settled.code)
    unwritten = settled.reporter.conclude(settled.reports, settled.error, beside=settled.document)
    return int(settled.code) or int(unwritten)
