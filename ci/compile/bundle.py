"""A bundle: what a source compiles to, and all that deploying it needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file the definition names, in the artifact bucket at `location(prefix)`.

    That is `<prefix>/<sha256>/<name>` for a file of its own. A file of a folder stands at
    `<prefix>/<folder's hash>/<relative path>`; a file that the definition does not name stands
    where its source put it: both have a `key`. Always ask `location`.
    """

    sha256: str
    name: str
    size: int
    path: Path
    key: str | None = None

    def location(self, prefix: str) -> str:
        """The S3 key."""
        return self.key if self.key is not None else f"{prefix}/{self.sha256}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A Lambda function that the source would create or update.

    `configuration` holds CreateFunction's arguments but for `FunctionName` and `Code`;
    the code is the artifact with this SHA-256 (`Bundle.code_of`).
    """

    name: str
    arn: str
    sha256: str
    configuration: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Definition bytes (canonical JSON), artifacts, functions.

    `digest` is the SHA-256, in hex, over the definition, the artifacts' hashes and the functions:
    two bundles with one digest deploy to the same thing. `bucket` and `prefix` are where the
    definition expects the artifacts. `artifacts` are held by their S3 key (`Artifact.location`).
    `volatile` names what cannot be the same twice by design (`@step` functions); the texts in
    which it shows are `masks`, and count for nothing in the digest.
    """

    definition: bytes
    digest: str
    bucket: str
    prefix: str
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    functions: tuple[Function, ...] = ()
    volatile: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()

    def code_of(self, function: Function) -> Artifact:
        """The artifact that holds a function's code (a zip). KeyError where there is none."""
        for artifact in self.artifacts.values():
            if artifact.sha256 == function.sha256:
                return artifact
        raise KeyError(function.name)
