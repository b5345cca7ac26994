"""What follows from a decision on a model package, from the registry to the report: what `approve`,
`reject`, `approvals sync` and a comment have in common."""

import argparse
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from ci.cli.options import settle_deadline
from ci.cli.shell import Shell
from ci.errors import ExitCode, GitOpsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ci.approval.subject import Foreign, Subject
    from ci.cli.reporting import Reporter
    from ci.delivery.evidence import Waiting
    from ci.delivery.stage import Ended
    from ci.registry.decisions import Decision
    from ci.report.model import Report
    from ci.sagemaker.model import ApprovalStatus, ModelPackage
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


def carry_out(
    arguments: argparse.Namespace,
    shell: Shell,
    session: "Session",
    decision: "Decision",
    *,
    ask: "Callable[[Iterable[str]], None]" = lambda _: None,
) -> int:
    """Decide, then do what follows: the environment's policy, the report, the comment. Nothing is
    written to a package that is not this project's. `ask` is shown what will be done, a line each,
    and may raise."""
    from ci.approval.announcing import announce
    from ci.approval.subject import Foreign, refuse_elsewhere
    from ci.registry.decisions import decide

    subject = own_subject(session, decision.package)
    if isinstance(subject, Foreign):
        raise refused(subject)
    refuse_elsewhere(subject, environment=arguments.environment, pull_request=decision.pull_request)
    if subject.package.approval is decision.approval:
        name = f"{subject.package.group} v{subject.package.version}"
        shell.say(f"{name} was {decision.approval} before: that decision stands")
    package = decide(
        subject.adapter.packages,
        decision,
        confirm=lambda held: ask(announce(replace(subject, package=held), decision.approval)),
    )
    settled = settle_subject(arguments, shell, replace(subject, package=package))
    return conclude_one(shell, overtaken(settled, decision.approval))


def own_subject(session: "Session", package: str) -> "Subject | Foreign":
    """The package, if it is this project's. The comment tells who decided; who runs this makes no
    difference to it."""
    from ci.approval.subject import find_subject

    unsigned = replace(session, trigger=replace(session.trigger, actor=None))
    return find_subject(unsigned, package)


def settle_package(
    arguments: argparse.Namespace,
    shell: Shell,
    session: "Session",
    package: str,
    *,
    again: bool = True,
    named: bool = True,
) -> Settled:
    """Act on the package's status as the environment asks, and bring its report up to date.
    `again` False leaves one alone for which all that was done before. `named` says that somebody
    means this package: then it is an error that it is not this project's."""
    from ci.approval.subject import Foreign

    subject = own_subject(session, package)
    if isinstance(subject, Foreign):
        return _ignored(shell, subject, named=named)
    return settle_subject(arguments, shell, subject, again=again)


def settle_subject(
    arguments: argparse.Namespace, shell: Shell, subject: "Subject", *, again: bool = True
) -> Settled:
    """The same for a package that was found to be this project's."""
    from ci.approval.settling import Means, kept, settle
    from ci.cli.reporting import Reporter
    from ci.registry.decisions import is_settled

    now = datetime.fromtimestamp(shell.clock(), UTC)
    subject = kept(subject, now=now)
    held = subject.package
    if not again and is_settled(held):
        shell.say(f"{held.group} v{held.version} is {held.approval}, and nothing is left to do")
        return Settled(document=_document(held), error=_answer_codepipeline(shell, subject))
    reporter = Reporter(arguments, shell, subject.session, several=False)
    waiting = _waiting(arguments, shell, subject)
    means = Means(
        waiting=waiting,
        report=partial(_report, arguments, shell, reporter, waiting),
        answer=partial(_answer_codepipeline, shell),
        now=now,
        tell=shell.say,
    )
    done = settle(subject, means)
    for each in done.errors[1:]:
        shell.warn(f"error: {each}")
    return Settled(
        document=_document(done.package),
        reports=done.reports,
        error=next(iter(done.errors), None),
        reporter=reporter,
    )


