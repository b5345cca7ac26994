"""Deletes what a pull request made, once it is closed, and nothing else.

What may go is told by evidence, never by a guess: a pipeline, a function, an endpoint by the tags
it carries; a model package by the execution that registered it. The pipeline goes last, since its
executions are the record of what was made: a cleanup that was cut short finds everything again.
"""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ci.delivery.evidence import Waiting
from ci.errors import DeadlineReached, UsageError
from ci.execution.ownership import same_owner
from ci.project.names import OWN
from ci.project.owned import own_names
from ci.project.target import is_isolated
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.arn import resource_name
from ci.sagemaker.model import DeployedPipeline
from ci.sagemaker.removal import CONFIG, ENDPOINT, MODEL, HostedKind
from ci.session.session import Session

_METADATA = f"{OWN}pull-request"


@dataclass(slots=True, kw_only=True)
class Cleanup:
    """What was done: `stopped` executions, `deleted` resources, and `left` with the reason."""

    stopped: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


def clean_up(
    session: Session,
    adapter: SageMaker,
    waiting: Waiting,
    *,
    tell: Callable[[str], None],
    confirm: Callable[[Sequence[str]], None] = lambda _: None,
) -> Cleanup:
    """Stop and delete what the session's pull request made in the session's environment.
    `confirm` is shown what that is, a line each, before anything is, and may raise.

    UsageError where the environment is not a pull request's own. DeadlineReached while an
    execution is still stopping; nothing of its pipeline is deleted then, and all of those whose
    executions had ended.
    """
    work = _Work(session, adapter, waiting, tell)
    pipelines = tuple(work.pipelines())
    if doing := tuple(work.describe(pipelines)):
        confirm(doing)
    running = {pipeline.name: work.stop(pipeline) for pipeline in pipelines}
    for pipeline in sorted(pipelines, key=lambda each: len(running[each.name])):
        work.wait(running[pipeline.name])
        work.clean(pipeline)
    work.delete_endpoints()
    work.delete_groups()
    return work.done


