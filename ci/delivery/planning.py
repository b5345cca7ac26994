"""What a commit changes. On a pull request: what merging it would change on `main`."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ci.compile.bundle import Bundle
from ci.errors import AwsError
from ci.execution.identity import execution_parameters, parameter_text
from ci.plan.diff import plan_changes
from ci.plan.markdown import render_markdown
from ci.plan.model import Baseline, Files, FunctionState, PipelineState, Plan
from ci.plan.states import deployed_state, wanted_state
from ci.plan.words import summary
from ci.project.model import Target
from ci.project.names import OWN
from ci.sagemaker.adapter import SageMaker
from ci.session.job import Job, prepare_job
from ci.session.session import Session
from ci.trigger.model import Event

if TYPE_CHECKING:
    from ci.report.model import PlanSection

MAIN = "main"
PULL_REQUEST = "pull_request"
_LARGEST_FOLDER = 200  # files of one artifact that are read for a diff


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan with both of its sides. `target` and `bundle` are those of the environment that was
    planned; `before` is None where there is no pipeline, or nothing to compare with."""

    target: Target
    bundle: Bundle
    plan: Plan
    before: PipelineState | None = None


def planned_session(session: Session) -> Session:
    """A pull request runs apart from production: planned is what merging it does on `main`."""
    if session.environment != PULL_REQUEST:
        return session
    trigger = session.trigger
    merged = replace(
        trigger,
        event=Event.PUSH,
        pull_request=None,
        branch=trigger.default_branch or trigger.branch,
        is_default_branch=True,
    )
    return replace(session, environment=MAIN, trigger=merged, proposed=True)


def plan_job(session: Session, adapter: SageMaker, job: Job) -> Plan:
    """The plan alone; see `plan_pipeline`."""
    return plan_pipeline(session, adapter, job).plan


def plan_pipeline(session: Session, adapter: SageMaker, job: Job) -> Planned:
    """The plan of a job that was prepared for this session. A pull request's is compiled once
    more as `main` would have it. Without any credentials it is compared with nothing."""
    if session.environment == PULL_REQUEST:
        job = prepare_job(planned_session(session), job.name, {})
    if not adapter.clients.has_credentials():
        return plan_against(job.target, job.bundle, None, baseline=Baseline.NOTHING)
    return plan_against_deployed(
        adapter, job.target, job.bundle, given=partial(_given_anew, session, job)
    )


def _given_anew(session: Session, job: Job, before: PipelineState) -> frozenset[str]:
    """The parameters that this execution is given another value for than one without options of
    the commit that is deployed. A deploy that names values on its own command line is not known."""
    usual = planned_session(session).target(job.name).parameters
    commit = before.tags.get(f"{OWN}commit", "")
    declared = job.definition.parameters
    was = execution_parameters(declared, usual, commit=commit)
    default = {name: declared[name].default for name in declared if name not in was}
    was |= {name: parameter_text(value) for name, value in default.items() if value is not None}
    return frozenset(n for n, value in job.identity.parameters.items() if was.get(n) != value)


def plan_against_deployed(
    adapter: SageMaker,
    target: Target,
    bundle: Bundle,
    *,
    given: Callable[[PipelineState], frozenset[str]] = lambda _: frozenset(),
) -> Planned:
    """The plan for one target, against what the service holds. `given` names the parameters that
    the next execution is given another value for, by what is deployed."""
    deployed = adapter.pipelines.find(target.pipeline_name)
    if deployed is None:
        return plan_against(target, bundle, None)
    functions, unread = _held_functions(adapter, bundle, project=target.tags.get(f"{OWN}project"))
    before = deployed_state(deployed, files=_files(adapter, target, functions), functions=functions)
    return plan_against(target, bundle, before, unread=unread, given=given(before))


