"""`reject`: set a model package Rejected, with who, why and when."""

import argparse

from ci.cli.deciding import add_decision_arguments, decide_on_package
from ci.cli.shell import Shell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_decision_arguments(parser)
    parser.set_defaults(unreviewed=True)


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.sagemaker.model import ApprovalStatus

    return decide_on_package(arguments, shell, ApprovalStatus.REJECTED)
