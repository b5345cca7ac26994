"""What stands, for people and for programs. Pure: the time is handed in."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ci.execution.words import format_duration
from ci.metrics.steps import failure_text
from ci.registry.packages import read_provenance
from ci.sagemaker.arn import resource_name
from ci.sagemaker.model import ModelPackage
from ci.text.clean import clean, cut, output_line
from ci.text.wrap import wrap_line
from ci.upkeep.standing import Ran, Standing
from ci.upkeep.versions import commit_of

_SHORT = 12  # digits of a commit
_REASON = 160  # of a failure: its report holds it whole
_COLUMN = 14


def render_standing(
    standing: Standing, *, now: datetime, width: int | None = None
) -> Iterator[str]:
    """Lines of words in columns, wrapped at `width`, but for commands, which are copied; names
    that others chose are made inert."""
    for line in _lines(standing, now):
        is_command = line.lstrip().startswith("sagemaker-gitops ")
        yield from wrap_line(output_line(line), None if is_command else width, hang=_COLUMN + 4)


def _lines(standing: Standing, now: datetime) -> Iterator[str]:
    target = standing.target
    yield (
        f"{target.pipeline.name} in {target.environment.name}:"
        f" the pipeline {target.pipeline_name} in {target.region}"
    )
    for label, lines in (
        ("deployed", _deployed(standing, now)),
        ("alias", _aliases(standing)),
        ("executions", (line for ran in standing.executions for line in _ran(ran, now))),
        ("champion", _champion(standing)),
        ("waiting", _waiting(standing, now)),
        ("endpoint", _endpoint(standing)),
        ("not read", standing.unread),
    ):
        for number, line in enumerate(lines):
            yield f"  {'' if number else label:<{_COLUMN - 2}}{line}"


def _deployed(standing: Standing, now: datetime) -> Iterator[str]:
    held = standing.deployed
    if held is None:
        yield "nothing: sagemaker-gitops deploy"
        return
    version = f"version {held.version_id}, " if held.version_id is not None else ""
    yield f"{version}{_of(standing.commit)}, {_ago(held.modified, now)}"


def _aliases(standing: Standing) -> Iterator[str]:
    for alias, version in sorted(standing.aliases.items()):
        yield f"{alias}: version {version.number}, {_of(commit_of(version))}"


def _ran(ran: Ran, now: datetime) -> Iterator[str]:
    summary, record = ran.summary, ran.record
    end = ran.ended if summary.status.terminal else now
    took = (
        f", {format_duration((end - summary.started).total_seconds())}"
        if end is not None and summary.started is not None
        else ""
    )
    number = record.pull_request if record else None
    of = _of(record.commit if record else None) + (f" of pull request {number}" if number else "")
    yield f"{summary.raw_status}, {of}, {_ago(summary.started, now)}{took}"
    if ran.failed is not None:
        why = failure_text(ran.failed)
        yield f"  step {ran.failed.name} failed" + (f": {_reason(why)}" if why else "")
    elif summary.failure_reason:
        yield f"  {_reason(summary.failure_reason)}"


def _champion(standing: Standing) -> Iterator[str]:
    if standing.champion is not None:
        yield _package(standing.champion)
    elif standing.target.pipeline.model_package_group is not None:
        yield "none is approved"


def _waiting(standing: Standing, now: datetime) -> Iterator[str]:
    for package in standing.waiting:
        yield f"{_package(package)}, {_ago(package.created, now)}"
        yield f"  {' '.join(['sagemaker-gitops approve', package.arn, *standing.reach])}"


def _endpoint(standing: Standing) -> Iterator[str]:
    name, found = standing.target.pipeline.endpoint, standing.endpoint
    if found is not None:
        serves = resource_name(found.model_package or "")
        why = f": {_reason(found.failure_reason)}" if found.failure_reason else ""
        yield f"{found.name}: {found.status}{f', serves {serves}' if serves else ''}{why}"
    elif name is not None and not any(each.startswith("endpoint") for each in standing.unread):
        yield f"{name}: there is none"


def _reason(text: str) -> str:
    return cut(clean(text), _REASON)


def _package(package: ModelPackage) -> str:
    made = read_provenance(package)
    return f"{package.group} v{package.version}, {_of(made.commit if made else None)}"


def _of(commit: str | None) -> str:
    return f"commit {commit[:_SHORT]}" if commit else "no commit known"


def _ago(time: datetime | None, now: datetime) -> str:
    """In whole minutes, from one on."""
    if time is None:
        return "at a time unknown"
    seconds = (now - time).total_seconds()
    return f"{format_duration(seconds if seconds < 60 else seconds - seconds % 60)} ago"


def standing_to_json(standing: Standing) -> dict[str, Any]:
    """The same for programs; what is not there is null."""
    held, endpoint = standing.deployed, standing.endpoint
    return {
        "pipeline": standing.target.pipeline.name,
        "environment": standing.target.environment.name,
        "region": standing.target.region,
        "name": standing.target.pipeline_name,
        "deployed": held
        and {
            "arn": held.arn,
            "version": held.version_id,
            "commit": standing.commit,
            "modified": _time(held.modified),
        },
        "aliases": {
            alias: {"version": version.number, "commit": commit_of(version)}
            for alias, version in sorted(standing.aliases.items())
        },
        "executions": [_ran_document(ran) for ran in standing.executions],
        "champion": standing.champion and _package_document(standing.champion),
        "waiting": [_package_document(package) for package in standing.waiting],
        "endpoint": endpoint
        and {
            "name": endpoint.name,
            "status": endpoint.status,
            "model_package": endpoint.model_package,
            "failure_reason": endpoint.failure_reason,
        },
        "unread": list(standing.unread),
    }


def _ran_document(ran: Ran) -> dict[str, Any]:
    record = ran.record
    return {
        "arn": ran.summary.arn,
        "status": ran.summary.raw_status,
        "commit": record and record.commit,
        "branch": record and record.branch,
        "pull_request": record and record.pull_request,
        "started": _time(ran.summary.started),
        "ended": _time(ran.ended),
        "failure_reason": ran.summary.failure_reason,
        "failed_step": ran.failed and {"name": ran.failed.name, "reason": failure_text(ran.failed)},
    }


def _package_document(package: ModelPackage) -> dict[str, Any]:
    made = read_provenance(package)
    return {
        "arn": package.arn,
        "group": package.group,
        "version": package.version,
        "approval": package.approval.value,
        "commit": made and made.commit,
        "execution": made and made.execution,
        "created": _time(package.created),
    }


def _time(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()
