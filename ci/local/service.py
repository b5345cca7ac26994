"""What the SageMaker API is: botocore's own service model, loaded once."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from botocore.loaders import Loader

Shape = Mapping[str, Any]


class ServiceModel:
    """Operations and shapes of one service, without their documentation.

    Kept as the model's plain JSON, not botocore's wrapper classes: validation walks it on every
    call, and the wrappers cost more memory than the data.
    """

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._operations: Mapping[str, Shape] = raw["operations"]
        self._shapes: Mapping[str, Shape] = raw["shapes"]
        metadata = raw["metadata"]
        self.target_prefix: str = metadata["targetPrefix"]
        self.json_version: str = metadata["jsonVersion"]

    def knows(self, operation: str) -> bool:
        return operation in self._operations

    def operations(self) -> tuple[str, ...]:
        return tuple(self._operations)

    def shape(self, name: str) -> Shape:
        return self._shapes[name]

    def input(self, operation: str) -> str | None:
        """The name of the input's shape, None where the operation takes nothing."""
        return self._io(operation, "input")

    def output(self, operation: str) -> str | None:
        return self._io(operation, "output")

    def _io(self, operation: str, side: str) -> str | None:
        reference = self._operations[operation].get(side)
        return None if reference is None else str(reference["shape"])


def _bare(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: _bare(value)
            for key, value in node.items()
            if not (key in {"documentation", "documentationUrl"} and isinstance(value, str))
        }
    return [_bare(item) for item in node] if isinstance(node, list) else node


@cache
def sagemaker() -> ServiceModel:
    """The SageMaker model of the installed botocore. About 70 ms and 20 MB, once."""
    raw = Loader().load_service_model("sagemaker", "service-2")
    return ServiceModel(_bare(json.loads(json.dumps(raw))))
