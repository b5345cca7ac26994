"""What `promote` and `rollback` share: the arguments, the move, and how it is told."""

import argparse
from itertools import chain
from typing import TYPE_CHECKING, Any

from ci.cli.confirming import add_confirmation_option, confirm
from ci.cli.options import add_place_options, settle_pipeline, settle_session
from ci.cli.shell import Shell
from ci.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from ci.sagemaker.model import PipelineVersion
    from ci.upkeep.versions import Move

DEFAULT_ALIAS = "production"


def add_move_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pipeline", nargs="?", metavar="PIPELINE", help="default: the project's only pipeline"
    )
    parser.add_argument(
        "--to", metavar="VERSION|COMMIT", help="a version's number, or 7 digits of a commit"
    )
    parser.add_argument("--alias", default=DEFAULT_ALIAS, help=f"default: {DEFAULT_ALIAS}")
    add_confirmation_option(parser)
    add_place_options(parser)


def move(arguments: argparse.Namespace, shell: Shell, decide: "Callable[..., Move]") -> int:
    from ci.delivery.planning import MAIN
    from ci.upkeep.models import compare_models
    from ci.upkeep.versions import move_alias, require_pipeline

    arguments.environment = arguments.environment or MAIN
    session = settle_session(arguments, shell)
    target = session.target(settle_pipeline(arguments.pipeline, session.project))
    adapter = session.adapter(target.region)
    deployed = require_pipeline(adapter, target.pipeline_name)
    decided = decide(adapter, deployed.name, to=arguments.to, alias=arguments.alias)
    old, new = decided.old, decided.new
    where = f"{deployed.name}: {arguments.alias}"
    if decided.needed:
        came = "it is at none" if old is None else f"it is at {_told(old)}"
        doing = f"{where} will move to {_told(new)}; {came}"
        compared = compare_models(adapter, deployed.name, decided, target.pipeline.metrics)
        confirm(arguments, shell, chain([doing], compared))
    move_alias(adapter, deployed, decided)
    if not decided.needed:
        shell.show(f"{where} is at {_told(new)} already")
    elif decided.completes:
        shell.show(f"{where} now at {_told(new)}: a move that was cut off is completed")
    elif old is None:
        shell.show(f"{where} now at {_told(new)}; it was at none")
    else:
        shell.show(f"{where} moved from {_told(old)} to {_told(new)}")
    shell.emit(
        {
            "pipeline": deployed.name,
            "alias": arguments.alias,
            "moved": decided.needed,
            "from": None if old is None else _document(old),
            "to": _document(new),
        }
    )
    return int(ExitCode.OK)


def _told(version: "PipelineVersion") -> str:
    from ci.upkeep.versions import commit_of

    commit = commit_of(version)
    return f"version {version.number}" + (f" ({commit[:12]})" if commit else "")


def _document(version: "PipelineVersion") -> dict[str, Any]:
    from ci.upkeep.versions import commit_of

    return {"version": version.number, "commit": commit_of(version)}