def _ignored(shell: Shell, foreign: "Foreign", *, named: bool) -> Settled:
    shell.say(f"Ignored {foreign.package}: {foreign.reason}")
    document = {"model_package": foreign.package, "ignored": foreign.reason}
    return Settled(document=document, error=refused(foreign) if named else None)


def refused(foreign: "Foreign") -> GitOpsError:
    from ci.registry.decisions import ApprovalError

    return ApprovalError(
        "The package cannot be followed here: nothing was changed",
        where=foreign.package,
        why=f"{foreign.reason[:1].upper()}{foreign.reason[1:]}.",
        fix="Name one of this project: sagemaker-gitops status lists what waits.",
    )


def overtaken(settled: Settled, approval: "ApprovalStatus") -> Settled:
    """An error where somebody decided otherwise while this decision was followed."""
    from ci.registry.decisions import ApprovalError

    now = settled.document["approval"]
    if settled.error is not None or now == approval.value:
        return settled
    error = ApprovalError(
        f"The package is {now} by now, although it was set to {approval}",
        where=settled.document["model_package"],
        why=settled.document["description"] or "Someone else decided meanwhile.",
    )
    return replace(settled, error=error)


def _document(package: "ModelPackage") -> dict[str, Any]:
    return {
        "model_package": package.arn,
        "approval": package.approval.value,
        "description": package.approval_description,
    }


def _answer_codepipeline(shell: Shell, subject: "Subject") -> GitOpsError | None:
    """The manual approvals of CodePipeline that wait for this package get its decision: after the
    endpoint, which what is missing for this must not keep from its model."""
    from ci.approval.manual_approval import PLACES, parse_places

    try:
        places = parse_places(shell.environ.get(PLACES, ""), PLACES)
        if places:
            from ci.approval.approval_actions import answer_waiting
            from ci.sagemaker.codepipeline import CodePipeline

            adapter = subject.adapter
            service = CodePipeline(adapter.clients)
            answer_waiting(service, adapter.packages, subject.package, places, shell.say)
    except GitOpsError as error:
        return error
    return None


def _waiting(arguments: argparse.Namespace, shell: Shell, subject: "Subject") -> "Waiting":
    """For all that follows from one decision together."""
    import time

    from ci.delivery.evidence import Waiting

    deadline = settle_deadline(arguments.deadline) or subject.job.target.environment.deadline
    ends = time.monotonic() + (deadline or _PATIENCE)
    return Waiting(
        sleep=lambda seconds: shell.sleep(min(seconds, arguments.poll or seconds)),
        left=lambda: max(0.0, ends - time.monotonic()),
    )


def _report(
    arguments: argparse.Namespace,
    shell: Shell,
    reporter: "Reporter",
    waiting: "Waiting",
    subject: "Subject",
    notes: "Sequence[str]",
) -> "Ended":
    from ci.cli.following import make_stage
    from ci.delivery.deploy import attach

    with make_stage(arguments, shell, reporter, title=None) as stage:
        left = max(1.0, waiting.left() or 0.0)
        jobs = {subject.execution: subject.job}
        ended = attach(subject.session, jobs, left, stage, notes=notes)
    reporter.wait()
    return ended


def conclude_one(shell: Shell, settled: Settled) -> int:
    """Show what came of one package; the exit code. The verdict's own code is not the decision's:
    an approval that nothing was to follow from is done."""
    if settled.reporter is None:
        from ci.cli.outcome import tell_error

        if settled.error is not None:
            return tell_error(settled.error, shell, **settled.document, reports=[])
        shell.emit({**settled.document, "reports": []})
        return int(ExitCode.OK)
    unwritten = settled.reporter.conclude(
        settled.reports, settled.error, beside=settled.document, brief=True
    )
    return int(settled.code) or int(unwritten)
