"""`rollback`: move a pipeline's alias back to the version before, or to any."""

import argparse

from ci.cli.moving import add_move_arguments, move
from ci.cli.shell import Shell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_move_arguments(parser)


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.upkeep.versions import plan_rollback

    return move(arguments, shell, plan_rollback)
