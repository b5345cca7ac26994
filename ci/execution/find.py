"""Finds executions by what they are of: commit, pull request. No local file is needed.

An execution's description says what it is of; of one that a rule, a schedule or a person started
the label of the version that it ran.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from ci.errors import AwsError, UsageError
from ci.execution.identity import (
    ExecutionRecord,
    Identity,
    execution_token,
    parse_description,
)
from ci.execution.pace import History, Past, learn, milestones
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.executions import Executions
from ci.sagemaker.model import (
    ExecutionSnapshot,
    ExecutionStatus,
    ExecutionSummary,
    StepSnapshot,
)
from ci.sagemaker.pipelines import Pipelines

_SEARCHED = 1000
_SHORTEST_COMMIT = 7
_MOST_ASKED = 20
_PASTS = 5
_MOST_LEARNED = 10  # pipelines
_PAST_SEARCHED = 100  # one page
Found = tuple[ExecutionSummary, ExecutionRecord]


def find_executions(
    aws: SageMaker,
    pipeline_name: str,
    *,
    commit: str | None = None,
    pull_request: int | None = None,
    environment: str | None = None,
) -> Iterator[Found]:
    """Newest first. `commit` may be shortened to 7 digits; None leaves a condition out. Where a
    version's label fits, the newest `_MOST_ASKED` without a description of ours take a call each.
    """
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

    return _telling(aws, pipeline_name, wanted)


def superseded_executions(
    executions: Executions,
    pipeline_name: str,
    *,
    pull_request: int,
    commit: str,
    commit_order: Callable[[], Sequence[str]] = tuple,
) -> list[Found]:
    """Running executions of this pull request that are for an older commit than `commit`.

    `commit_order` gives the pull request's commits, oldest first, and is asked only where it
    matters; a commit that is no longer among them is older. Where it says nothing, what was
    started after an execution of `commit` is taken for newer: an old job run again stops nothing.
    """
    running: list[Found] = []
    after_ours: list[Found] | None = None

    def wanted(record: ExecutionRecord) -> bool:
        return record.pull_request == pull_request

    for found in _matching(executions, pipeline_name, wanted):
        if found[1].commit == commit:
            after_ours = list(running) if after_ours is None else after_ours
        elif not found[0].status.terminal:
            running.append(found)
    place = {each: number for number, each in enumerate(commit_order() if running else ())}
    ours = place.get(commit)
    if ours is None:
        return [found for found in running if found not in (after_ours or ())]
    return [found for found in running if place.get(found[1].commit, -1) < ours]


def record_of(pipelines: Pipelines, execution: ExecutionSnapshot) -> ExecutionRecord | None:
    """Where an execution comes from, by its description. One that a rule, a schedule or a person
    started is of the commit that the label of its version names, and of no run of this program;
    None where that tells nothing either."""
    own = parse_description(execution.description)
    if own is not None or execution.version_id is None:
        return own
    return _labels(pipelines, execution.pipeline_name).get(execution.version_id)


def _labels(pipelines: Pipelines, pipeline_name: str) -> dict[int, ExecutionRecord]:
    """By the version's number."""
    read = (
        (each.number, parse_description(each.description))
        for each in pipelines.versions(pipeline_name)
    )
    return {number: replace(record, run_url=None) for number, record in read if record is not None}


def _telling(
    aws: SageMaker, pipeline_name: str, wanted: Callable[[ExecutionRecord], bool]
) -> Iterator[Found]:
    """Those that are wanted by description or label. Versions are listed where one has no
    description of ours."""
    labels: dict[int, ExecutionRecord] | None = None
    asked = 0
    for summary in islice(aws.executions.summaries(pipeline_name), _SEARCHED):
        record = parse_description(summary.description)
        if record is None and labels is None:
            labels = _labels(aws.pipelines, pipeline_name)
            labels = {number: label for number, label in labels.items() if wanted(label)}
        if record is None and labels and asked < _MOST_ASKED:
            asked += 1
            record = labels.get(aws.executions.execution(summary.arn).version_id or 0)
        if record is not None and wanted(record):
            yield summary, record


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


def other_compile(executions: Executions, identity: Identity, *, done: bool) -> Found | None:
    """The newest running execution that was identified as `identity` is but for the definition: of
    the same commit, environment and parameters, which compiled to something else then, in a job
    of CI: what a laptop started may have been of a changed work tree. `done` takes one that has
    succeeded too. None where there is one of this definition as well."""
    kept = {ExecutionStatus.EXECUTING, ExecutionStatus.UNKNOWN}
    kept |= {ExecutionStatus.SUCCEEDED} if done else set()
    newest: Found | None = None
    for summary, record in _matching(executions, identity.pipeline_name, lambda _record: True):
        if execution_token(replace(identity, digest=record.digest)) != record.token:
            continue
        if record.digest == identity.digest:
            return None
        if newest is None and summary.status in kept and record.run_url is not None:
            newest = summary, record
    return newest


def fetch_history(executions: Executions, pipeline_name: str) -> History | None:
    """What the newest executions that succeeded say of how long the next one takes.

    At most one call for the listing and one for each of `_PASTS`. Nothing depends on it: where
    AWS does not answer, what was read until then serves.
    """
    pasts = []
    try:
        listed = islice(executions.poll_summaries_lazily(pipeline_name), _PAST_SEARCHED)
        done = (item for item in listed if item.status is ExecutionStatus.SUCCEEDED)
        for item in islice(done, _PASTS):
            past = _past(item, executions.poll_steps(item.arn))
            if past is not None:
                pasts.append(past)
    except AwsError:
        pass
    return learn(pasts)


def learn_histories(executions: Executions, names: Collection[str]) -> dict[str, History]:
    """Of pipelines by name; of none where there are so many that asking costs more than it
    saves."""
    if len(names) > _MOST_LEARNED:
        return {}
    found = {name: fetch_history(executions, name) for name in names}
    return {name: history for name, history in found.items() if history is not None}


def _past(summary: ExecutionSummary, steps: tuple[StepSnapshot, ...]) -> Past | None:
    reached = milestones(summary.started, steps)
    last = max(reached.values())
    return Past(seconds=last, milestones=reached) if last > 0 else None


def _matching(
    executions: Executions, pipeline_name: str, wanted: Callable[[ExecutionRecord], bool]
) -> Iterator[Found]:
    for summary in islice(executions.summaries(pipeline_name), _SEARCHED):
        record = parse_description(summary.description)
        if record is not None and wanted(record):
            yield summary, record
