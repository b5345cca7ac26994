"""Small pipelines and runs of them, for tests of the execution core."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from ci.compile.bundle import Artifact, Bundle
from ci.execution.identity import (
    ExecutionRecord,
    Identity,
    describe,
    display_name,
    execution_token,
)
from ci.execution.upsert import Run, ownership_tags
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.clients import open_clients

ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"
BUCKET = "sagemaker-us-east-1-000000000000"
COMMIT = "c0ffee" + "0" * 34


def adapter(address: str) -> SageMaker:
    """An adapter that waits a hundredth of the time it would."""
    import time

    return SageMaker(
        open_clients("us-east-1", {}, endpoint=address, sleep=lambda s: time.sleep(s / 100))
    )


def condition_definition(*, steps: int = 1, passes: bool = True, filler: int = 0) -> bytes:
    """A definition of Condition steps alone: it ends at once, in Succeeded or by a Fail step."""
    fail = {"Name": "no", "Type": "Fail", "Arguments": {"ErrorMessage": "not good enough"}}
    found = [
        {
            "Name": f"check-{number}",
            "Type": "Condition",
            "Arguments": {
                "Conditions": [
                    {
                        "Type": "Equals",
                        "LeftValue": {"Get": "Parameters.Mode"},
                        "RightValue": "go" if passes else "never",
                    }
                ],
                "IfSteps": [],
                "ElseSteps": [fail] if number == 0 else [],
            },
        }
        for number in range(steps)
    ]
    document = {
        "Version": "2020-12-01",
        "Metadata": {"filler": "x" * filler} if filler else {},
        "Parameters": [{"Name": "Mode", "Type": "String", "DefaultValue": "go"}],
        "Steps": found,
    }
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def make_bundle(
    definition: bytes, folder: Path, files: Mapping[str, bytes] | None = None
) -> Bundle:
    artifacts = {}
    for name, data in (files or {}).items():
        path = folder / name
        path.write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        artifacts[sha256] = Artifact(sha256=sha256, name=name, size=len(data), path=path)
    digest = hashlib.sha256(definition + b"".join(key.encode() for key in artifacts)).hexdigest()
    return Bundle(
        definition=definition, digest=digest, bucket=BUCKET, prefix="bundles", artifacts=artifacts
    )


def make_run(
    bundle: Bundle,
    *,
    name: str = "demo",
    commit: str = COMMIT,
    branch: str | None = "main",
    pull_request: int | None = None,
    run_url: str | None = None,
    again: int = 0,
    parameters: Mapping[str, str] | None = None,
) -> Run:
    given = dict(parameters or {})
    identity = Identity(
        pipeline_name=name,
        environment="main",
        commit=commit,
        digest=bundle.digest,
        parameters=given,
        again=again,
    )
    token = execution_token(identity)
    record = ExecutionRecord(
        commit=commit,
        environment="main",
        digest=bundle.digest,
        token=token,
        branch=branch,
        pull_request=pull_request,
        run_url=run_url,
    )
    return Run(
        pipeline_name=name,
        role=ROLE,
        tags=ownership_tags(
            project="tests", pipeline=name, environment="main", commit=commit, digest=bundle.digest
        ),
        token=token,
        display_name=display_name(commit=commit, branch=branch, pull_request=pull_request),
        description=describe(record),
        parameters=given,
    )
