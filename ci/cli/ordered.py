"""Carries out what a comment ordered, by the commands that do the same elsewhere."""

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ci.cli.options import settle_session
from ci.cli.shell import Shell
from ci.errors import UsageError

if TYPE_CHECKING:
    from ci.delivery.chat import Order
    from ci.forge.model import Forge, PullRequest
    from ci.project.model import Project
    from ci.trigger.model import Remark, Trigger


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
    from ci.approval.asked import was_run
    from ci.cli.commands import deploy
    from ci.cli.previewing import preview
    from ci.delivery.chat import Verb
    from ci.delivery.choosing import Action, choose_action
    from ci.posting.place import find_place
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
        if was_run(forge, trigger, find_place(project.file, shell.environ).project):
            # The report of a run shows the plan as well, and names the model to decide on.
            shell.say("The plan stands in the report of this commit's run: no comment is posted")
            arguments.comment = "false"
        return preview(arguments, shell)
    choice = choose_action(project, trigger, named=arguments.environment)
    if choice.action is not Action.RUN:
        raise UsageError(f"not run: {choice.reason}")
    arguments.again = order.again
    return deploy.run(arguments, shell)


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
    from ci.approval.asked import find_asked, refuse_unseen
    from ci.cli.approving import carry_out
    from ci.delivery.chat import Verb
    from ci.registry.decisions import Decision
    from ci.sagemaker.model import ApprovalStatus

    approving = order.verb is Verb.APPROVE
    approval = ApprovalStatus.APPROVED if approving else ApprovalStatus.REJECTED
    arguments.environment = None
    session = settle_session(arguments, shell, anywhere=True)
    chosen = find_asked(session, order, approval, pull=pull, forge=forge)
    if chosen.package.approval is not approval:
        refuse_unseen(chosen, remark)
    # A package of another environment than the report names is refused.
    arguments.environment = chosen.environment
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
