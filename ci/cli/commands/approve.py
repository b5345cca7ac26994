"""`approve`: set a model package Approved, with who, why and when."""

import argparse

from ci.cli.deciding import add_decision_arguments, decide_on_package
from ci.cli.shell import Shell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_decision_arguments(parser)
    parser.add_argument(
        "--unreviewed",
        action="store_true",
        help="in a GitHub job that no reviewer let in and nobody started by hand: approve in the"
        " name of whoever set it off",
    )


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.sagemaker.model import ApprovalStatus

    return decide_on_package(arguments, shell, ApprovalStatus.APPROVED)
