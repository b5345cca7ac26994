"""What AWS's APIs take and give, read from the service models that botocore carries.

The model files are read directly: botocore's own loader costs ten times as much in imports.
"""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Shape = Mapping[str, Any]

# What a step's properties are, by its type: the shapes whose members SageMaker resolves
# references in (the table of the SDK's `Properties`, which the service follows).
PROPERTY_SHAPES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "Processing": ("sagemaker", ("DescribeProcessingJobResponse",)),
    "Training": ("sagemaker", ("DescribeTrainingJobResponse",)),
    "Tuning": (
        "sagemaker",
        (
            "DescribeHyperParameterTuningJobResponse",
            "ListTrainingJobsForHyperParameterTuningJobResponse",
        ),
    ),
    "Transform": ("sagemaker", ("DescribeTransformJobResponse",)),
    "Model": ("sagemaker", ("DescribeModelOutput",)),
    "RegisterModel": ("sagemaker", ("DescribeModelPackageOutput",)),
    "AutoML": ("sagemaker", ("DescribeAutoMLJobResponse", "DescribeAutoMLJobV2Response")),
    "EndpointConfig": ("sagemaker", ("DescribeEndpointConfigOutput",)),
    "Endpoint": ("sagemaker", ("DescribeEndpointOutput",)),
    "InferenceComponent": ("sagemaker", ("DescribeInferenceComponentOutput",)),
    "Job": ("sagemaker", ("DescribeJobResponse",)),
    "EMR": ("emr", ("Step",)),
    "EMRServerless": ("emr-serverless", ("GetJobRunResponse",)),
}

# The request that a step's arguments become, and the members that SageMaker fills in itself.
ARGUMENT_SHAPES: Mapping[str, tuple[str, frozenset[str]]] = {
    "Processing": ("CreateProcessingJobRequest", frozenset({"ProcessingJobName"})),
    "QualityCheck": ("CreateProcessingJobRequest", frozenset({"ProcessingJobName"})),
    "ClarifyCheck": ("CreateProcessingJobRequest", frozenset({"ProcessingJobName"})),
    "Training": ("CreateTrainingJobRequest", frozenset({"TrainingJobName"})),
    "Tuning": ("CreateHyperParameterTuningJobRequest", frozenset({"HyperParameterTuningJobName"})),
    "Transform": ("CreateTransformJobRequest", frozenset({"TransformJobName"})),
    "Model": ("CreateModelInput", frozenset({"ModelName"})),
    "RegisterModel": ("CreateModelPackageInput", frozenset()),
    "EndpointConfig": ("CreateEndpointConfigInput", frozenset({"EndpointConfigName"})),
    "Endpoint": ("CreateEndpointInput", frozenset({"EndpointName"})),
    "InferenceComponent": (
        "CreateInferenceComponentInput",
        frozenset({"InferenceComponentName"}),
    ),
    "Job": ("CreateJobRequest", frozenset({"JobName"})),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A property path that exists: the JSON type it ends in, `string`, `integer`, `structure`..."""

    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unresolved:
    """A property path that does not exist: the token that failed, and what there is instead."""

    token: str | int
    choices: tuple[str, ...]


@cache
def service_shapes(service: str) -> Mapping[str, Shape]:
    """All shapes of a service's newest model; empty where botocore does not know the service."""
    spec = find_spec("botocore")
    if spec is None or spec.origin is None:
        return {}
    folder = Path(spec.origin).parent / "data" / service
    files = sorted(folder.glob("*/service-2.json*"))
    if not files:
        return {}
    shapes: Mapping[str, Shape] = read_model(files[-1])["shapes"]
    return shapes


@cache
def read_model(file: Path) -> Mapping[str, Any]:
    """A file of botocore's data, read once: its clients are made of the same models."""
    data = file.read_bytes()
    text = gzip.decompress(data) if file.suffix == ".gz" else data
    model: Mapping[str, Any] = json.loads(text)
    return model


def resolve_property(step_type: str, tokens: tuple[str | int, ...]) -> Resolved | Unresolved | None:
    """Follow a property path through what a step's Describe call answers.

    A list is entered by an index or by the name of one of its items (`Outputs['train']`), a map by
    a key. None where nothing is known of the step type's properties.
    """
    service, names = PROPERTY_SHAPES.get(step_type, ("", ()))
    shapes = service_shapes(service) if service else {}
    roots = [name for name in names if name in shapes]
    if not roots:
        return None
    results = [_follow(shapes, shapes[root], tokens) for root in roots]
    for result in results:
        if isinstance(result, Resolved):
            return result
    return max(results, key=lambda r: len(r.choices) if isinstance(r, Unresolved) else 0)


def _follow(
    shapes: Mapping[str, Shape], shape: Shape, tokens: tuple[str | int, ...]
) -> Resolved | Unresolved:
    for token in tokens:
        inner = _enter(shape, token)
        if inner is None:
            return Unresolved(token=token, choices=tuple(shape.get("members", ())))
        shape = shapes[inner]
    return Resolved(type=shape["type"])


def _enter(shape: Shape, token: str | int) -> str | None:
    match shape["type"]:
        case "structure" if isinstance(token, str) and token in shape["members"]:
            name = shape["members"][token]["shape"]
        case "list":
            name = shape["member"]["shape"]
        case "map" if isinstance(token, str):
            name = shape["value"]["shape"]
        case _:
            return None
    return str(name)
