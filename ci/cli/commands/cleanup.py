"""`cleanup`: stop and delete what a closed pull request made, and nothing else."""

import argparse
import time
from typing import TYPE_CHECKING

from ci.cli.confirming import add_confirmation_option, confirm
from ci.cli.options import add_follow_options, add_place_options, settle_deadline, settle_session
from ci.cli.shell import Shell
from ci.errors import ExitCode

if TYPE_CHECKING:
    from ci.upkeep.cleanup import Cleanup

_DEADLINE = 1200.0  # seconds; a stop waits for what runs in a step
_INTERVAL = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_confirmation_option(parser)
    add_place_options(parser)
    add_follow_options(parser)


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.delivery.evidence import Waiting
    from ci.upkeep.cleanup import clean_up

    session = settle_session(arguments, shell)
    seconds = settle_deadline(arguments.deadline)
    ends = time.monotonic() + (_DEADLINE if seconds is None else seconds)
    region = session.target(next(iter(session.project.pipelines))).region
    done = clean_up(
        session,
        session.adapter(region),
        Waiting(
            sleep=shell.sleep,
            left=lambda: ends - time.monotonic(),
            interval=arguments.poll or _INTERVAL,
        ),
        tell=shell.say,
        confirm=lambda doing: confirm(
            arguments, shell, ["Stopped and deleted will be:", *(f"  {each}" for each in doing)]
        ),
    )
    shell.show(_summary(done))
    _write_summary(done, session.trigger.pull_request, shell)
    shell.emit({"stopped": done.stopped, "deleted": done.deleted, "left": done.left})
    return int(ExitCode.OK)


def _summary(done: "Cleanup") -> str:
    if not (done.stopped or done.deleted or done.left):
        return "Nothing to clean up"
    return (
        f"Stopped {len(done.stopped)}, deleted {len(done.deleted)}, left {len(done.left)}"
        " that are not this pull request's"
    )


def _write_summary(done: "Cleanup", number: int | None, shell: Shell) -> None:
    from pathlib import Path

    from ci.forge.summary import write_summary
    from ci.report.escape import code

    file = shell.environ.get("GITHUB_STEP_SUMMARY")
    if not file:
        return
    lines = [f"### Cleanup of pull request {number}", "", _summary(done), ""]
    lines += [f"- deleted {code(each)}" for each in done.deleted]
    lines += [f"- left {code(each)}: {reason}" for each, reason in done.left.items()]
    write_summary(Path(file), lambda limit: "\n".join(lines)[:limit] + "\n")
