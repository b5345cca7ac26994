"""The two commands that decide on a model package: `approve` and `reject`."""

import argparse
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from ci.cli.confirming import add_confirmation_option, confirm
from ci.cli.options import add_follow_options, add_place_options, settle_commit, settle_session
from ci.cli.shell import Shell
from ci.errors import AwsError, ForgeError, GitOpsError, TriggerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ci.approval.reported import Reported
    from ci.sagemaker.model import ApprovalStatus
    from ci.session.session import Session

# The event of a workflow that a person starts, by its name.
_BY_HAND = "workflow_dispatch"


def add_decision_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "package",
        nargs="?",
        metavar="ARN|PIPELINE",
        help="the model package, as the report names it; or the pipeline whose package is"
        " reported of the pull request or the commit, or else waits alone in the environment;"
        " default: the only one that is reported",
    )
    parser.add_argument("--reason", default="", help="kept with the package")
    parser.add_argument(
        "--commit", help="the commit it must be of (7 digits are enough); another changes nothing"
    )
    parser.add_argument(
        "--from",
        dest="expected",
        default="PendingManualApproval",
        choices=("PendingManualApproval", "Approved", "Rejected"),
        help="the status the package must have; any other changes nothing",
    )
    add_confirmation_option(parser)
    add_place_options(parser)
    add_follow_options(parser)


def decide_on_package(
    arguments: argparse.Namespace, shell: Shell, approval: "ApprovalStatus"
) -> int:
    """Decide on the package that is named, or that is reported."""
    from ci.cli.approving import carry_out
    from ci.registry.decisions import Decision
    from ci.sagemaker.model import ApprovalStatus

    arguments.commit = settle_commit(arguments.commit, shell)
    session = settle_session(arguments, shell, anywhere=True)
    decision = Decision(
        package=_settle_arn(arguments, shell, session, approval),
        approval=approval,
        expected=ApprovalStatus(arguments.expected),
        actor=_actor(arguments, shell, session),
        at=datetime.fromtimestamp(shell.clock(), UTC),
        reason=arguments.reason,
        pull_request=session.trigger.pull_request,
        commit=arguments.commit,
    )
    ask = partial(confirm, arguments, shell)
    return carry_out(arguments, shell, session, decision, ask=ask)


def _settle_arn(
    arguments: argparse.Namespace, shell: Shell, session: "Session", approval: "ApprovalStatus"
) -> str:
    from ci.trigger.values import checked_package

    named = arguments.package
    if named is not None and named not in session.project.pipelines:
        try:
            return checked_package(named, "the argument")
        except TriggerError:
            raise UsageError(
                f"{named!r} is not the ARN of a model package, nor a pipeline's name",
                fix="The report of the execution names it.",
            ) from None
    return _find(arguments, shell, session, approval)


def _find(
    arguments: argparse.Namespace, shell: Shell, session: "Session", approval: "ApprovalStatus"
) -> str:
    """The package that is reported of the pull request, or of the commit."""
    from ci.approval.reported import choose_reported, from_executions
    from ci.sagemaker.model import ApprovalStatus

    pipeline = arguments.package
    if session.trigger.pull_request is not None or arguments.commit is not None:
        reported = _shown(arguments, shell, session) or from_executions(
            session, commit=arguments.commit
        )
        found = [each for each in reported if pipeline in {None, each.pipeline}]
    elif pipeline is not None:
        found = list(_of_pipeline(session, pipeline))
    else:
        raise UsageError(
            "no model package is named",
            fix="approve ARN | PIPELINE | --pull-request NUMBER | --commit COMMIT; status lists"
            " what waits",
        )
    chosen = choose_reported(
        found,
        expected=ApprovalStatus(arguments.expected),
        approval=approval,
        commit=arguments.commit,
        how=lambda each: _how(session, each),
    )
    shell.say(
        f"{chosen.pipeline} in {chosen.environment} at {chosen.commit[:12]}: {chosen.package.arn}"
    )
    return chosen.package.arn


