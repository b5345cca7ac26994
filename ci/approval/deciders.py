"""Decides in whose name a command approves or rejects."""

from collections.abc import Callable, Mapping

from ci.errors import AwsError, ForgeError
from ci.forge.model import Forge, Reviewed
from ci.registry.decisions import ApprovalError
from ci.sagemaker.credentials import find_web_identity, job_environment

# The event of a workflow that a person starts, by its name.
_BY_HAND = "workflow_dispatch"


def find_decider(
    started: str,
    environ: Mapping[str, str],
    *,
    unreviewed: bool,
    forge: Callable[[], Forge | None],
    warn: Callable[[str], None],
) -> str:
    """Whoever let this job into its protected environment, where the forge tells that; else who
    `started` it. A job that an event set off was started by nobody who looked at the model:
    ApprovalError where nobody has let it in either, ForgeError where that cannot be read; but for
    `unreviewed`, which takes whoever set it off."""
    run = environ.get("GITHUB_RUN_ID", "")
    if not run:
        return started
    bound = not unreviewed and environ.get("GITHUB_EVENT_NAME") != _BY_HAND
    try:
        reviewers = _reviewers(run, environ, forge=forge, warn=warn)
    except ForgeError as error:
        if bound:
            raise
        warn(f"warning: {error}")
        return started
    if not reviewers and bound:
        raise ApprovalError(
            "No reviewer let this job into its environment: nothing was changed",
            why=f"An event set it off, of {started}, and the environment has no required reviewers"
            " (or the job names none).",
            fix="Name the reviewers in the settings of the job's GitHub Environment, then approve"
            " by hand what waits by now. To approve without them: --unreviewed",
        )
    return " and ".join(reviewers[:3]) or started


def _reviewers(
    run: str,
    environ: Mapping[str, str],
    *,
    forge: Callable[[], Forge | None],
    warn: Callable[[str], None],
) -> tuple[str, ...]:
    """Who let this job in. Its GitHub Environment is the repository's own choice, and none of the
    project file's; where the job may not ask which it is, the run's only one counts."""
    opened = forge()
    if opened is None or not isinstance(opened, Reviewed):
        return ()
    identity = find_web_identity(environ)
    try:
        place = None if identity is None else job_environment(identity)
    except AwsError as error:
        warn(f"warning: {error}")
        identity = place = None
    if identity is not None and place is None:
        return ()
    return opened.approvers_of(run, place)
