"""What the SageMaker API is: botocore's own service model, loaded once."""

import gzip
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
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
        self.target_prefix: str = raw["metadata"]["targetPrefix"]

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


class _BareFiles:
    """A file loader for botocore's Loader that drops documentation while it reads: a third of the
    time and a tenth of the memory."""

    def exists(self, path: str) -> bool:
        return Path(f"{path}.json").is_file() or Path(f"{path}.json.gz").is_file()

    def load_file(self, path: str) -> dict[str, Any] | None:
        plain, packed = Path(f"{path}.json"), Path(f"{path}.json.gz")
        if plain.is_file():
            content = plain.read_bytes()
        elif packed.is_file():
            content = gzip.decompress(packed.read_bytes())
        else:
            return None
        model: dict[str, Any] = json.loads(content, object_pairs_hook=_without_documentation)
        return model


def _without_documentation(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {
        name: value
        for name, value in pairs
        # A shape may well have a member of this name: that one is no text.
        if not (name == "documentation" and isinstance(value, str))
    }


@cache
def sagemaker() -> ServiceModel:
    """The SageMaker model of the installed botocore. About 50 ms and 5 MB, once."""
    return ServiceModel(
        Loader(file_loader=_BareFiles()).load_service_model("sagemaker", "service-2")
    )
