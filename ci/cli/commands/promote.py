"""`promote`: move a pipeline's alias to a version, by number or by commit."""

import argparse

from ci.cli.moving import add_move_arguments, move
from ci.cli.shell import Shell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_move_arguments(parser)


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.errors import UsageError
    from ci.upkeep.versions import plan_promotion

    if arguments.to is None:
        raise UsageError(
            "what to promote is missing", where="--to", fix="--to VERSION, or --to COMMIT"
        )
    return move(arguments, shell, plan_promotion)
