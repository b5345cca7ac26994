"""Decides what an execution leaves among the repository's deployments.

One for each pipeline, environment and commit. A success puts the earlier ones of the pipeline in
the environment out of use, and no other pipeline's.
"""

from dataclasses import replace

from ci.forge.marks import Deployment, Deployments, DeploymentState, DeploymentStatus
from ci.forge.model import UncertainWrite
from ci.forge.status import DESCRIPTION, mark_name, run_url
from ci.metrics.model import Outcome
from ci.report.links import job_link
from ci.report.model import Report, State
from ci.report.words import headline
from ci.text.clean import clean, cut
from ci.text.redact import Redactor

_MAIN = "main"
# Older ones were put out of use when these were.
_LOOKS = 10
_IN_USE = frozenset({DeploymentState.SUCCESS, DeploymentState.PENDING})


def deployment_of(report: Report, *, redactor: Redactor | None = None) -> Deployment | None:
    """None where nothing was started: a plan deploys nothing."""
    shown = (redactor or Redactor()).value(report)
    if shown.execution is None:
        return None
    payload = {
        "pipeline": shown.pipeline,
        "pipeline_name": shown.pipeline_name,
        "execution": shown.execution.arn,
        **({"digest": shown.digest} if shown.digest else {}),
    }
    return Deployment(
        commit=report.trigger.commit,
        environment=clean(shown.environment),
        task=mark_name(shown.project, shown.pipeline, shown.environment),
        description=cut(f"{shown.pipeline} as {shown.pipeline_name}", DESCRIPTION),
        payload=tuple(payload.items()),
        production=shown.environment == _MAIN,
        status=DeploymentStatus(
            state=_state(shown),
            description=cut(clean(headline(shown)), DESCRIPTION),
            log_url=run_url(shown.trigger),
            environment_url=_environment_url(shown),
        ),
    )


def post_deployment(forge: Deployments, deployment: Deployment) -> None:
    """Bring the commit's deployment to its status. ForgeError where the forge refuses."""
    environment, task, commit = deployment.environment, deployment.task, deployment.commit
    there = forge.deployments(environment, task, commit=commit)
    number = min(there) if there else _create(forge, deployment)
    if forge.deployment_status(number) != deployment.status:
        forge.set_deployment_status(number, deployment.status)
    if deployment.status.state is DeploymentState.SUCCESS:
        _retire(forge, deployment, number)


def _create(forge: Deployments, deployment: Deployment) -> int:
    """Two runs may do this at the same moment: the oldest stays, and the other is put out of
    use."""
    environment, task, commit = deployment.environment, deployment.task, deployment.commit
    made: int | None = None
    try:
        made = forge.create_deployment(deployment)
    except UncertainWrite:
        if not forge.deployments(environment, task, commit=commit):
            made = forge.create_deployment(deployment)
    kept = min(forge.deployments(environment, task, commit=commit) or (made or 0,))
    if made is not None and made != kept:
        forge.set_deployment_status(made, DeploymentStatus(state=DeploymentState.INACTIVE))
    return kept


def _retire(forge: Deployments, deployment: Deployment, number: int) -> None:
    newer = f"Commit {deployment.commit[:12]} took its place"
    older = [
        each for each in forge.deployments(deployment.environment, deployment.task) if each < number
    ]
    for other in older[:_LOOKS]:
        status = forge.deployment_status(other)
        if status is not None and status.state is DeploymentState.INACTIVE:
            return
        if status is not None and status.state in _IN_USE:
            retired = replace(status, state=DeploymentState.INACTIVE, description=newer)
            forge.set_deployment_status(other, retired)


def _environment_url(report: Report) -> str | None:
    """The endpoint, where one was read back."""
    if report.endpoint is None or report.execution is None:
        return None
    account, _, _ = report.execution.arn.partition(":pipeline/")
    place = job_link(f"{account}:endpoint/{report.endpoint.name}")
    return place.url if place else None


def _state(report: Report) -> DeploymentState:
    """A model that waits for its approval is not deployed yet, and one that was refused never."""
    if report.state is State.SUPERSEDED:
        return DeploymentState.INACTIVE
    if report.verdict is None:
        return DeploymentState.IN_PROGRESS
    states = {
        Outcome.RUNNING: DeploymentState.IN_PROGRESS,
        Outcome.SUCCEEDED: DeploymentState.SUCCESS,
        Outcome.APPROVAL_PENDING: DeploymentState.PENDING,
        Outcome.REJECTED: DeploymentState.FAILURE,
        Outcome.GATE_FAILED: DeploymentState.FAILURE,
        Outcome.FAILED: DeploymentState.FAILURE,
        Outcome.NOT_REGISTERED: DeploymentState.FAILURE,
        Outcome.UNVERIFIED: DeploymentState.ERROR,
        Outcome.STOPPED: DeploymentState.ERROR,
    }
    return states[report.verdict.outcome]
