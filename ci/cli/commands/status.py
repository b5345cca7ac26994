"""`status`: what is deployed, ran, is approved or waits, and is served. Changes nothing."""

import argparse

from ci.cli.options import add_place_options, settle_pipelines, settle_session
from ci.cli.shell import Shell
from ci.errors import ExitCode

_THREADS = 8
_MOST = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pipelines", nargs="*", metavar="PIPELINE", help="default: all")
    parser.add_argument(
        "--executions",
        type=_count,
        default=5,
        metavar="COUNT",
        help=f"how many are shown, up to {_MOST}, a call or two for each; default: 5",
    )
    add_place_options(parser)
    parser.set_defaults(all=False)


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from concurrent.futures import ThreadPoolExecutor
    from datetime import UTC, datetime
    from functools import partial

    from ci.session.session import MAIN
    from ci.upkeep.standing import read_standing
    from ci.upkeep.standing_words import render_standing, standing_to_json

    if arguments.pull_request is None:
        arguments.environment = arguments.environment or MAIN
    session = settle_session(arguments, shell)
    names = settle_pipelines(arguments, session.project)
    read = partial(read_standing, session, executions=arguments.executions)
    # Made here: two threads would make two for one region.
    for name in names:
        session.adapter(session.target(name).region)
    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        found = list(pool.map(read, names))
    now = datetime.fromtimestamp(shell.clock(), UTC)
    for number, standing in enumerate(found):
        lines = [
            *([""] if number else []),
            *render_standing(standing, now=now, width=shell.columns),
        ]
        shell.show("\n".join(lines))
    shell.emit({"pipelines": [standing_to_json(standing) for standing in found]})
    return int(ExitCode.OK)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and {_MOST}")
    return int(text)
