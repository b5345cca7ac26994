"""What a source came to, before its uploads have a place."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ci.compile.cache import Reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What a source came to. `uploads` holds contents by `s3://` URI, `folders` the URIs that
    stand for all below them, `functions` (ARN, zip, configuration) by name."""

    document: object
    uploads: Mapping[str, bytes] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    functions: Mapping[str, tuple[str, bytes, Mapping[str, object]]] = field(default_factory=dict)
    volatile: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    level: str = "none"
    isolation: str = "none: no code was run"
    reads: Reads | None = None
