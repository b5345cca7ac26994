"""Where the metric documents of an execution lie, and their reading."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from ci.definition.model import Definition
from ci.errors import AwsError
from ci.metrics.model import MetricSource, MetricValue, Origin
from ci.metrics.read import (
    parse_document,
    read_metric,
    read_metrics,
    unreadable,
    with_champion,
)
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.model import ExecutionSnapshot, ModelPackage, StepSnapshot

_CLOCKS_DIFFER_BY = timedelta(seconds=10)


class _NoDocumentError(Exception):
    """The text says why there is nothing to read."""


class _UnmeasuredError(_NoDocumentError):
    """The step that writes the document did not succeed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricReader:
    """Reads the metrics of one execution, each document once. What cannot be read becomes a
    metric with a problem: a missing number is a finding, not an error. `no_champion` says why
    there is none although one was named."""

    adapter: SageMaker
    definition: Definition
    execution: ExecutionSnapshot
    package: ModelPackage | None
    champion: ModelPackage | None
    no_champion: str | None = None
    _bodies: dict[str, bytes | AwsError] = field(default_factory=dict)
    _jobs: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def read(self, sources: tuple[MetricSource, ...]) -> tuple[MetricValue, ...]:
        return tuple(self._with_champion(self._read(source)) for source in sources)

    def _read(self, source: MetricSource) -> MetricValue:
        try:
            if source.origin is Origin.TRAINING_JOB:
                return read_metric(self._training_job(source.reference), source)
            uri = self._locate(source)
            return read_metrics(self._body(uri), (source,), where=uri)[0]
        except _NoDocumentError as error:
            unmeasured = isinstance(error, _UnmeasuredError)
            return unreadable(source, str(error), unmeasured=unmeasured)
        except AwsError as error:
            return unreadable(
                source, f"{error.what} ({error.where})" if error.where else error.what
            )

    def _with_champion(self, metric: MetricValue) -> MetricValue:
        if self.no_champion is not None and metric.champion is None:
            return replace(metric, champion_problem=self.no_champion)
        if self.champion is None or self.champion.metrics_uri is None:
            return metric
        if metric.champion is not None or metric.source.champion_path is not None:
            return metric
        try:
            body = self._body(self.champion.metrics_uri)
        except AwsError as error:
            return replace(metric, champion_problem=error.what)
        document, problem = parse_document(body)
        if problem is not None:
            return replace(metric, champion_problem=f"{self.champion.metrics_uri} {problem}")
        return with_champion(metric, document)

    def _body(self, uri: str) -> bytes:
        """AwsError, each time, for one that cannot be read."""
        if uri not in self._bodies:
            try:
                self._bodies[uri] = self.adapter.artifacts.read(uri)
            except AwsError as error:
                self._bodies[uri] = error
        found = self._bodies[uri]
        if isinstance(found, AwsError):
            raise found
        return found

    def _job(self, arn: str, describe: Callable[[str], Mapping[str, Any]]) -> Mapping[str, Any]:
        if arn not in self._jobs:
            self._jobs[arn] = describe(arn.rpartition("/")[2])
        return self._jobs[arn]

    def _locate(self, source: MetricSource) -> str:
        match source.origin:
            case Origin.PROPERTY_FILE:
                return self._property_file(source.reference)
            case Origin.MODEL_PACKAGE:
                return self._package_metrics()
            case _:
                if not source.reference:
                    raise _NoDocumentError("no S3 URI is given")
                return source.reference

    def _property_file(self, name: str | None) -> str:
        """The S3 URI of a property file: its step's processing job says where the output went."""
        found = [
            (step.name, output, path)
            for step in self.definition.walk()
            for label, (output, path) in step.property_files.items()
            if name is None or label == name
        ]
        if len(found) != 1:
            what = f"a property file {name}" if name else "exactly one property file"
            raise _NoDocumentError(f"the definition does not have {what}")
        step_name, output, path = found[0]
        step = self._step(step_name)
        if step is None or step.job is None:
            raise _UnmeasuredError(f"step {step_name}, which writes it, did not run")
        if step.status in {"Failed", "Stopped"}:
            verb = "failed" if step.status == "Failed" else "was stopped"
            raise _UnmeasuredError(f"step {step_name}, which writes it, {verb}")
        job = self._job(step.job, self.adapter.jobs.processing)
        outputs = (job.get("ProcessingOutputConfig") or {}).get("Outputs") or ()
        for entry in outputs:
            if entry.get("OutputName") == output and "S3Output" in entry:
                uri = f"{entry['S3Output']['S3Uri'].rstrip('/')}/{path}"
                self._require_unmoved(uri, step)
                return uri
        raise _NoDocumentError(f"the job of step {step_name} has no output {output} in S3")

    def _require_unmoved(self, uri: str, step: StepSnapshot) -> None:
        """A place that executions share holds what the last of them wrote."""
        written = self.adapter.artifacts.written(uri)
        if written and step.ended and written > step.ended + _CLOCKS_DIFFER_BY:
            raise _NoDocumentError(
                f"a later execution wrote over {uri.rpartition('/')[2]}: "
                "its S3 URI needs ExecutionVariables.PIPELINE_EXECUTION_ID"
            )

    def _package_metrics(self) -> str:
        if self.package is None:
            raise _NoDocumentError("there is no model package of this execution")
        if self.package.metrics_uri is None:
            raise _NoDocumentError(f"model package v{self.package.version} has no ModelMetrics")
        return self.package.metrics_uri

    def _training_job(self, step_name: str | None) -> Mapping[str, Any]:
        trained = [
            step
            for step in self.execution.steps
            if step.kind == "Training" and step_name in (None, step.name) and step.job
        ]
        if len(trained) != 1:
            what = f"step {step_name}" if step_name else "exactly one training step"
            raise _NoDocumentError(f"the execution did not run {what}")
        return self._job(str(trained[0].job), self.adapter.jobs.training)

    def _step(self, name: str) -> StepSnapshot | None:
        return next((step for step in self.execution.steps if step.name == name), None)
