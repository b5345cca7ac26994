"""Executions of a pipeline: start, read, list, find, stop, retry."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from ci.errors import AwsError
from ci.sagemaker.clients import Clients
from ci.sagemaker.model import ExecutionSnapshot, ExecutionStatus, ExecutionSummary, StepSnapshot
from ci.sagemaker.read import parse_execution, parse_step, parse_summary
from ci.sagemaker.retry import is_gone

_SERVICE = "sagemaker"
_SEARCHED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """`token` is 32-128 characters: the same one again is the same execution."""

    pipeline_name: str
    token: str
    display_name: str
    description: str
    parameters: Mapping[str, str]
    version_id: int | None = None
    parallelism: int | None = None


class Executions:
    """Calls that change something are patient; `poll_*` make one attempt, for a loop of polls."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def start(self, request: StartRequest) -> str:
        """Start it, pinned to its version where botocore knows versions; its ARN."""
        arguments: dict[str, object] = {
            "PipelineName": request.pipeline_name,
            "ClientRequestToken": request.token,
            "PipelineExecutionDisplayName": request.display_name,
            "PipelineExecutionDescription": request.description,
        }
        if request.parameters:
            arguments["PipelineParameters"] = [
                {"Name": name, "Value": value} for name, value in request.parameters.items()
            ]
        if request.parallelism is not None:
            arguments["ParallelismConfiguration"] = {
                "MaxParallelExecutionSteps": request.parallelism
            }
        if request.version_id is not None and self._clients.takes(
            _SERVICE, "StartPipelineExecution", "PipelineVersionId"
        ):
            arguments["PipelineVersionId"] = request.version_id
        answer = self._clients.call(
            _SERVICE, "StartPipelineExecution", arguments, where=request.pipeline_name
        )
        arn: str = answer["PipelineExecutionArn"]
        return arn

    def snapshot(self, arn: str) -> ExecutionSnapshot:
        """The execution and all its steps. The status is read first, so that the steps of a
        terminal execution are never older than its end."""
        return self._snapshot(self._clients, arn)

    def poll_snapshot(self, arn: str) -> ExecutionSnapshot:
        return self._snapshot(self._clients.once, arn)

    def poll_steps(self, arn: str) -> tuple[StepSnapshot, ...]:
        return self._steps(self._clients.once, arn)

    def poll_summaries(
        self, pipeline_name: str, *, after: datetime | None = None
    ) -> tuple[ExecutionSummary, ...]:
        return tuple(self._summaries(self._clients.once, pipeline_name, after))

    def poll_summaries_lazily(self, pipeline_name: str) -> Iterator[ExecutionSummary]:
        """Newest first, page after page as they are taken."""
        return self._summaries(self._clients.once, pipeline_name)

    def execution(self, arn: str) -> ExecutionSnapshot:
        """The execution without its steps."""
        return parse_execution(self._describe(self._clients, arn), ())

    def poll_execution(self, arn: str) -> ExecutionSnapshot:
        return parse_execution(self._describe(self._clients.once, arn), ())

    def renew(self) -> None:
        """Look credentials up anew: those in use have expired."""
        self._clients.renew()

    def summaries(self, pipeline_name: str) -> Iterator[ExecutionSummary]:
        """Newest first, page after page as they are taken. Empty if there is no such pipeline."""
        try:
            yield from self._summaries(self._clients, pipeline_name)
        except AwsError as error:
            if not is_gone(error):
                raise

    def find(
        self, pipeline_name: str, wanted: Callable[[ExecutionSummary], bool]
    ) -> ExecutionSummary | None:
        """The newest execution that `wanted` takes, among the newest `_SEARCHED`.

        One call for each 100 executions that the pipeline had. No bound by age: how long the
        service keeps a request token is not documented, and what an execution says of itself
        is what makes a commit that is run again after months still the same execution.
        """
        newest = islice(self.summaries(pipeline_name), _SEARCHED)
        return next((summary for summary in newest if wanted(summary)), None)

    def definition(self, arn: str) -> bytes:
        """The definition this execution runs, whatever the pipeline holds now."""
        answer = self._clients.call(
            _SERVICE,
            "DescribePipelineDefinitionForExecution",
            {"PipelineExecutionArn": arn},
            where=arn,
        )
        definition: str = answer["PipelineDefinition"]
        return definition.encode()

    def parameters(self, arn: str) -> dict[str, str]:
        """The parameters it was started with."""
        pages = self._clients.pages(
            _SERVICE,
            "ListPipelineParametersForExecution",
            {"PipelineExecutionArn": arn},
            items="PipelineParameters",
            where=arn,
        )
        return {item["Name"]: item["Value"] for item in pages}

    def stop(self, arn: str, *, token: str) -> None:
        """Ask it to stop. One that has ended, or is stopping, is left as it is."""
        self._stop(self._clients, arn, token)

    def stop_now(self, arn: str, *, token: str) -> None:
        """The same in one attempt, for a process that has seconds to live."""
        self._stop(self._clients.once, arn, token)

    def retry(self, arn: str, *, token: str) -> str:
        """Go on from the failed step of the same execution."""
        answer = self._clients.call(
            _SERVICE,
            "RetryPipelineExecution",
            {"PipelineExecutionArn": arn, "ClientRequestToken": token},
            where=arn,
        )
        return str(answer.get("PipelineExecutionArn") or arn)

    def _stop(self, clients: Clients, arn: str, token: str) -> None:
        try:
            clients.call(
                _SERVICE,
                "StopPipelineExecution",
                {"PipelineExecutionArn": arn, "ClientRequestToken": token},
                where=arn,
            )
        except AwsError as error:
            if error.code != "ConflictException" and not _has_ended(error):
                raise
            # Refused because it is over, or for another reason? Only it can tell.
            status = self._snapshot(clients, arn).status
            if not status.terminal and status is not ExecutionStatus.STOPPING:
                raise

    def _snapshot(self, clients: Clients, arn: str) -> ExecutionSnapshot:
        return parse_execution(self._describe(clients, arn), self._steps(clients, arn))

    def _describe(self, clients: Clients, arn: str) -> dict[str, Any]:
        return clients.call(
            _SERVICE, "DescribePipelineExecution", {"PipelineExecutionArn": arn}, where=arn
        )

    def _steps(self, clients: Clients, arn: str) -> tuple[StepSnapshot, ...]:
        pages = clients.pages(
            _SERVICE,
            "ListPipelineExecutionSteps",
            {"PipelineExecutionArn": arn, "SortOrder": "Ascending", "MaxResults": 100},
            items="PipelineExecutionSteps",
            where=arn,
        )
        return tuple(parse_step(item) for item in pages)

    def _summaries(
        self, clients: Clients, pipeline_name: str, after: datetime | None = None
    ) -> Iterator[ExecutionSummary]:
        request: dict[str, object] = {
            "PipelineName": pipeline_name,
            "SortBy": "CreationTime",
            "SortOrder": "Descending",
            "MaxResults": 100,
        }
        if after is not None:
            request["CreatedAfter"] = after
        pages = clients.pages(
            _SERVICE,
            "ListPipelineExecutions",
            request,
            items="PipelineExecutionSummaries",
            where=pipeline_name,
        )
        return (parse_summary(item) for item in pages)


def _has_ended(error: AwsError) -> bool:
    return error.code == "ValidationException" and "execut" in error.what.lower()
