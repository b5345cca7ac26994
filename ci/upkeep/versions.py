"""Moves an alias among the versions of a pipeline: promote, and back.

An alias stands at one version at most, and the service wants it removed before it is added
elsewhere: for the moment between the two calls it stands nowhere. So a second alias,
`<alias>.moving`, marks where it is going before it is taken away: after a run that was killed in
between, the next one knows where the alias belongs. Where the second call fails it is put back.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from ci.errors import AwsError, UsageError
from ci.execution.find import find_executions
from ci.execution.identity import parse_description
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.model import DeployedPipeline, PipelineVersion

_MARK = ".moving"
_LONGEST_ALIAS = 128 - len(_MARK)
_ALIAS = re.compile(rf"[a-zA-Z0-9._-]{{1,{_LONGEST_ALIAS}}}")
_MOST_ALIASES = 10  # of one version, as the service's model says
_COMMIT = re.compile(r"[0-9a-f]{7,40}")
_LONGEST_NUMBER = 6
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """An alias from one version to another. `old` None: no version holds it. `marked` holds the
    mark of a move that was cut off."""

    alias: str
    old: PipelineVersion | None
    new: PipelineVersion
    marked: PipelineVersion | None = None

    @property
    def completes(self) -> bool:
        """Whether this is the move that was cut off after the alias was taken away."""
        return self.old is None and self.marked is not None and self.marked == self.new

    @property
    def needed(self) -> bool:
        return self.old is None or self.old.number != self.new.number


def plan_promotion(aws: SageMaker, pipeline_name: str, *, to: str, alias: str) -> Move:
    """The move that `promote` makes. UsageError for a version or commit that is not there."""
    versions = read_versions(aws, pipeline_name, alias)
    found = find_version(versions, to)
    if found is None and _COMMIT.fullmatch(to):
        # A commit that left the definition as it was made no version: it ran an older one.
        found = _version_run_for(aws, pipeline_name, to, versions)
    if found is None:
        raise _missing(pipeline_name, to, versions)
    return _move(versions, alias, found)


def plan_rollback(aws: SageMaker, pipeline_name: str, *, to: str | None, alias: str) -> Move:
    """The move that `rollback` makes: to the version before the alias's, or to any. UsageError
    where the alias stands nowhere or there is no version before. A move that was cut off is
    completed, since nothing tells any more which version was the one to go back from."""
    if to is not None:
        return plan_promotion(aws, pipeline_name, to=to, alias=alias)
    versions = read_versions(aws, pipeline_name, alias)
    current, marked = held_by(versions, alias), held_by(versions, alias + _MARK)
    if current is None and marked is not None:
        return _move(versions, alias, marked)
    if current is None:
        raise UsageError(
            f"no version has the alias {alias!r}, so there is none to go back from",
            where=pipeline_name,
            why=f"there are {_listed(versions)}",
            fix=f"sagemaker-gitops promote PIPELINE --to VERSION --alias {alias}",
        )
    before = version_before(versions, current)
    if before is None:
        raise UsageError(
            f"version {current.number} has the alias {alias!r}, and there is none before it",
            where=pipeline_name,
            fix="Name a version: --to VERSION",
        )
    return _move(versions, alias, before)


def _move(versions: Sequence[PipelineVersion], alias: str, new: PipelineVersion) -> Move:
    return Move(
        alias=alias,
        old=held_by(versions, alias),
        new=new,
        marked=held_by(versions, alias + _MARK),
    )


def move_alias(aws: SageMaker, deployed: DeployedPipeline, move: Move) -> None:
    """Make the move; nothing where the alias stands there already."""
    marked = move.marked
    if move.needed and move.old is not None:
        marked = _mark(aws, deployed, move)
        _change(aws, deployed, move.old, "Remove", move.alias)
    try:
        if move.needed:
            _change(aws, deployed, move.new, "Add", move.alias)
    except BaseException:
        with suppress(AwsError):
            if move.old is not None:
                _change(aws, deployed, move.old, "Add", move.alias)
        raise
    if marked is not None:
        _change(aws, deployed, marked, "Remove", move.alias + _MARK)


def _mark(aws: SageMaker, deployed: DeployedPipeline, move: Move) -> PipelineVersion | None:
    """Mark where the alias goes; the version that holds the mark then. A version that has no room
    for both is not marked."""
    mark = move.alias + _MARK
    if move.marked is not None:
        if move.marked.number == move.new.number:
            return move.marked
        _change(aws, deployed, move.marked, "Remove", mark)
    if len(move.new.aliases) + 2 > _MOST_ALIASES:
        return None
    _change(aws, deployed, move.new, "Add", mark)
    return move.new


def _change(
    aws: SageMaker,
    deployed: DeployedPipeline,
    version: PipelineVersion,
    operation: str,
    alias: str,
) -> None:
    aws.pipelines.change_alias(deployed.arn, version.number, operation, alias)


def read_versions(aws: SageMaker, pipeline_name: str, alias: str) -> tuple[PipelineVersion, ...]:
    """All versions, newest first. UsageError for an alias that cannot be one, or where the
    installed botocore knows none."""
    if not _ALIAS.fullmatch(alias) or alias.isdigit() or alias.endswith(_MARK):
        raise UsageError(
            f"{alias!r} cannot be an alias",
            where="--alias",
            why=f"it has 1 to {_LONGEST_ALIAS} of a-z A-Z 0-9 . _ -, is not a number, and does not"
            f" end in {_MARK}",
        )
    if not aws.pipelines.knows_aliases():
        raise UsageError(
            "the installed botocore does not know aliases of pipeline versions",
            why="UpdatePipelineVersion takes no PipelineVersionAliasOperations there",
            fix='pip install --upgrade "boto3>=1.44"',
        )
    return aws.pipelines.versions(pipeline_name)


def find_version(versions: Sequence[PipelineVersion], text: str) -> PipelineVersion | None:
    """By number, or by the commit in its label (7 digits are enough); the newest of several.

    What could be both is a version where there is one of this number.
    """
    if text.isascii() and text.isdigit():
        number = next((each for each in versions if str(each.number) == text), None)
        if number is not None or len(text) <= _LONGEST_NUMBER:
            return number
    if not _COMMIT.fullmatch(text):
        return None
    return next((each for each in versions if (commit_of(each) or "").startswith(text)), None)


def held_by(versions: Sequence[PipelineVersion], alias: str) -> PipelineVersion | None:
    return next((each for each in versions if alias in each.aliases), None)


def version_before(
    versions: Sequence[PipelineVersion], current: PipelineVersion
) -> PipelineVersion | None:
    """The newest of those that are older; numbers may have gaps."""
    older = [each for each in versions if each.number < current.number]
    return max(older, key=lambda each: each.number, default=None)


def commit_of(version: PipelineVersion) -> str | None:
    """The commit in a version's label; None where someone else wrote it, or nobody."""
    record = parse_description(version.description)
    return None if record is None else record.commit


