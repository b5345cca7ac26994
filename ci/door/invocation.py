"""What CodePipeline hands to a Lambda action, as a value. Pure.

The event's form: docs.aws.amazon.com/codepipeline, "Invoke an AWS Lambda function in a pipeline",
and the shapes Job and JobData of the API.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ci.errors import UsageError
from ci.text.environment import secrets_in

JOB = "CodePipeline.job"
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """An input or output artifact: one object in S3. `revision` is the source's, where told."""

    name: str
    bucket: str
    key: str
    revision: str | None = None

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One call of the function for one job. `credentials` are for the artifacts alone, as the
    variables that AWS's clients read; `key` is the KMS key that outputs are encrypted with."""

    job: str
    parameters: str
    inputs: tuple[Artifact, ...]
    outputs: tuple[Artifact, ...]
    credentials: Mapping[str, str] = field(repr=False)
    continuation: str | None = None
    key: str | None = None


def job_of(event: object) -> str | None:
    """The job's id; None where the event is none of CodePipeline's jobs."""
    job = event.get(JOB) if isinstance(event, Mapping) else None
    found = job.get("id") if isinstance(job, Mapping) else None
    return found if isinstance(found, str) and _ID.fullmatch(found) else None


def secrets_of(event: object) -> tuple[str, ...]:
    """A job's credentials, and the values of pipeline parameters whose names say that they are
    secret. Also those of an event that is broken elsewhere: they are hidden before anything is
    said of it."""
    data = _within(event, JOB, "data")
    credentials = _within(data, "artifactCredentials").values()
    given = _within(data, "actionConfiguration", "configuration").get("UserParameters")
    try:
        parameters = _within(json.loads(str(given)), "parameters")
    except (ValueError, RecursionError):
        parameters = {}
    named = {name: value for name, value in parameters.items() if isinstance(value, str)}
    return (*(each for each in credentials if isinstance(each, str)), *secrets_in(named))


def _within(value: object, *names: str) -> Mapping[str, Any]:
    """The mapping at the end of this path; an empty one where there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def parse_invocation(event: Mapping[str, Any]) -> Invocation:
    """UsageError names the member that is missing or of another kind."""
    job = _mapping(event.get(JOB), JOB)
    data = _mapping(job.get("data"), "data")
    configuration = _mapping(data.get("actionConfiguration") or {}, "actionConfiguration")
    given = _mapping(configuration.get("configuration") or {}, "configuration")
    key = data.get("encryptionKey")
    return Invocation(
        job=_text(job.get("id"), "id"),
        parameters=_text(given.get("UserParameters") or "", "UserParameters"),
        inputs=_artifacts(data.get("inputArtifacts"), "inputArtifacts"),
        outputs=_artifacts(data.get("outputArtifacts"), "outputArtifacts"),
        credentials=_credentials(data.get("artifactCredentials")),
        continuation=data.get("continuationToken") or None,
        key=_text(_mapping(key, "encryptionKey").get("id"), "encryptionKey.id") if key else None,
    )


def _artifacts(value: object, where: str) -> tuple[Artifact, ...]:
    if value is not None and not isinstance(value, list):
        raise _unreadable(where)
    return tuple(_artifact(item, f"{where}[{number}]") for number, item in enumerate(value or ()))


def _artifact(value: object, where: str) -> Artifact:
    artifact = _mapping(value, where)
    place = _mapping(artifact.get("location"), f"{where}.location")
    if place.get("type") != "S3":
        raise UsageError(f"an artifact lies in {place.get('type')!r}, not in S3", where=where)
    held = _mapping(place.get("s3Location"), f"{where}.location.s3Location")
    revision = artifact.get("revision")
    return Artifact(
        name=_text(artifact.get("name"), f"{where}.name"),
        bucket=_text(held.get("bucketName"), f"{where}.bucketName"),
        key=_text(held.get("objectKey"), f"{where}.objectKey"),
        revision=revision if isinstance(revision, str) else None,
    )


def _credentials(value: object) -> dict[str, str]:
    where = "artifactCredentials"
    found = _mapping(value, where)
    return {
        "AWS_ACCESS_KEY_ID": _text(found.get("accessKeyId"), f"{where}.accessKeyId"),
        "AWS_SECRET_ACCESS_KEY": _text(found.get("secretAccessKey"), f"{where}.secretAccessKey"),
        "AWS_SESSION_TOKEN": _text(found.get("sessionToken"), f"{where}.sessionToken"),
    }


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _unreadable(where)
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise _unreadable(where)
    return value


def _unreadable(where: str) -> UsageError:
    return UsageError(
        "the event is not one of CodePipeline's jobs",
        where=where,
        fix="Let CodePipeline invoke the function: category Invoke, provider Lambda.",
    )
