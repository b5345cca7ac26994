"""The two commands that decide on a model package: `approve` and `reject`."""

import argparse
from typing import TYPE_CHECKING

from ci.cli.options import add_place_options, settle_session
from ci.cli.shell import Shell
from ci.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from ci.sagemaker.model import ApprovalStatus


def add_decision_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("package", metavar="ARN", help="the model package, as the report names it")
    parser.add_argument("--reason", default="", help="kept with the package")
    parser.add_argument(
        "--from",
        dest="expected",
        default="PendingManualApproval",
        choices=("PendingManualApproval", "Approved", "Rejected"),
        help="the status the package must have; any other changes nothing",
    )
    add_place_options(parser)


def decide_on_package(
    arguments: argparse.Namespace, shell: Shell, approval: "ApprovalStatus"
) -> int:
    from ci.registry.packages import Decision, decide
    from ci.sagemaker.model import ApprovalStatus

    if ":model-package/" not in arguments.package:
        raise UsageError(
            f"{arguments.package!r} is not the ARN of a model package",
            fix="The report of the execution names it.",
        )
    session = settle_session(arguments, shell, anywhere=True)
    actor = session.trigger.actor or shell.environ.get("USER") or "unknown"
    adapter = session.adapter(arguments.package.split(":")[3])
    package = decide(
        adapter.packages,
        Decision(
            package=arguments.package,
            approval=approval,
            expected=ApprovalStatus(arguments.expected),
            actor=actor,
            reason=arguments.reason,
            pull_request=session.trigger.pull_request,
        ),
    )
    shell.say(f"{package.group} v{package.version}: {package.approval_description}")
    shell.emit(
        {
            "model_package": package.arn,
            "approval": package.approval.value,
            "description": package.approval_description,
        }
    )
    return int(ExitCode.OK)
