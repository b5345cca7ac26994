"""Decides what makes two runs the same execution, and how an execution tells its commit.

StartPipelineExecution takes no tags: the commit goes into the client request token, the display
name and the description, each within the limits of the API.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

from ci.metrics.model import Gate, MetricSource

NAME_LIMIT = 82  # [a-zA-Z0-9](-*[a-zA-Z0-9]){0,81}: hyphens do not count, but stay below anyway
DESCRIPTION_LIMIT = 3072
RECORD_KEY = "sagemaker-gitops"
RECORD_VERSION = 1

ParameterValue = str | int | float | bool

# A pipeline that declares one of these is told the commit, unless the caller gives a value.
COMMIT_PARAMETERS = ("CommitSha", "GitCommit", "SourceCommit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What identifies a run: the same identity is the same execution. `again` counts deliberate
    reruns (`--again`). `digest` is the bundle's. `occasion` tells runs of one commit apart that
    are meant to be more than one: the run of a schedule."""

    pipeline_name: str
    environment: str
    commit: str
    digest: str
    parameters: Mapping[str, str]
    again: int = 0
    occasion: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionRecord:
    """What an execution's description says of where it comes from. `checks` names the metrics and
    gates that it was to be judged by (`name_checks`); executions of older versions tell none."""

    commit: str
    environment: str
    digest: str
    token: str
    branch: str | None = None
    pull_request: int | None = None
    repository: str | None = None
    run_url: str | None = None
    checks: str | None = None


def parameter_text(value: ParameterValue) -> str:
    """The API takes strings: booleans as `true`/`false`, numbers as JSON writes them."""
    return value if isinstance(value, str) else json.dumps(value)


def execution_parameters(
    declared: Mapping[str, object], given: Mapping[str, ParameterValue], *, commit: str
) -> dict[str, str]:
    """What StartPipelineExecution is given: `given` as text, and the commit where declared."""
    told = {name: commit for name in COMMIT_PARAMETERS if name in declared}
    return told | {name: parameter_text(value) for name, value in given.items()}


def execution_token(identity: Identity) -> str:
    """64 hex digits, equal for equal identities. Fields cannot run into each other: JSON."""
    fields = [
        identity.pipeline_name,
        identity.environment,
        identity.commit,
        identity.digest,
        sorted(identity.parameters.items()),
        identity.again,
        *([identity.occasion] if identity.occasion else []),
    ]
    return hashlib.sha256(json.dumps(fields, separators=(",", ":")).encode()).hexdigest()


def derived_token(purpose: str, *parts: str) -> str:
    """A token for another idempotent call about the same thing (`stop`, ARN)."""
    return hashlib.sha256(json.dumps([purpose, *parts]).encode()).hexdigest()


def name_checks(metrics: Sequence[MetricSource], gates: Sequence[Gate]) -> str:
    """16 hex digits, equal for equal metrics and gates. What is left at its default does not count,
    so that fields may be added."""
    checks: list[MetricSource | Gate] = [*metrics, *gates]
    told = [
        {
            field.name: getattr(each, field.name)
            for field in fields(each)
            if getattr(each, field.name) != field.default
        }
        for each in checks
    ]
    return hashlib.sha256(json.dumps(told, separators=(",", ":")).encode()).hexdigest()[:16]


def display_name(*, commit: str, branch: str | None, pull_request: int | None) -> str:
    """`<pr-N or branch>-<commit[:12]>` in the alphabet that the API takes."""
    short = _safe(commit[:12]) or "unknown"
    place = f"pr-{pull_request}" if pull_request is not None else _safe(branch or "")
    place = place[: NAME_LIMIT - len(short) - 1].strip("-")
    return f"{place}-{short}" if place else short


def describe(record: ExecutionRecord) -> str:
    """Compact JSON of at most DESCRIPTION_LIMIT characters, without line breaks.

    What only serves the reader gives way first: the run's URL, the repository, then the branch.
    """
    text = _dump(record)
    for shorter in (
        replace(record, run_url=None),
        replace(record, run_url=None, repository=None),
        replace(record, run_url=None, repository=None, branch=None),
    ):
        if len(text) <= DESCRIPTION_LIMIT:
            break
        text = _dump(shorter)
    return text


def parse_description(text: str | None) -> ExecutionRecord | None:
    """The record in a description, None if someone else wrote it."""
    try:
        found = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get(RECORD_KEY) != RECORD_VERSION:
        return None
    required = [_text(found.get(name)) for name in ("commit", "environment", "digest", "token")]
    commit, environment, digest, token = required
    if commit is None or environment is None or digest is None or token is None:
        return None
    number = found.get("pull_request")
    return ExecutionRecord(
        commit=commit,
        environment=environment,
        digest=digest,
        token=token,
        branch=_text(found.get("branch")),
        pull_request=number if isinstance(number, int) and not isinstance(number, bool) else None,
        repository=_text(found.get("repository")),
        run_url=_text(found.get("run_url")),
        checks=_text(found.get("checks")),
    )


def _dump(record: ExecutionRecord) -> str:
    fields: dict[str, object] = {
        RECORD_KEY: RECORD_VERSION,
        "commit": record.commit,
        "branch": record.branch,
        "pull_request": record.pull_request,
        "environment": record.environment,
        "digest": record.digest,
        "repository": record.repository,
        "run_url": record.run_url,
        "checks": record.checks,
        "token": record.token,
    }
    present = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(present, separators=(",", ":"))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _safe(text: str) -> str:
    return re.sub(r"[^a-zA-Z0-9]+", "-", text).strip("-")