def _of_pipeline(session: "Session", pipeline: str) -> "Iterator[Reported]":
    """What HEAD's execution registered; where HEAD has none, what waits in the environment."""
    from ci.approval.reported import Reported, from_executions
    from ci.execution.find import find_executions
    from ci.registry.packages import read_provenance
    from ci.upkeep.standing import read_waiting

    target, head = session.target(pipeline), session.trigger.commit
    executions = session.adapter(target.region).executions
    found = find_executions(
        executions, target.pipeline_name, commit=head, environment=session.environment
    )
    if next(iter(found), None) is not None:
        yield from from_executions(session, commit=head, pipelines=[pipeline])
        return
    for package in read_waiting(session, pipeline):
        made = read_provenance(package)
        if made is not None:
            yield Reported(
                pipeline=pipeline,
                environment=session.environment,
                commit=made.commit,
                execution=made.execution,
                package=package,
            )


def _how(session: "Session", each: "Reported") -> str:
    if not session.project.report.mask_accounts:
        return each.package.arn
    named = f"{each.pipeline} --environment {each.environment}"
    of_one = session.trigger.pull_request is not None
    return named if of_one else f"{named} --commit {each.commit[:12]}"


def _shown(arguments: argparse.Namespace, shell: Shell, session: "Session") -> "list[Reported]":
    """What the pull request's comments name; nothing where the forge cannot be asked."""
    from ci.approval.reported import from_reports, shown_reports
    from ci.posting.place import find_place

    number = session.trigger.pull_request
    place = find_place(session.project.file, session.environ).project
    try:
        forge = session.forge(sleep=shell.pause, learn=shell.learn)
        shown = () if forge is None or number is None else shown_reports(forge, number, place)
    except ForgeError as error:
        shell.warn(f"warning: {error}")
        return []
    wanted = arguments.environment
    meant = (each for each in shown if wanted in {None, "", each.marker.environment})
    return list(from_reports(session, meant))


def _actor(arguments: argparse.Namespace, shell: Shell, session: "Session") -> str:
    """Whoever let this job into its protected environment, where the forge tells that; else who
    started it, else whoever sits here. A job that an event set off was started by nobody who
    looked at the model: ApprovalError where nobody has let it in either."""
    started = session.trigger.actor or shell.environ.get("USER") or "unknown"
    run = shell.environ.get("GITHUB_RUN_ID", "")
    if not run:
        return started
    bound = not arguments.unreviewed and shell.environ.get("GITHUB_EVENT_NAME") != _BY_HAND
    try:
        reviewers = _reviewers(shell, session, run)
    except ForgeError as error:
        if bound:
            raise
        shell.warn(f"warning: {error}")
        return started
    if not reviewers and bound:
        raise _unreviewed(started)
    return " and ".join(reviewers[:3]) or started


def _unreviewed(started: str) -> GitOpsError:
    from ci.registry.decisions import ApprovalError

    return ApprovalError(
        "No reviewer let this job into its environment: nothing was changed",
        why=f"An event set it off, of {started}, and the environment has no required reviewers"
        " (or the job names none).",
        fix="Name the reviewers in the settings of the job's GitHub Environment, then approve by"
        " hand what waits by now. To approve without them: --unreviewed",
    )


def _reviewers(shell: Shell, session: "Session", run: str) -> tuple[str, ...]:
    """Who let this job in. Its GitHub Environment is the repository's own choice, and none of the
    project file's; where the job may not ask which it is, the run's only one counts."""
    from ci.forge.model import Reviewed
    from ci.sagemaker.credentials import find_web_identity, job_environment

    forge = session.forge(sleep=shell.pause, learn=shell.learn)
    if forge is None or not isinstance(forge, Reviewed):
        return ()
    identity = find_web_identity(session.environ)
    try:
        place = None if identity is None else job_environment(identity)
    except AwsError as error:
        shell.warn(f"warning: {error}")
        identity = place = None
    if identity is not None and place is None:
        return ()
    return forge.approvers_of(run, place)
