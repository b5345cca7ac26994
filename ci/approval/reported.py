"""Finds the model package that a pull request's or a commit's report is about.

Of what the comments name where the forge tells them, else of the newest executions. More than one
that could be meant is refused: nobody approves by chance.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from ci.delivery.evidence import fetch_package
from ci.errors import AwsError
from ci.execution.find import find_executions
from ci.forge.model import Forge
from ci.project.target import is_isolated
from ci.registry.decisions import ApprovalError
from ci.registry.packages import read_provenance
from ci.report.marker import Marker, parse_marker, short_project
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.arn import region_of
from ci.sagemaker.identity import Identity
from ci.sagemaker.model import ApprovalStatus, ModelPackage
from ci.session.session import Session
from ci.text.redact import ACCOUNT_MASK

_MOST_READ = 5  # executions of one commit; each takes two calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a comment of ours is about. `changed` is the time of its text, by the forge's clock."""

    marker: Marker
    changed: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A package that a report names. `commit` is the report's, `shown` the comment that names it;
    None where the executions told."""

    pipeline: str
    environment: str
    commit: str
    execution: str
    package: ModelPackage
    shown: Shown | None = None


def shown_reports(forge: Forge, number: int, place: str | None) -> tuple[Shown, ...]:
    """What our comments on a pull request are about: of each pipeline and environment the last
    comment's. Another author's comment counts for nothing, nor does one of another project file
    than that at `place` (None: the root's)."""
    login = forge.whoami().lower()
    found: dict[tuple[str, str], Shown] = {}
    for comment in forge.comments(number):
        marker = parse_marker(comment.body) if comment.author.lower() == login else None
        if marker is not None and marker.project == short_project(place):
            shown = Shown(marker=marker, changed=comment.changed)
            found[marker.pipeline, marker.environment] = shown
    return tuple(found.values())


def from_reports(session: Session, reports: Iterable[Shown]) -> Iterator[Reported]:
    """The packages of the executions that comments name."""
    for shown in reports:
        marker = shown.marker
        if marker.execution is None or marker.pipeline not in session.project.pipelines:
            continue
        package = _registered(session, marker.execution)
        if package is not None:
            yield Reported(
                pipeline=marker.pipeline,
                environment=marker.environment,
                commit=marker.commit,
                execution=marker.execution,
                package=package,
                shown=shown,
            )


def from_executions(
    session: Session, *, commit: str | None, pipelines: Iterable[str] | None = None
) -> Iterator[Reported]:
    """The packages of the newest executions of the session's environment, of each pipeline one: of
    those of `commit` the newest that has registered one, or that of the session's pull request. A
    shared environment's executions are of commits alone."""
    isolated = is_isolated(session.project.environments[session.environment])
    if commit is None and not isolated:
        return
    number = session.trigger.pull_request if isolated else None
    for name in pipelines or session.project.pipelines:
        target = session.target(name)
        found = find_executions(
            session.adapter(target.region),
            target.pipeline_name,
            commit=commit,
            pull_request=number,
            environment=session.environment,
        )
        for summary, record in islice(found, 1 if commit is None else _MOST_READ):
            package = _registered(session, summary.arn)
            if package is not None:
                yield Reported(
                    pipeline=name,
                    environment=session.environment,
                    commit=record.commit,
                    execution=summary.arn,
                    package=package,
                )
                break


def choose_reported(
    found: Sequence[Reported],
    *,
    expected: ApprovalStatus,
    approval: ApprovalStatus,
    commit: str | None = None,
    how: Callable[[Reported], str],
) -> Reported:
    """The one that is meant: the one with the expected status, else the one that has the wanted
    status already. `commit` is what it has to be of. `how` words the command that names one.
    ApprovalError where there is none, or more than one."""
    waiting = [each for each in found if each.package.approval is expected]
    done = [each for each in found if each.package.approval is approval]
    fitting = waiting or done
    if not fitting:
        raise ApprovalError(
            f"no model package that is reported here is {expected}: nothing was changed",
            why=_told(found) or "No report here names a model package that is there.",
            fix="\n".join(_otherwise(each, approval) for each in found) or None,
        )
    if len(fitting) > 1:
        raise ApprovalError(
            f"{len(fitting)} model packages could be meant: nothing was changed",
            why=_told(fitting),
            fix="\n".join(how(each) for each in fitting),
        )
    chosen = fitting[0]
    if commit is not None and not chosen.commit.startswith(commit):
        raise ApprovalError(
            f"the report of {chosen.pipeline} in {chosen.environment} is of commit"
            f" {chosen.commit[:12]}, not {commit[:12]}: nothing was changed",
            where=chosen.package.arn,
            why="A newer commit has not been reported on yet, or its run has failed.",
        )
    return chosen


def _otherwise(each: Reported, approval: ApprovalStatus) -> str:
    """The command that decides on a package as it is now."""
    made = read_provenance(each.package)
    number = None if made is None else made.pull_request
    verb = "approve" if approval is ApprovalStatus.APPROVED else "reject"
    of = f" --pull-request {number}" if number is not None else ""
    return (
        f"sagemaker-gitops {verb} {each.pipeline} --environment {each.environment}{of}"
        f" --commit {each.commit[:12]} --from {each.package.approval}"
    )


def _registered(session: Session, execution: str) -> ModelPackage | None:
    """None as well where the execution is gone."""
    adapter = session.adapter(region_of(execution) or "")
    try:
        whole = _unmasked(adapter, execution)
        return fetch_package(adapter, adapter.executions.snapshot(whole))
    except AwsError as error:
        if error.code in {"ResourceNotFound", "ResourceNotFoundException", "ValidationException"}:
            return None
        raise


def _unmasked(adapter: SageMaker, execution: str) -> str:
    """A comment that hides accounts names its execution without one: it is of this account."""
    if f":{ACCOUNT_MASK}:" not in execution:
        return execution
    account = Identity(adapter.clients).caller().account
    return execution.replace(f":{ACCOUNT_MASK}:", f":{account}:")


def _told(found: Iterable[Reported]) -> str:
    return "; ".join(
        f"{each.package.group} v{each.package.version} ({each.pipeline} in {each.environment}) is"
        f" {each.package.approval}"
        for each in found
    )
