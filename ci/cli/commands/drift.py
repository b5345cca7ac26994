"""`drift`: what is deployed and not in git. `--fix` applies git, and starts nothing."""

import argparse
from typing import TYPE_CHECKING, Any

from ci.cli.confirming import add_confirmation_option, confirm
from ci.cli.options import (
    add_pipeline_options,
    add_place_options,
    settle_pipelines,
    settle_session,
)
from ci.cli.shell import Shell
from ci.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from ci.session.session import Session
    from ci.upkeep.drifting import Drift, Stray


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pipeline_options(parser)
    add_place_options(parser)
    parser.add_argument(
        "--fix", action="store_true", help="bring what is deployed to what git says; starts nothing"
    )
    add_confirmation_option(parser)


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.delivery.planning import MAIN
    from ci.session.preparing import prepare_jobs
    from ci.session.session import parse_overrides
    from ci.upkeep.drifting import (
        apply_git,
        drifted,
        find_drift,
        find_strays,
        shared_session,
    )

    arguments.environment = arguments.environment or MAIN
    session = shared_session(settle_session(arguments, shell))
    if arguments.fix:
        _refuse_dirty(session)
    names = settle_pipelines(arguments, session.project)
    jobs = prepare_jobs(session, names, parse_overrides(arguments.parameter))
    adapter = session.adapter(jobs[0].target.region)
    drifts = [find_drift(adapter, job) for job in jobs]
    everything = len(names) == len(session.project.pipelines)
    strays = find_strays(session, adapter) if everything else ()
    for drift in drifts:
        _tell_drift(drift, shell, session)
    for stray in strays:
        _tell_stray(stray, shell)
    document: dict[str, Any] = {
        "drift": drifted(drifts, strays),
        "pipelines": [_document(drift) for drift in drifts],
        "strays": [_stray_document(stray) for stray in strays],
    }
    if arguments.fix:
        names = [drift.job.target.pipeline_name for drift in drifts if not drift.plan.empty]
        if names:
            confirm(arguments, shell, [f"Git will be applied to {', '.join(names)}"])
        drifts = [apply_git(adapter, drift, tell=shell.say) for drift in drifts]
        for line in (
            f"{drift.job.name}: still: {line}" for drift in drifts for line in drift.lines
        ):
            shell.show(line)
        document["fixed"] = [_document(drift) for drift in drifts]
    shell.emit(document)
    return int(ExitCode.FAILED if drifted(drifts, strays) else ExitCode.OK)


def _refuse_dirty(session: "Session") -> None:
    if session.trigger.dirty:
        raise UsageError(
            "the work tree holds changes that are not in the commit",
            where=str(session.project.root),
            why="--fix applies what git says",
            fix="git stash, or git commit",
        )


def _tell_drift(drift: "Drift", shell: Shell, session: "Session") -> None:
    from ci.plan.terminal import render_terminal

    name = drift.job.target.pipeline_name
    if drift.plan.empty:
        shell.show(f"{name}: what is deployed is what git says")
        return
    shell.show(f"{name}: what is deployed is not what git says. To apply git (--fix) changes:")
    shell.show(render_terminal(drift.plan, width=shell.columns, color=shell.color).rstrip("\n"))
    for text in drift.advice:
        shell.show(text)
    commit = drift.deployed_commit
    if commit is not None and commit != session.trigger.commit:
        here = session.trigger.commit[:12]
        shell.show(f"It was deployed from {commit[:12]}; here is {here}.")
    shell.workflow("error", "\n".join(drift.lines), title=f"{name} has drifted")


def _tell_stray(stray: "Stray", shell: Shell) -> None:
    what = f"{stray.name}: a stray pipeline: {stray.reason}"
    shell.show(f"{what}\n  --fix leaves it. To delete it with its history:")
    shell.show(f"  aws sagemaker delete-pipeline --pipeline-name {stray.name}")
    shell.workflow("error", what, title="Stray pipeline")


def _document(drift: "Drift") -> dict[str, Any]:
    from ci.plan.document import plan_to_json

    return {
        "pipeline": drift.job.name,
        "drift": not drift.plan.empty,
        "differences": list(drift.lines),
        "advice": list(drift.advice),
        "deployed_commit": drift.deployed_commit,
        "plan": plan_to_json(drift.plan),
    }


def _stray_document(stray: "Stray") -> dict[str, Any]:
    return {"name": stray.name, "arn": stray.arn, "reason": stray.reason, "commit": stray.commit}