def plan_against(
    target: Target,
    bundle: Bundle,
    before: PipelineState | None,
    *,
    baseline: Baseline = Baseline.DEPLOYED,
    unread: Iterable[str] = (),
    given: frozenset[str] = frozenset(),
) -> Planned:
    """Pure but for artifacts, which a difference reads. `unread` names functions whose state
    could not be read: they are told, and not compared."""
    wanted = wanted_state(
        bundle,
        role=target.role,
        parallelism=target.environment.parallelism,
        tags=target.tags,
    )
    skipped = tuple(unread)
    if skipped and wanted.functions is not None:
        kept = {name: each for name, each in wanted.functions.items() if name not in skipped}
        wanted = replace(wanted, functions=kept)
    plan = plan_changes(
        wanted,
        before,
        pipeline=target.pipeline_name,
        volatile=bundle.volatile,
        baseline=baseline,
        unread=tuple(f"function {name}" for name in skipped),
        given=given,
        values={name: parameter_text(value) for name, value in target.parameters.items()},
    )
    return Planned(target=target, bundle=bundle, plan=plan, before=before)


def describe_subject(session: Session, target: Target) -> str:
    """Where a plan is for and what of, as one line. `session` is `planned_session`'s."""
    trigger, name = session.trigger, session.environment
    subject = f"What merging would change on {name}" if session.proposed else f"For {name}"
    changed = " (work tree changed)" if trigger.dirty else ""
    place = f"as {target.pipeline_name} in {target.region}"
    return f"{subject}, {place}, at commit {trigger.commit[:12]}{changed}"


def subject_to_json(session: Session, target: Target) -> dict[str, object]:
    """The same for programs; `merged` says that it is what merging a pull request would change."""
    return {
        "environment": session.environment,
        "region": target.region,
        "commit": session.trigger.commit,
        "dirty": session.trigger.dirty,
        "merged": session.proposed,
    }


def describe_plan(plan: Plan) -> "PlanSection":
    """The plan as a report carries it, below its headline. A terminal gets that alone: `plan` shows
    it whole."""
    from ci.report.model import PlanSection

    markdown = "" if plan.empty else render_markdown(plan, headed=False)
    return PlanSection(headline=summary(plan), markdown=markdown, digest=plan.digest)


def _held_functions(
    adapter: SageMaker, bundle: Bundle, *, project: str | None
) -> tuple[dict[str, FunctionState], tuple[str, ...]]:
    """The bundle's functions as Lambda holds them, and the names of those that are not shown: a
    reviewer's role need not see them, and a pull request may name any function of the account,
    so that only those with this project's tags are read."""
    found: dict[str, FunctionState] = {}
    unread: list[str] = []
    for function in bundle.functions:
        try:
            held = adapter.functions.held(function)
        except AwsError:
            unread.append(function.name)
            continue
        if held is None:
            continue
        if held.tags.get(f"{OWN}project") != project:
            unread.append(function.name)
        else:
            found[function.name] = FunctionState(
                sha256=held.sha256, configuration=held.configuration
            )
    return found, tuple(unread)


def _files(adapter: SageMaker, target: Target, functions: Mapping[str, FunctionState]) -> Files:
    """Reads deployed artifacts from S3, a function's code from Lambda where S3 has none. What
    cannot be read is told in the plan as out of reach."""
    by_code = {state.sha256: name for name, state in functions.items()}

    def read(address: str) -> Mapping[str, bytes] | None:
        bare = "://" not in address
        root = f"s3://{target.bucket}/{target.prefix}/{address}" if bare else address
        found = _stored(adapter, root.rstrip("/") + "/")
        if found is None and address in by_code:
            code = adapter.functions.code(by_code[address])
            return None if code is None else {f"{by_code[address]}.zip": code}
        return found

    return read


def _stored(adapter: SageMaker, root: str) -> dict[str, bytes] | None:
    try:
        uris = list(adapter.artifacts.keys(root))[: _LARGEST_FOLDER + 1]
        if not uris or len(uris) > _LARGEST_FOLDER:
            return None
        return {uri.removeprefix(root): adapter.artifacts.read(uri) for uri in uris}
    except AwsError:
        return None
