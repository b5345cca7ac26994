"""A bundle: what a source compiles to, and all that deploying it needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file the definition names, at `<prefix>/<sha256>/<name>` in the artifact bucket."""

    sha256: str
    name: str
    size: int
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A Lambda function that the source would create or update.

    `configuration` holds CreateFunction's arguments but for `FunctionName` and `Code`;
    the code is the artifact with this SHA-256.
    """

    name: str
    arn: str
    sha256: str
    configuration: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Definition bytes (canonical JSON), artifacts by SHA-256, functions by name.

    `digest` is the SHA-256, in hex, over the definition, the artifacts' hashes and the functions:
    two bundles with one digest deploy to the same thing. `bucket` and `prefix` are where the
    definition expects the artifacts. `volatile` names what cannot be the same twice by design
    (`@step` functions), masked in the digest.
    """

    definition: bytes
    digest: str
    bucket: str
    prefix: str
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    functions: tuple[Function, ...] = ()
    volatile: tuple[str, ...] = ()
