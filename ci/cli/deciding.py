"""The two commands that decide on a model package: `approve` and `reject`."""

import argparse
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from ci.cli.confirming import add_confirmation_option, confirm
from ci.cli.options import add_follow_options, add_place_options, settle_commit, settle_session
from ci.cli.shell import Shell
from ci.errors import TriggerError, UsageError

if TYPE_CHECKING:
    from ci.sagemaker.model import ApprovalStatus
    from ci.session.session import Session


def add_decision_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "package",
        nargs="?",
        metavar="ARN|PIPELINE",
        help="the model package, as the report names it; or the pipeline whose package is"
        " reported of the pull request or the commit, or else waits alone in the environment;"
        " default: the only one that is reported",
    )
    parser.add_argument("--reason", default="", help="kept with the package")
    parser.add_argument(
        "--commit", help="the commit it must be of (7 digits are enough); another changes nothing"
    )
    parser.add_argument(
        "--from",
        dest="expected",
        default="PendingManualApproval",
        choices=("PendingManualApproval", "Approved", "Rejected"),
        help="the status the package must have; any other changes nothing",
    )
    add_confirmation_option(parser)
    add_place_options(parser)
    add_follow_options(parser)


def decide_on_package(
    arguments: argparse.Namespace, shell: Shell, approval: "ApprovalStatus"
) -> int:
    """Decide on the package that is named, or that is reported."""
    from ci.approval.deciders import find_decider
    from ci.cli.approving import carry_out
    from ci.registry.decisions import Decision
    from ci.sagemaker.model import ApprovalStatus

    arguments.commit = settle_commit(arguments.commit, shell)
    session = settle_session(arguments, shell, anywhere=True)
    decision = Decision(
        package=_settle_arn(arguments, shell, session, approval),
        approval=approval,
        expected=ApprovalStatus(arguments.expected),
        actor=find_decider(
            session.trigger.actor or shell.environ.get("USER") or "unknown",
            session.environ,
            unreviewed=arguments.unreviewed,
            forge=partial(session.forge, sleep=shell.pause, learn=shell.learn),
            warn=shell.warn,
        ),
        at=datetime.fromtimestamp(shell.clock(), UTC),
        reason=arguments.reason,
        pull_request=session.trigger.pull_request,
        commit=arguments.commit,
    )
    ask = partial(confirm, arguments, shell)
    return carry_out(arguments, shell, session, decision, ask=ask)


def _settle_arn(
    arguments: argparse.Namespace, shell: Shell, session: "Session", approval: "ApprovalStatus"
) -> str:
    from ci.approval.named import Wanted, find_named
    from ci.sagemaker.model import ApprovalStatus
    from ci.trigger.values import checked_package

    named = arguments.package
    if named is not None and named not in session.project.pipelines:
        try:
            return checked_package(named, "the argument")
        except TriggerError:
            raise UsageError(
                f"{named!r} is not the ARN of a model package, nor a pipeline's name",
                fix="The report of the execution names it.",
            ) from None
    wanted = Wanted(
        expected=ApprovalStatus(arguments.expected),
        approval=approval,
        pipeline=named,
        commit=arguments.commit,
        environment=arguments.environment,
    )
    forge = partial(session.forge, sleep=shell.pause, learn=shell.learn)
    found = find_named(session, wanted, forge=forge, warn=shell.warn)
    place = f"{found.pipeline} in {found.environment} at {found.commit[:12]}"
    shell.say(f"{place}: {found.package.arn}")
    return found.package.arn
