"""`attach`: follow an execution that was started before, to its verdict and report."""

import argparse

from ci.cli.picking import add_picking_arguments, follow_picked, settle_execution, tell_ended
from ci.cli.shell import Shell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_picking_arguments(parser)


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.cli.following import finish

    picked = settle_execution(arguments, shell)
    tell_ended(shell, picked)
    return finish(*follow_picked(arguments, shell, picked))
