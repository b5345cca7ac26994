"""What is deployed and not in git: pipelines that were changed by hand, and strays.

Compared is the compiled commit with what the service holds, as a plan does; shown is what applying
git would change back. Tags that others add are theirs; of this project's own, commit and digest
say which deploy it was and never count.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from ci.delivery.planning import PULL_REQUEST, plan_against_deployed
from ci.execution.upsert import deploy
from ci.plan.model import Kind, NamedChange, Plan
from ci.plan.words import differences
from ci.project.names import OWN, template_fields
from ci.project.target import deployed_name
from ci.sagemaker.adapter import SageMaker
from ci.session.job import Job
from ci.session.session import Session

_THREADS = 8
_PARALLELISM = "parallelism"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A pipeline of the project. `plan` is what applying git would change; `deployed_commit` is
    the commit that was deployed last, where the pipeline tells."""

    job: Job
    plan: Plan
    deployed_commit: str | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """What differs, one line each; empty without drift."""
        return () if self.plan.empty else tuple(differences(self.plan))

    @property
    def advice(self) -> tuple[str, ...]:
        """What applying git cannot undo, and what can be done about it."""
        place = self.job.target.environment.name
        return tuple(
            f"parallelism {each.old} is not in git (any more), and the service takes no update that"
            " removes it: --fix leaves it. If it is meant, let git say so, in the project file:"
            f" environments: {{{place}: {{parallelism: {each.old}}}}}. If not, name the number"
            " there that is meant."
            for each in self.plan.settings
            if each.name == _PARALLELISM and each.kind is Kind.REMOVED
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """A pipeline that carries this project's tag and that no pipeline of the project explains."""

    name: str
    arn: str
    reason: str
    commit: str | None = None


def shared_session(session: Session) -> Session:
    """What a shared environment holds is nobody's pull request, also where one asks."""
    if session.environment == PULL_REQUEST:
        return session
    return replace(session, trigger=replace(session.trigger, pull_request=None))


def find_drift(adapter: SageMaker, job: Job) -> Drift:
    """Raises AwsError where the service cannot be asked."""
    planned = plan_against_deployed(adapter, job.target, job.bundle)
    before = planned.before
    plan = replace(planned.plan, runs=())
    if (
        before is not None
        and before.parallelism is not None
        and job.target.environment.parallelism is None
    ):
        by_hand = NamedChange(name=_PARALLELISM, kind=Kind.REMOVED, old=before.parallelism)
        plan = replace(plan, settings=(*plan.settings, by_hand))
    return Drift(
        job=job,
        plan=plan,
        deployed_commit=None if before is None else before.tags.get(f"{OWN}commit"),
    )


def apply_git(adapter: SageMaker, drift: Drift, *, tell: Callable[[str], None]) -> Drift:
    """Bring the pipeline to what git says, and look again. Nothing is started."""
    if drift.plan.empty:
        return drift
    deploy(adapter, drift.job.bundle, drift.job.run, tell=tell)
    return find_drift(adapter, drift.job)


def find_strays(session: Session, adapter: SageMaker) -> tuple[Stray, ...]:
    """Strays of this project in one region, by name."""
    owner = session.target(next(iter(session.project.pipelines))).tags[f"{OWN}project"]
    arns = adapter.pipelines.arns()
    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        tags = dict(zip(arns, pool.map(adapter.pipelines.tags, arns.values()), strict=True))
    mine = {name: found for name, found in tags.items() if found.get(f"{OWN}project") == owner}
    return tuple(_strays(session, mine, arns))


def _strays(
    session: Session, tags: Mapping[str, Mapping[str, str]], arns: Mapping[str, str]
) -> Iterator[Stray]:
    own = {session.target(pipeline).pipeline_name.lower() for pipeline in session.project.pipelines}
    for name in sorted(name for name in tags if name.lower() not in own):
        reason = why_stray(session, name, tags[name])
        if reason is not None:
            commit = tags[name].get(f"{OWN}commit")
            yield Stray(name=name, arn=arns[name], reason=reason, commit=commit)


def why_stray(session: Session, name: str, tags: Mapping[str, str]) -> str | None:
    """Why no pipeline of the project explains this one; None where one does.

    A pull request's or branch's pipeline is explained by its pipeline and environment: whether
    the pull request is still open is what `cleanup` is for.
    """
    project = session.project
    pipeline, environment = tags.get(f"{OWN}pipeline"), tags.get(f"{OWN}environment")
    entry = project.pipelines.get(pipeline or "")
    place = project.environments.get(environment or "")
    if entry is None:
        return f"the project file has no pipeline {pipeline!r}"
    if place is None:
        return f"the project file has no environment {environment!r}"
    if {"pull_request", "branch"} & set(template_fields(place.pipeline_name)):
        return None
    expected = deployed_name(entry, place, session.trigger)
    if name.lower() == expected.lower():
        return None
    return f"{entry.name} is deployed as {expected} in the environment {place.name!r}"


def drifted(drifts: Sequence[Drift], strays: Sequence[Stray]) -> bool:
    return bool(strays) or any(not drift.plan.empty for drift in drifts)
