"""Carries out what a comment ordered, by the commands that do the same elsewhere."""

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ci.cli.options import settle_session
from ci.cli.shell import Shell
from ci.errors import ExitCode, GitOpsError, UsageError

if TYPE_CHECKING:
    from ci.approval.reported import Reported
    from ci.delivery.chat import Order
    from ci.forge.model import Forge, PullRequest
    from ci.project.model import Project
    from ci.report.marker import Marker
    from ci.sagemaker.model import ApprovalStatus
    from ci.session.session import Session
    from ci.trigger.model import Remark, Trigger


class Refused(GitOpsError):
    """An order that is not obeyed."""

    exit_code = ExitCode.USAGE


def run_code(
    arguments: argparse.Namespace,
    shell: Shell,
    project: "Project",
    trigger: "Trigger",
    order: "Order",
    *,
    forge: "Forge",
) -> int:
    """`run` and `plan`, in a checkout of the commit that is meant."""
    from ci.cli.commands import auto, deploy
    from ci.delivery.chat import Verb
    from ci.delivery.choosing import Action, choose_action
    from ci.project.model import CompileMode

    arguments.settled_trigger = trigger
    arguments.pull_request = trigger.pull_request
    arguments.environment = order.environment or arguments.environment or "pull_request"
    if order.pipeline is not None:
        arguments.pipelines = [order.pipeline]
    for name in arguments.pipelines or project.pipelines:
        if project.pipelines[name].compile is CompileMode.LIVE:
            raise UsageError(
                f"{name} is not compiled for a comment",
                why="`compile: live` gives the pull request's code this job's credentials",
                fix="compile: hermetic",
            )
    if order.verb is Verb.PLAN:
        if _was_run(shell, forge, project, trigger):
            # The report of a run shows the plan as well, and names the model to decide on.
            shell.say("The plan stands in the report of this commit's run: no comment is posted")
            arguments.comment = "false"
        return auto.plan(arguments, shell)
    choice = choose_action(project, trigger, named=arguments.environment)
    if choice.action is not Action.RUN:
        raise UsageError(f"not run: {choice.reason}")
    arguments.again = order.again
    return deploy.run(arguments, shell)


def _was_run(shell: Shell, forge: "Forge", project: "Project", trigger: "Trigger") -> bool:
    from ci.approval.reported import shown_reports
    from ci.posting.place import find_place

    place = find_place(project.file, shell.environ).project
    markers = (each.marker for each in shown_reports(forge, trigger.pull_request or 0, place))
    return any(m.commit == trigger.commit and m.execution is not None for m in markers)


def decide_or_stop(
    arguments: argparse.Namespace,
    shell: Shell,
    trigger: "Trigger",
    order: "Order",
    *,
    remark: "Remark",
    pull: "PullRequest",
    forge: "Forge",
) -> int:
    """`approve`, `reject` and `stop`, by the default branch's project file."""
    from ci.cli.commands import stop
    from ci.delivery.chat import Verb

    arguments.settled_trigger = trigger
    if order.verb is Verb.STOP:
        arguments.environment = order.environment or "pull_request"
        arguments.execution, arguments.commit = order.pipeline, order.commit
        return stop.run(arguments, shell)
    return _decide(arguments, shell, order, remark=remark, pull=pull, forge=forge)


def _decide(
    arguments: argparse.Namespace,
    shell: Shell,
    order: "Order",
    *,
    remark: "Remark",
    pull: "PullRequest",
    forge: "Forge",
) -> int:
    from ci.cli.approving import carry_out
    from ci.delivery.chat import Verb
    from ci.registry.decisions import Decision
    from ci.sagemaker.model import ApprovalStatus

    approving = order.verb is Verb.APPROVE
    approval = ApprovalStatus.APPROVED if approving else ApprovalStatus.REJECTED
    arguments.environment = None
    session = settle_session(arguments, shell, anywhere=True)
    chosen = _reported(session, order, approval, pull=pull, forge=forge)
    if chosen.package.approval is not approval:
        _refuse_unseen(chosen, remark)
    decision = Decision(
        package=chosen.package.arn,
        approval=approval,
        expected=ApprovalStatus.PENDING,
        actor=session.trigger.actor or "unknown",
        at=datetime.fromtimestamp(shell.clock(), UTC),
        reason=order.reason,
        pull_request=pull.number,
        commit=chosen.commit,
    )
    return carry_out(arguments, shell, session, decision)


def _reported(
    session: "Session",
    order: "Order",
    approval: "ApprovalStatus",
    *,
    pull: "PullRequest",
    forge: "Forge",
) -> "Reported":
    """The package that this pull request's comments report, of the commit that is its head or, once
    it was merged, of the commit that came of it."""
    from ci.approval.reported import choose_reported, from_reports, shown_reports
    from ci.posting.place import find_place
    from ci.sagemaker.model import ApprovalStatus

    place = find_place(session.project.file, session.environ).project
    meant = [
        each
        for each in shown_reports(forge, pull.number, place)
        if order.pipeline in {None, each.marker.pipeline}
        and order.environment in {None, each.marker.environment}
        and _is_of(each.marker, pull, forge)
    ]
    return choose_reported(
        list(from_reports(session, meant)),
        expected=ApprovalStatus.PENDING,
        approval=approval,
        how=lambda each: (
            f"/sagemaker {order.verb} --pipeline {each.pipeline} --environment {each.environment}"
            f"{' REASON' if order.reason else ''}"
        ),
    )


def _refuse_unseen(chosen: "Reported", remark: "Remark") -> None:
    from ci.delivery.chat import unseen
    from ci.report.model import State

    shown = chosen.shown
    running = shown is not None and shown.marker.state in {State.PLANNED, State.RUNNING}
    changed = None if shown is None else shown.changed
    reason = unseen(remark, changed=changed, final=not running)
    if reason is not None:
        raise Refused(
            f"not done: of {chosen.pipeline} in {chosen.environment}, {reason}",
            where=chosen.package.arn,
        )


def _is_of(marker: "Marker", pull: "PullRequest", forge: "Forge") -> bool:
    if marker.commit == pull.head:
        return True
    return pull.merged and forge.pull_request_of(marker.commit) == pull.number