def _version_run_for(
    aws: SageMaker, pipeline_name: str, commit: str, versions: Sequence[PipelineVersion]
) -> PipelineVersion | None:
    found = next(iter(find_executions(aws, pipeline_name, commit=commit)), None)
    if found is None:
        return None
    number = aws.executions.execution(found[0].arn).version_id
    return next((each for each in versions if each.number == number), None)


def _missing(pipeline_name: str, text: str, versions: Sequence[PipelineVersion]) -> UsageError:
    known = f"there are {_listed(versions)}" if versions else "it has no versions"
    return UsageError(
        f"{text!r} is neither a version of this pipeline nor a commit that made or ran one",
        where=pipeline_name,
        why=known,
        fix="--to VERSION, or --to COMMIT with at least 7 digits",
    )


def _listed(versions: Sequence[PipelineVersion]) -> str:
    told = [
        f"{each.number} ({commit[:12]})" if (commit := commit_of(each)) else str(each.number)
        for each in versions[:_SHOWN]
    ]
    more = f" and {len(versions) - _SHOWN} more" if len(versions) > _SHOWN else ""
    return "the versions " + ", ".join(told) + more


def require_pipeline(aws: SageMaker, pipeline_name: str) -> DeployedPipeline:
    """UsageError where it is not deployed."""
    deployed = aws.pipelines.find(pipeline_name)
    if deployed is None:
        raise UsageError(
            "there is no such pipeline", where=pipeline_name, fix="sagemaker-gitops deploy"
        )
    return deployed
