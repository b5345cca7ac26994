"""The two sides of a plan, from what the other packages hand on."""

import re
from collections.abc import Mapping

from ci.compile.bundle import Bundle
from ci.definition.parse import parse_definition
from ci.plan.model import Files, FunctionState, PipelineState, no_files
from ci.sagemaker.model import DeployedPipeline

_HASH = re.compile(r"(?:^|(?<=/))[0-9a-f]{64}(?=/)")


def wanted_state(
    bundle: Bundle,
    *,
    role: str | None = None,
    parallelism: int | None = None,
    tags: Mapping[str, str] | None = None,
) -> PipelineState:
    """What a bundle would deploy. Its artifacts are read from disk when a change needs them."""
    return PipelineState(
        definition=parse_definition(bundle.definition, where="bundle"),
        files=bundle_files(bundle),
        role=role,
        parallelism=parallelism,
        tags={} if tags is None else tags,
        functions={
            function.name: FunctionState(
                sha256=function.sha256, configuration=function.configuration
            )
            for function in bundle.functions
        },
        identity=bundle.digest,
        masks=bundle.masks,
    )


def deployed_state(
    pipeline: DeployedPipeline,
    *,
    files: Files = no_files,
    functions: Mapping[str, FunctionState] | None = None,
) -> PipelineState:
    """What the service holds. `files` reads artifacts from S3; None for `functions` leaves them
    out of the comparison."""
    return PipelineState(
        definition=parse_definition(pipeline.definition, where=pipeline.arn),
        files=files,
        role=pipeline.role,
        parallelism=pipeline.parallelism,
        tags=pipeline.tags,
        functions=functions,
    )


def bundle_files(bundle: Bundle) -> Files:
    """Reads a bundle's artifacts by content address."""
    folders: dict[str, dict[str, str]] = {}
    for key in bundle.artifacts:
        for sha in _HASH.findall(key):
            inside = key.split(f"{sha}/", 1)[-1]
            folders.setdefault(sha, {})[inside] = key

    def read(address: str) -> Mapping[str, bytes] | None:
        keys = folders.get(address.rstrip("/").rpartition("/")[2])
        if keys is None:
            return None
        return {name: bundle.artifacts[key].path.read_bytes() for name, key in keys.items()}

    return read
