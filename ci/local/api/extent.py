"""Which settings of a step the local endpoint would silently do less for, and so refuses.

A container runs once, on this machine, with all of its input. What would spread it over
instances, shards or compressed archives is told before it runs, not found out after.
"""

from collections.abc import Iterator, Mapping

from ci.definition.model import Definition, Step

_WANTED = {
    "InstanceCount": (1, "runs each job on one instance"),
    "S3DataDistributionType": ("FullyReplicated", "gives each job all of its input"),
    "S3CompressionType": ("None", "does not unpack processing inputs"),
    "CompressionType": ("None", "does not unpack training channels"),
}
# The same name says of a model's archive what it says of a channel's.
_WANTED_OF_OUTPUT = {"CompressionType": ("GZIP", "packs every model into model.tar.gz")}
_OTHERS_NAMES = ("Environment", "HyperParameters")


def refused_settings(definition: Definition) -> Iterator[str]:
    """A sentence for each setting that the engine would not honour. References are let pass: the
    engine cannot know their values here."""
    for step in definition.walk():
        if step.type in ("Processing", "Training"):
            yield from _of_step(step)


def _of_step(step: Step) -> Iterator[str]:
    for path, key, value in _settings(step.arguments, f"{step.path}.Arguments"):
        of_output = path.endswith(f".OutputDataConfig.{key}")
        allowed, because = (_WANTED_OF_OUTPUT if of_output else _WANTED)[key]
        literal = not isinstance(value, Mapping)
        if literal and value is not None and str(value) != str(allowed):
            yield f"step '{step.name}' at {path} asks for {value}, and it {because}"


def _settings(node: object, path: str) -> Iterator[tuple[str, str, object]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in _WANTED:
                yield f"{path}.{key}", key, value
            elif key not in _OTHERS_NAMES:
                yield from _settings(value, f"{path}.{key}")
    elif isinstance(node, list | tuple):
        for index, item in enumerate(node):
            yield from _settings(item, f"{path}[{index}]")
