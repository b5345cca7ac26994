"""The digest of a bundle: what has to be equal for two bundles to deploy to the same thing."""

import hashlib
from collections.abc import Mapping, Sequence

from ci.compile.bundle import Artifact, Function
from ci.compile.volatile import SIGNATURE
from ci.definition.canonical import canonical_bytes


def bundle_digest(
    definition: bytes,
    artifacts: Mapping[str, Artifact],
    functions: Sequence[Function],
    *,
    bucket: str,
    masks: Sequence[str] = (),
) -> str:
    """SHA-256, in hex, over the definition, the artifacts by key, the functions and the bucket.

    `masks` are texts that cannot be the same twice by design: wherever one stands, in the
    definition or in a key, it counts for nothing, and neither does a signature whose key holds
    one.
    """
    text = definition.decode()
    keys: list[list[str]] = []
    for key, artifact in artifacts.items():
        masked = _mask(key, masks)
        signature = masked != key and artifact.name == SIGNATURE
        keys.append([masked, "signature" if signature else artifact.sha256])
    document = {
        "bucket": bucket,
        "definition": hashlib.sha256(_mask(text, masks).encode()).hexdigest(),
        "artifacts": sorted(keys),
        "functions": [
            [function.name, function.arn, function.sha256, dict(function.configuration)]
            for function in sorted(functions, key=lambda function: function.name)
        ],
    }
    return hashlib.sha256(canonical_bytes(document)).hexdigest()


def _mask(text: str, masks: Sequence[str]) -> str:
    for mask in masks:
        text = text.replace(mask, "<volatile>")
    return text
