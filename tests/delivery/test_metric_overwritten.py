"""A metric document at a place that executions share belongs to the last that wrote it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from ci.definition.parse import definition_of
from ci.delivery.documents import MetricReader
from ci.metrics.model import MetricSource, Origin
from ci.sagemaker.model import ExecutionSnapshot, ExecutionStatus, StepSnapshot

ENDED = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
SOURCE = MetricSource(name="auc", origin=Origin.PROPERTY_FILE, path="$.auc", reference="Report")
OUTPUT = {"OutputName": "report", "S3Output": {"S3Uri": "s3://shared/evaluation"}}
STEP: dict[str, Any] = {
    "Name": "Evaluate",
    "Type": "Processing",
    "Arguments": {"ProcessingOutputConfig": {"Outputs": [OUTPUT]}},
    "PropertyFiles": [
        {"PropertyFileName": "Report", "OutputName": "report", "FilePath": "evaluation.json"}
    ],
}


@dataclass
class Bucket:
    """Stands for the adapter: one object, and the job whose output it is."""

    at: datetime

    @property
    def artifacts(self) -> "Bucket":
        return self

    @property
    def jobs(self) -> "Bucket":
        return self

    def processing(self, name: str) -> dict[str, Any]:
        return dict(STEP["Arguments"])

    def written(self, uri: str) -> datetime:
        assert uri == "s3://shared/evaluation/evaluation.json"
        return self.at

    def read(self, uri: str) -> bytes:
        return b'{"auc": 0.75}'


def reader(at: datetime) -> MetricReader:
    step = StepSnapshot(
        name="Evaluate", status="Succeeded", kind="Processing", ended=ENDED, job="arn:job/evaluate"
    )
    return MetricReader(
        adapter=cast(Any, Bucket(at)),
        definition=definition_of({"Version": "2020-12-01", "Steps": [STEP]}, where="test"),
        execution=ExecutionSnapshot(
            arn="arn:execution",
            pipeline_name="p",
            status=ExecutionStatus.SUCCEEDED,
            raw_status="Succeeded",
            steps=(step,),
        ),
        package=None,
        champion=None,
    )


@pytest.mark.parametrize("seconds", [-3600, 0, 5])
def test_what_the_step_wrote_is_its_own(seconds: int) -> None:
    (metric,) = reader(ENDED + timedelta(seconds=seconds)).read((SOURCE,))
    assert metric.value == 0.75


def test_what_was_written_after_the_step_is_not() -> None:
    (metric,) = reader(ENDED + timedelta(minutes=1)).read((SOURCE,))
    assert metric.value is None
    assert "a later execution wrote over evaluation.json" in str(metric.problem)