class _Work:
    def __init__(
        self, session: Session, adapter: SageMaker, waiting: Waiting, tell: Callable[[str], None]
    ) -> None:
        self._session = session
        self._aws = adapter
        self._waiting = waiting
        self._tell = tell
        self._place = session.project.environments[session.environment]
        self._number = _number(session)
        self.done = Cleanup()
        self._production = {
            pipeline.model_package_group for pipeline in session.project.pipelines.values()
        }
        self._owner = self._make_owner()

    def _make_owner(self) -> dict[str, str]:
        first = next(iter(self._session.project.pipelines))
        tags = self._session.target(first).tags
        return {
            f"{OWN}{part}": tags[f"{OWN}{part}"]
            for part in ("project", "environment", "pull-request")
        }

    def pipelines(self) -> Iterator[DeployedPipeline]:
        """Those of the project file, and what an earlier commit of the pull request called
        otherwise: whatever carries the pull request's tags. A name holds the number unless it
        was cut."""
        expected = [
            self._session.target(name).pipeline_name for name in self._session.project.pipelines
        ]
        others = [name for name in self._aws.pipelines.names() if self._number in name]
        for name in dict.fromkeys([*expected, *others]):
            found = self._aws.pipelines.find(name)
            if found is None:
                continue
            if same_owner(found.tags, self._owner):
                yield found
            elif name in expected:
                self._leave(f"pipeline {name}", "its tags do not name this pull request")

    def describe(self, pipelines: Sequence[DeployedPipeline]) -> Iterator[str]:
        """What goes, as far as it is known before anything is looked into."""
        for pipeline in pipelines:
            yield f"pipeline {pipeline.name}, with its executions and what they registered"
        for name in sorted(self._own_names()):
            yield f"the endpoint and the model package group {name}, where they are there"

    def clean(self, pipeline: DeployedPipeline) -> None:
        arns = [each.arn for each in self._aws.executions.summaries(pipeline.name)]
        functions = set(_functions(pipeline.definition))
        for arn in arns:
            functions |= set(_functions(self._aws.executions.definition(arn)))
            for package in self._registered(arn):
                self._delete_package(package, arn)
        for name in sorted(functions):
            self._delete_function(name)
        token = uuid.uuid4().hex
        if self._aws.pipelines.delete(pipeline.name, token=token):
            self._deleted(f"pipeline {pipeline.name}")

    def stop(self, pipeline: DeployedPipeline) -> list[str]:
        """Have all that runs of it stopped; the ARNs."""
        executions = self._aws.executions
        running = [
            each.arn
            for each in executions.summaries(pipeline.name)
            if not each.status.terminal and not executions.snapshot(each.arn).status.terminal
        ]
        for arn in running:
            self._tell(f"Stopping {arn}")
            executions.stop(arn, token=uuid.uuid4().hex)
        return running

    def wait(self, running: Sequence[str]) -> None:
        """Until they have stopped: a step may register until then."""
        for arn in running:
            self._wait(arn)
            self.done.stopped.append(arn)

    def _wait(self, arn: str) -> None:
        while not self._aws.executions.snapshot(arn).status.terminal:
            self._pause("the execution is still stopping: nothing of its pipeline was deleted", arn)

    def _pause(self, what: str, where: str) -> None:
        left = self._waiting.left()
        if left is not None and left <= 0:
            fix = f"sagemaker-gitops cleanup --pull-request {self._number}"
            raise DeadlineReached(what, where=where, fix=fix)
        self._waiting.sleep(self._waiting.interval)

    def _registered(self, arn: str) -> Iterator[str]:
        for step in self._aws.executions.snapshot(arn).steps:
            if step.job and ":model-package/" in step.job and not step.cache_hit:
                yield step.job

    def _delete_package(self, arn: str, execution: str) -> None:
        """One that this execution registered. Production's group keeps what it was given."""
        found = self._aws.removal.describe("DescribeModelPackage", "ModelPackageName", arn)
        if found is None:
            return
        metadata: Mapping[str, str] = found.get("CustomerMetadataProperties") or {}
        label = f"model package {resource_name(arn)}"
        if found.get("ModelPackageGroupName") in self._production:
            self._leave(label, "it is in the group of the project's production")
        elif metadata.get(_METADATA, self._number) != self._number:
            self._leave(label, f"its metadata names pull request {metadata[_METADATA]}")
        elif metadata.get(f"{OWN}execution", execution) != execution:
            self._leave(label, "its metadata names another execution")
        elif self._aws.removal.package(arn):
            self._deleted(label)

    def _delete_function(self, name: str) -> None:
        tags = self._aws.functions.tags(name)
        if tags is None:
            return
        if not same_owner(tags, self._owner):
            self._leave(f"function {name}", "its tags do not name this pull request")
        elif self._aws.removal.function(name):
            self._deleted(f"function {name}")

    def delete_endpoints(self) -> None:
        """Endpoints that the environment names for this pull request, and what serves them."""
        for name in sorted(self._own_names()):
            self._delete_endpoint(name)
            for kind in (CONFIG, MODEL):
                for found, arn in self._aws.removal.named_like(kind, name):
                    self._delete_hosted(kind, found, arn)

    def _delete_endpoint(self, name: str) -> None:
        endpoint = self._aws.packages.endpoint(name)
        if endpoint is None or not self._owns(ENDPOINT, name, endpoint.arn):
            return
        while endpoint is not None and endpoint.moving:
            self._pause(f"the endpoint is still {endpoint.status}", endpoint.arn)
            endpoint = self._aws.packages.endpoint(name)
        if endpoint is not None and self._aws.removal.hosted(ENDPOINT, name):
            self._deleted(f"endpoint {name}")

    def _delete_hosted(self, kind: HostedKind, name: str, arn: str) -> None:
        if self._owns(kind, name, arn) and self._aws.removal.hosted(kind, name):
            self._deleted(f"{kind.label} {name}")

    def delete_groups(self) -> None:
        """Groups that the environment names for this pull request, once they are empty."""
        for name in sorted(self._own_names() - self._production):
            found = self._aws.removal.describe(
                "DescribeModelPackageGroup", "ModelPackageGroupName", name
            )
            if found is None:
                continue
            if next(self._aws.packages.in_group(name), None) is not None:
                self._leave(f"model package group {name}", "it holds packages of others")
            elif self._aws.removal.group(name):
                self._deleted(f"model package group {name}")

    def _own_names(self) -> set[str]:
        """A group or an endpoint of such a name is this pull request's alone."""
        return {each.of(self._number) for each in own_names(self._session.project, self._place)}

    def _owns(self, kind: HostedKind, name: str, arn: str) -> bool:
        if same_owner(self._aws.pipelines.tags(arn), self._owner):
            return True
        self._leave(f"{kind.label} {name}", "its tags do not name this pull request")
        return False

    def _deleted(self, label: str) -> None:
        self.done.deleted.append(label)
        self._tell(f"Deleted {label}")

    def _leave(self, label: str, reason: str) -> None:
        self.done.left[label] = reason
        self._tell(f"Left {label}: {reason}")


def _number(session: Session) -> str:
    """The pull request's number. UsageError where the environment is shared, or none is known."""
    if session.trigger.pull_request is None:
        raise UsageError(
            "there is no pull request to clean up after", fix="cleanup --pull-request NUMBER"
        )
    place = session.project.environments[session.environment]
    if not is_isolated(place):
        raise UsageError(
            f"the environment {place.name!r} is shared: nothing of it is one pull request's",
            where=str(session.project.file),
            why=f"its pipeline_name is {place.pipeline_name!r}",
            fix="--environment pull_request",
        )
    return str(session.trigger.pull_request)


def _functions(definition: bytes) -> Iterator[str]:
    """The names of the Lambda functions that a definition's steps call."""
    waiting: list[object] = [json.loads(definition)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
            arn = value.get("FunctionArn")
            if value.get("Type") == "Lambda" and isinstance(arn, str):
                yield arn.partition(":function:")[2].partition(":")[0] or arn
