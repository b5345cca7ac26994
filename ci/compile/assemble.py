"""What a compile left behind, put together as a bundle."""

import hashlib
from pathlib import Path

from ci.compile.archive import normalise
from ci.compile.bundle import Artifact, Bundle, Function
from ci.compile.compiled import Compiled
from ci.compile.digest import bundle_digest
from ci.compile.rewrite import rewrite
from ci.definition.canonical import canonical_bytes
from ci.errors import CompileError


def assemble(compiled: Compiled, *, bucket: str, prefix: str, folder: Path) -> Bundle:
    """The bundle; its files are written to `folder`."""
    files = _Files(folder / "artifacts")
    uploads = {uri: files.keep(body, uri) for uri, body in compiled.uploads.items()}
    result = rewrite(
        compiled.document,
        uploads=uploads,
        folders=compiled.folders,
        bucket=bucket,
        prefix=prefix,
    )
    artifacts = {
        place.key: files.artifact(uploads[place.uri], place.key) for place in result.placements
    }
    functions = []
    for name, (arn, code, configuration) in sorted(compiled.functions.items()):
        sha256 = files.keep(code, f"{name}.zip")
        key = f"{prefix}/{sha256}/{name}.zip"
        artifacts[key] = files.artifact(sha256, key)
        functions.append(Function(name=name, arn=arn, sha256=sha256, configuration=configuration))
    codes = {function.sha256 for function in functions}
    for uri in result.unnamed:
        if uploads[uri] not in codes:
            key = _own_key(uri, bucket)
            artifacts[key] = files.artifact(uploads[uri], key)
    definition = canonical_bytes(result.document)
    return Bundle(
        definition=definition,
        digest=bundle_digest(definition, artifacts, functions, bucket=bucket, masks=compiled.masks),
        bucket=bucket,
        prefix=prefix,
        artifacts=dict(sorted(artifacts.items())),
        functions=tuple(functions),
        volatile=compiled.volatile,
        masks=compiled.masks,
    )


def _own_key(uri: str, bucket: str) -> str:
    owner, _, key = uri.removeprefix("s3://").partition("/")
    if owner != bucket:
        raise CompileError(
            "The source uploads a file that the definition does not name, to a bucket that is"
            " not the project's.",
            where=uri,
            fix=f"Upload it to s3://{bucket}, name it in the definition, or put it there by hand.",
        )
    return key


class _Files:
    """Contents by SHA-256, normalised, as files of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes: dict[str, int] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def keep(self, body: bytes, name: str) -> str:
        body = normalise(body, name)
        sha256 = hashlib.sha256(body).hexdigest()
        if sha256 not in self._sizes:
            (self._folder / sha256).write_bytes(body)
            self._sizes[sha256] = len(body)
        return sha256

    def artifact(self, sha256: str, key: str) -> Artifact:
        return Artifact(
            sha256=sha256,
            name=key.rpartition("/")[2],
            size=self._sizes[sha256],
            path=self._folder / sha256,
            key=key,
        )
