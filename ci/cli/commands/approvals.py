"""`approvals sync`: what was decided elsewhere comes back to the endpoint and the comment."""

import argparse
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ci.cli.options import add_follow_options, add_place_options, settle_session
from ci.cli.shell import Shell
from ci.errors import ExitCode, GitOpsError, UsageError

if TYPE_CHECKING:
    from ci.cli.approving import Settled
    from ci.session.session import Session

_WEEK = "7d"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("sync",), help="bring back what was decided")
    parser.add_argument(
        "packages",
        nargs="*",
        metavar="ARN",
        help="default: the package that the event names, else all that changed since --since",
    )
    parser.add_argument("--since", metavar="TIME", help=f"how far back: 12h, 7d; default: {_WEEK}")
    add_place_options(parser)
    add_follow_options(parser)


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.cli.approving import conclude_one, settle_package

    session = settle_session(arguments, shell, anywhere=True)
    event = session.trigger.package
    named = list(arguments.packages) or ([event] if event and not arguments.since else [])
    # Events come twice and late, and of others' packages; who names a package means it.
    again = bool(arguments.packages)
    if len(named) == 1:
        arn = _checked(named[0])
        settled = settle_package(arguments, shell, session, arn, again=again, named=again)
        return conclude_one(shell, settled)
    arns = [_checked(arn) for arn in named] or _changed(arguments, shell, session)
    return _settle_all(arguments, shell, session, arns, again=again)


def _checked(arn: str) -> str:
    from ci.trigger.values import checked_package

    return checked_package(arn, "approvals sync")


def _changed(arguments: argparse.Namespace, shell: Shell, session: "Session") -> list[str]:
    from ci.approval.changed import decided_since
    from ci.project.durations import parse_duration

    try:
        seconds = parse_duration(arguments.since or _WEEK)
    except ValueError as error:
        raise UsageError(str(error), where="--since") from None
    since = datetime.fromtimestamp(shell.clock(), UTC) - timedelta(seconds=seconds)
    found = [package.arn for package in decided_since(session, since, tell=shell.say)]
    shell.say(f"{len(found)} packages were decided on since {since:%Y-%m-%d %H:%M} UTC")
    return found


def _settle_all(
    arguments: argparse.Namespace,
    shell: Shell,
    session: "Session",
    arns: list[str],
    *,
    again: bool,
) -> int:
    """Each for itself: what fails for one leaves the others to be done."""
    from ci.cli.approving import Settled, settle_package
    from ci.cli.outcome import tell_error

    settled: list[Settled] = []
    failed: list[GitOpsError] = []
    for arn in arns:
        try:
            found = settle_package(arguments, shell, session, arn, again=again, named=again)
            settled.append(_closed(found))
        except GitOpsError as error:
            settled.append(Settled(document={"model_package": arn}, error=error))
    for each in settled:
        if each.error is not None:
            failed.append(each.error)
            shell.warn(f"error: {each.error}")
    documents = [_document(each) for each in settled]
    if failed:
        return tell_error(failed[0], shell, packages=documents)
    shell.emit({"packages": documents})
    return int(ExitCode.OK)


def _closed(settled: "Settled") -> "Settled":
    if settled.reporter is not None:
        settled.reporter.close()
    return settled


def _document(settled: "Settled") -> dict[str, object]:
    error = settled.error
    return {**settled.document, "problem": None if error is None else error.what}
