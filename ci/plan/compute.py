"""What a step runs on: its instances and its image, in a reader's words.

Each type of step says it in its own place. A value that a parameter gives is told by its default
and the parameter's name.
"""

from collections.abc import Mapping

from ci.definition.model import Definition, Step
from ci.definition.references import as_reference

_Path = tuple[str, ...]
_PLACES: Mapping[str, tuple[_Path, _Path]] = {
    "Processing": (("ProcessingResources", "ClusterConfig"), ("AppSpecification", "ImageUri")),
    "Training": (("ResourceConfig",), ("AlgorithmSpecification", "TrainingImage")),
    "Transform": (("TransformResources",), ()),
    "Tuning": (
        ("TrainingJobDefinition", "ResourceConfig"),
        ("TrainingJobDefinition", "AlgorithmSpecification", "TrainingImage"),
    ),
}


def describe_instances(step: Step, definition: Definition) -> str | None:
    """`2 x ml.m5.xlarge`; None for a step that has none of its own."""
    places = _PLACES.get(step.type)
    found = None if places is None else _at(step.arguments, places[0])
    if not isinstance(found, Mapping) or found.get("InstanceType") is None:
        return None
    kind = _told(found["InstanceType"], definition)
    count = _told(found.get("InstanceCount", 1), definition)
    return kind if count == "1" else f"{count} x {kind}"


def describe_image(step: Step, definition: Definition) -> str | None:
    """The image without its registry: `sagemaker-scikit-learn:1.2-1`; None where there is none."""
    places = _PLACES.get(step.type)
    found = _at(step.arguments, places[1]) if places and places[1] else None
    return None if found is None else _told(found, definition).rpartition("/")[2] or None


def _at(node: object, path: _Path) -> object:
    for name in path:
        if not isinstance(node, Mapping):
            return None
        node = node.get(name)
    return node


def _told(value: object, definition: Definition) -> str:
    if isinstance(value, str | int | float):
        return str(value)
    reference = as_reference(value)
    if reference is None:
        return "(made of pieces)"
    name = reference.removeprefix("Parameters.")
    parameter = definition.parameters.get(name)
    if parameter is None or parameter.default is None:
        return reference
    return f"{parameter.default} ({name})"
