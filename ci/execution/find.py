"""Finds executions by what they are of: commit, pull request. No local file is needed."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

from ci.errors import UsageError
from ci.execution.identity import (
    ExecutionRecord,
    Identity,
    execution_token,
    parse_description,
)
from ci.sagemaker.executions import Executions
from ci.sagemaker.model import ExecutionSummary

_SEARCHED = 1000
_SHORTEST_COMMIT = 7

Found = tuple[ExecutionSummary, ExecutionRecord]


def find_executions(
    executions: Executions,
    pipeline_name: str,
    *,
    commit: str | None = None,
    pull_request: int | None = None,
    environment: str | None = None,
) -> Iterator[Found]:
    """Newest first. `commit` may be shortened to 7 digits; None leaves a condition out."""
    if commit is not None and len(commit) < _SHORTEST_COMMIT:
        raise UsageError(
            f"{commit!r} is too short to tell commits apart",
            fix=f"Give at least {_SHORTEST_COMMIT} digits of the commit.",
        )

    def wanted(record: ExecutionRecord) -> bool:
        return (
            (commit is None or record.commit.startswith(commit))
            and (pull_request is None or record.pull_request == pull_request)
            and (environment is None or record.environment == environment)
        )

    return _matching(executions, pipeline_name, wanted)


def superseded_executions(
    executions: Executions, pipeline_name: str, *, pull_request: int, commit: str
) -> list[Found]:
    """Running executions of this pull request for another commit than `commit`."""

    def wanted(record: ExecutionRecord) -> bool:
        return record.pull_request == pull_request and record.commit != commit

    found = _matching(executions, pipeline_name, wanted)
    return [pair for pair in found if not pair[0].status.terminal]


def next_again(executions: Executions, identity: Identity) -> int:
    """The counter that makes a deliberate rerun: one more than the last that was used."""
    tokens = {
        record.token
        for _, record in _matching(executions, identity.pipeline_name, lambda _record: True)
    }
    again = 0
    while execution_token(replace(identity, again=again)) in tokens:
        again += 1
    return again


def past_durations(
    summaries: Iterator[ExecutionSummary], ended: Callable[[str], float | None], *, limit: int = 10
) -> list[float]:
    """Seconds that the newest finished executions took; `ended` gives one's duration by ARN."""
    done = (item for item in islice(summaries, _SEARCHED) if item.status.terminal)
    durations = (ended(item.arn) for item in islice(done, limit))
    return [seconds for seconds in durations if seconds is not None]


def _matching(
    executions: Executions, pipeline_name: str, wanted: Callable[[ExecutionRecord], bool]
) -> Iterator[Found]:
    for summary in islice(executions.summaries(pipeline_name), _SEARCHED):
        record = parse_description(summary.description)
        if record is not None and wanted(record):
            yield summary, record
