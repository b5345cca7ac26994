"""The main job: start what was prepared, follow it to its end, read back, and report.

Whatever ends it early once an execution runs (a deadline, a signal, a refusal) is kept beside the
reports and not raised, so that the reports are written first and say how to go on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ci.delivery.delivery import Delivery
from ci.delivery.stage import Ended, Stage
from ci.errors import ExitCode, GitOpsError
from ci.execution.cancel import Cancellation
from ci.project.model import OnCancel
from ci.report.model import PlanSection
from ci.sagemaker.adapter import SageMaker
from ci.session.apart import refuse_production
from ci.session.job import Job
from ci.session.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`deadline` is in seconds and goes before the environment's; `on_cancel` likewise."""

    overrides: Mapping[str, str] = field(default_factory=dict)
    again: bool = False
    retry_failed: bool = False
    detach: bool = False
    deadline: float | None = None
    on_cancel: OnCancel | None = None


def deploy(
    session: Session,
    jobs: Sequence[Job],
    options: Options,
    stage: Stage,
    *,
    plans: Mapping[str, PlanSection] | None = None,
    remarks: Mapping[str, Sequence[str]] | None = None,
) -> Ended:
    """Bring the jobs to SageMaker, follow their executions, report each. `plans` and `remarks`
    go into the reports, by the pipeline's name."""
    environment = session.project.environments[session.environment]
    for job in jobs:
        refuse_production(session.project, job)
    adapter = session.adapter(jobs[0].target.region)
    policy = options.on_cancel or environment.on_cancel
    deadline = options.deadline if options.deadline is not None else environment.deadline
    with Cancellation(policy, _stopper(adapter), hurry=stage.hurry) as cancellation:
        delivery = Delivery(session, adapter, stage, cancellation, deadline=deadline)
        error: GitOpsError | None = None
        try:
            for job in jobs:
                delivery.start(
                    job,
                    again=options.again,
                    retry=options.retry_failed,
                    plan=(plans or {}).get(job.name),
                    remarks=(remarks or {}).get(job.name, ()),
                )
        except GitOpsError as early:
            if not delivery.started:
                raise
            error = early
        if options.detach and error is None and delivery.running:
            return delivery.conclude(ExitCode.OK)
        return delivery.finish(environment.require_approval, error)


def attach(
    session: Session,
    jobs: Mapping[str, Job],
    deadline: float | None,
    stage: Stage,
    *,
    notes: Sequence[str] = (),
) -> Ended:
    """Follow executions that were started before, by ARN, to their reports, which carry `notes`.
    A signal only ends the following: whoever attaches did not start them."""
    environment = session.project.environments[session.environment]
    adapter = session.adapter(next(iter(jobs.values())).target.region)
    with Cancellation(OnCancel.DETACH, _stopper(adapter), hurry=stage.hurry) as cancellation:
        delivery = Delivery(session, adapter, stage, cancellation, deadline=deadline)
        for arn, job in jobs.items():
            delivery.take_up(arn, job, notes=notes)
        return delivery.finish(environment.require_approval)


def _stopper(adapter: SageMaker) -> Callable[[str, str], None]:
    return lambda arn, token: adapter.executions.stop_now(arn, token=token)
