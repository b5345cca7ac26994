"""Decides which models two versions of a pipeline are compared by: those that the newest executions
of the commits that made them have registered."""

from collections.abc import Iterator
from contextlib import suppress

from ci.approval.announcing import compare_measures
from ci.delivery.evidence import fetch_package
from ci.errors import AwsError
from ci.execution.find import find_executions
from ci.metrics.model import MetricSource
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.model import ModelPackage, PipelineVersion
from ci.upkeep.versions import Move, commit_of


def compare_models(
    aws: SageMaker, pipeline_name: str, move: Move, sources: tuple[MetricSource, ...]
) -> Iterator[str]:
    """Lines; none where one of the two has registered no model, or that cannot be read."""
    with suppress(AwsError):
        old, new = (_model(aws, pipeline_name, each) for each in (move.old, move.new))
        if old is not None and new is not None:
            name = f"{old.group} v{old.version}"
            for line in compare_measures(sources, new, old, name=name):
                yield f"{new.group} v{new.version}: {line}"


def _model(
    aws: SageMaker, pipeline_name: str, version: PipelineVersion | None
) -> ModelPackage | None:
    commit = None if version is None else commit_of(version)
    if commit is None:
        return None
    newest = next(iter(find_executions(aws, pipeline_name, commit=commit)), None)
    return None if newest is None else fetch_package(aws, aws.executions.snapshot(newest[0].arn))
