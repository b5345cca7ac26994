"""Which execution the arguments of `attach` and `stop` name."""

import argparse
from typing import TYPE_CHECKING

from ci.cli.shell import Shell

if TYPE_CHECKING:
    from ci.delivery.job import Job
    from ci.delivery.session import Session


def settle_execution(
    arguments: argparse.Namespace, shell: Shell, session: "Session"
) -> "tuple[Session, str, Job]":
    """The session as the execution's own commit has it, the ARN, and the job it is of."""
    from ci.delivery.pickup import find_arn, pick_up
    from ci.project.select import select_pipelines

    named = arguments.execution
    if named is not None and named.startswith("arn:"):
        region = named.split(":")[3]
        found = pick_up(session, session.adapter(region), named)
        return found[0], named, found[1]
    chosen = select_pipelines(session.project, [named] if named else [])
    if len(chosen) > 1:
        from ci.errors import UsageError

        names = " | ".join(pipeline.name for pipeline in chosen)
        raise UsageError("the project has several pipelines", fix=f"name one of them: {names}")
    target = session.target(chosen[0].name)
    adapter = session.adapter(target.region)
    arn = find_arn(session, adapter, target, arguments.commit)
    shell.say(f"Found {arn}")
    found = pick_up(session, adapter, arn)
    return found[0], arn, found[1]
