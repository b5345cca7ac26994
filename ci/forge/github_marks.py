"""Check runs, deployments and labels of one GitHub repository."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.parse import quote, urlencode

from ci.errors import ForgeError
from ci.forge.http import Client
from ci.forge.marks import (
    Annotation,
    Check,
    CheckRun,
    Deployment,
    DeploymentState,
    DeploymentStatus,
    Label,
    Level,
)
from ci.forge.model import PermissionMissing
from ci.forge.payload import member_in, number_in, text_in

CHECKS = {"checks": "write"}
DEPLOYMENTS = {"deployments": "write"}
LABELS = {"issues": "write", "pull-requests": "write"}
# "a maximum of 50 per API request" (GitHub REST API, "Create a check run").
_ANNOTATIONS = 50
_DEPLOYMENTS = 30


class GitHubMarks:
    """`repository` is the path of the repository in the API: `/repos/owner/name`."""

    def __init__(self, client: Client, repository: str) -> None:
        self._client = client
        self._repository = repository

    def check_runs(self, check: Check) -> tuple[CheckRun, ...]:
        query = urlencode({"check_name": check.name, "filter": "all", "per_page": 100})
        path = f"{self._repository}/commits/{quote(check.commit, safe='')}/check-runs?{query}"
        pages = self._client.pages(
            path, purpose="read the commit's check runs", needs=CHECKS, within="check_runs"
        )
        found = [
            _check_run(item) for item in pages if text_in(item, "external_id") == check.reference
        ]
        return tuple(sorted(found, key=lambda run: run.id))

    def create_check_run(self, check: Check) -> CheckRun:
        first, *others = _portions(check.annotations)
        body = {"name": check.name, "head_sha": check.commit, **_check_body(check, first)}
        path = f"{self._repository}/check-runs"
        purpose = "create a check run"
        made = _check_run(
            self._client.request("POST", path, body=body, purpose=purpose, needs=CHECKS)
        )
        self._annotate(made, check, others)
        return made

    def update_check_run(self, run: CheckRun, check: Check) -> None:
        self._annotate(run, check, _portions(check.annotations))

    def _annotate(
        self, run: CheckRun, check: Check, portions: list[tuple[Annotation, ...]]
    ) -> None:
        """Every update adds its annotations to those that are there."""
        path = f"{self._repository}/check-runs/{run.id}"
        for portion in portions:
            body = _check_body(check, portion)
            purpose = "update the check run"
            self._client.request("PATCH", path, body=body, purpose=purpose, needs=CHECKS)

    def annotations(self, run: CheckRun) -> tuple[Annotation, ...]:
        path = f"{self._repository}/check-runs/{run.id}/annotations?per_page=100"
        purpose = "read the check run's annotations"
        pages = self._client.pages(path, purpose=purpose, needs=CHECKS)
        return tuple(_annotation(item) for item in pages)

    def deployments(
        self, environment: str, task: str, *, commit: str | None = None
    ) -> tuple[int, ...]:
        wanted = {"environment": environment, "task": task, "per_page": _DEPLOYMENTS}
        query = urlencode({**wanted, "sha": commit} if commit else wanted)
        path = f"{self._repository}/deployments?{query}"
        pages = self._client.pages(path, purpose="read the deployments", needs=DEPLOYMENTS)
        numbers = (number_in(item, "id") for item in islice(pages, _DEPLOYMENTS))
        return tuple(sorted((number for number in numbers if number), reverse=True))

    def create_deployment(self, deployment: Deployment) -> int:
        path = f"{self._repository}/deployments"
        body = {
            "ref": deployment.commit,
            "task": deployment.task,
            "auto_merge": False,
            "required_contexts": [],
            "environment": deployment.environment,
            "description": deployment.description,
            "payload": dict(deployment.payload),
            "production_environment": deployment.production,
        }
        purpose = "create a deployment"
        made = self._client.request("POST", path, body=body, purpose=purpose, needs=DEPLOYMENTS)
        number = number_in(made, "id")
        if number is None:
            raise ForgeError("the forge's answer holds no deployment", why=str(made)[:200])
        return number

    def deployment_status(self, deployment: int) -> DeploymentStatus | None:
        path = f"{self._repository}/deployments/{deployment}/statuses?per_page=1"
        pages = self._client.pages(path, purpose="read the deployment", needs=DEPLOYMENTS)
        newest = next(iter(pages), None)
        state = text_in(newest, "state")
        if state not in set(DeploymentState):
            return None
        return DeploymentStatus(
            state=DeploymentState(state),
            description=text_in(newest, "description") or "",
            log_url=text_in(newest, "log_url") or None,
            environment_url=text_in(newest, "environment_url") or None,
        )

    def set_deployment_status(self, deployment: int, status: DeploymentStatus) -> None:
        """What was deployed before is not put out of use by GitHub: it does so to everything in
        the environment, other pipelines included."""
        path = f"{self._repository}/deployments/{deployment}/statuses"
        body = {
            "state": status.state.value,
            "description": status.description,
            "log_url": status.log_url or "",
            "environment_url": status.environment_url or "",
            "auto_inactive": False,
        }
        purpose = "tell how the deployment goes"
        self._client.request(
            "POST", path, body=body, purpose=purpose, needs=DEPLOYMENTS, again=True
        )

    def labels(self, pull_request: int) -> tuple[str, ...]:
        path = f"{self._repository}/issues/{pull_request}/labels?per_page=100"
        pages = self._client.pages(path, purpose="read the labels", needs=LABELS)
        return tuple(name for name in (text_in(item, "name") for item in pages) if name)

    def add_label(self, pull_request: int, label: Label) -> None:
        """GitHub makes an unknown label by itself, in grey and without a description."""
        if not self._has_label(label.name):
            self._create_label(label)
        path = f"{self._repository}/issues/{pull_request}/labels"
        body = {"labels": [label.name]}
        purpose = "label the pull request"
        self._client.request("POST", path, body=body, purpose=purpose, needs=LABELS, again=True)

    def _has_label(self, name: str) -> bool:
        path = f"{self._repository}/labels/{quote(name, safe='')}"
        try:
            self._client.request("GET", path, purpose="read a label", needs=LABELS)
        except PermissionMissing as error:
            if error.status == 404:
                return False
            raise
        return True

    def _create_label(self, label: Label) -> None:
        body = {"name": label.name, "color": label.color, "description": label.description}
        path = f"{self._repository}/labels"
        try:
            self._client.request(
                "POST", path, body=body, purpose="create a label", needs=LABELS, again=True
            )
        except ForgeError as error:
            if "already_exists" not in (error.why or ""):
                raise

    def remove_label(self, pull_request: int, name: str) -> None:
        path = f"{self._repository}/issues/{pull_request}/labels/{quote(name, safe='')}"
        try:
            self._client.request("DELETE", path, purpose="remove a label", needs=LABELS)
        except PermissionMissing as error:
            if error.status != 404:
                raise


def _portions(annotations: tuple[Annotation, ...]) -> list[tuple[Annotation, ...]]:
    """At least one, so that what has no annotations is written as well."""
    starts = range(0, max(1, len(annotations)), _ANNOTATIONS)
    return [annotations[start : start + _ANNOTATIONS] for start in starts]


def _check_body(check: Check, annotations: tuple[Annotation, ...]) -> dict[str, object]:
    """Members without a value are left out: GitHub takes no null."""
    output: dict[str, object] = {"title": check.title, "summary": check.summary}
    if annotations:
        output["annotations"] = list(_annotations_body(annotations))
    ended = {"status": "completed", "conclusion": check.conclusion}
    body = {
        **({"status": "in_progress"} if check.conclusion is None else ended),
        "external_id": check.reference,
        "details_url": check.url,
        "started_at": _moment(check.started),
        "output": output,
    }
    return {name: value for name, value in body.items() if value is not None}


def _annotations_body(annotations: tuple[Annotation, ...]) -> Iterator[Mapping[str, object]]:
    for each in annotations:
        yield {
            "path": each.path,
            "start_line": each.line,
            "end_line": each.line,
            "annotation_level": each.level.value,
            "title": each.title,
            "message": each.message,
        }


def _moment(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _check_run(item: Any) -> CheckRun:
    number = number_in(item, "id")
    if number is None:
        raise ForgeError("the forge's answer holds no check run", why=str(item)[:200])
    output = member_in(item, "output")
    return CheckRun(
        id=number,
        completed=text_in(item, "status") == "completed",
        conclusion=text_in(item, "conclusion"),
        title=text_in(output, "title"),
        summary=text_in(output, "summary"),
        url=text_in(item, "details_url"),
        annotated=number_in(output, "annotations_count") or 0,
    )


def _annotation(item: Any) -> Annotation:
    level = text_in(item, "annotation_level")
    return Annotation(
        path=text_in(item, "path") or "",
        line=number_in(item, "start_line") or 1,
        level=Level(level) if level in set(Level) else Level.NOTICE,
        title=text_in(item, "title") or "",
        message=text_in(item, "message") or "",
    )
