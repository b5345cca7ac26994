"""The main job: start what was prepared, follow it to its end, read back, and report.

Whatever ends it early (a deadline, a signal) is kept beside the reports and not raised, so that
the reports are written first.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from ci.delivery.account import Account, effective_parameters, make_report
from ci.delivery.evidence import Waiting, gather_facts
from ci.delivery.job import Job, prepare_job
from ci.delivery.session import Session
from ci.errors import AwsError, DeadlineReached, ExitCode, GitOpsError, Interrupted
from ci.execution.cancel import Cancellation
from ci.execution.find import learn_histories, next_again, superseded_executions
from ci.execution.follow import Means, Surroundings, attach_command, follow
from ci.execution.identity import derived_token, parameter_text
from ci.execution.model import Change
from ci.execution.start import ensure_execution
from ci.metrics.facts import Facts
from ci.metrics.steps import failed_steps
from ci.metrics.verdict import exit_code
from ci.project.model import OnCancel
from ci.registry.packages import Provenance, stamp_package
from ci.report.model import LogTail, PlanSection, Report
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.logs import find_place
from ci.sagemaker.model import ExecutionSnapshot

_LOG_LINES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`deadline` is in seconds and goes before the environment's; `on_cancel` likewise."""

    overrides: Mapping[str, str] = field(default_factory=dict)
    again: bool = False
    detach: bool = False
    deadline: float | None = None
    on_cancel: OnCancel | None = None


class Show(Protocol):
    """What follows the changes on a screen or in a log."""

    def change(self, change: Change) -> None: ...

    def log(self, title: str, lines: Sequence[str]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The world around a deployment. `publish` is handed every report worth showing, the running
    ones included; `surroundings` are what `follow` waits with."""

    tell: Callable[[str], None]
    show: Show
    publish: Callable[[Report], None]
    now: Callable[[], datetime]
    surroundings: Surroundings


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """`error` is what ended following before the executions did, None where nothing did."""

    reports: tuple[Report, ...]
    code: ExitCode
    error: GitOpsError | None = None


def prepare_jobs(session: Session, names: Sequence[str], options: Options) -> tuple[Job, ...]:
    """Compile several pipelines side by side. The first that cannot be compiled is raised."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        return tuple(pool.map(lambda name: prepare_job(session, name, options.overrides), names))


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
    adapter = session.adapter(jobs[0].target.region)
    policy = options.on_cancel or environment.on_cancel
    deadline = options.deadline if options.deadline is not None else environment.deadline
    with Cancellation(policy, _stopper(adapter)) as cancellation:
        delivery = Delivery(session, adapter, stage, cancellation, deadline=deadline)
        for job in jobs:
            delivery.start(
                job,
                again=options.again,
                plan=(plans or {}).get(job.name),
                remarks=(remarks or {}).get(job.name, ()),
            )
        if options.detach:
            return delivery.conclude(ExitCode.OK)
        error = delivery.follow()
        delivery.read_back(error)
    return delivery.conclude(delivery.verdict_code(environment.require_approval), error)


def attach(
    session: Session, jobs: Mapping[str, Job], deadline: float | None, stage: Stage
) -> Ended:
    """Follow executions that were started before, by ARN, to their reports. A signal only ends
    the following: whoever attaches did not start them."""
    environment = session.project.environments[session.environment]
    adapter = session.adapter(next(iter(jobs.values())).target.region)
    with Cancellation(OnCancel.DETACH, _stopper(adapter)) as cancellation:
        delivery = Delivery(session, adapter, stage, cancellation, deadline=deadline)
        for arn, job in jobs.items():
            delivery.take_up(arn, job)
        error = delivery.follow()
        delivery.read_back(error)
    return delivery.conclude(delivery.verdict_code(environment.require_approval), error)


class Delivery:
    """The executions of one run of this program, and what is known of each so far."""

    def __init__(
        self,
        session: Session,
        adapter: SageMaker,
        stage: Stage,
        cancellation: Cancellation,
        *,
        deadline: float | None,
    ) -> None:
        self._session = session
        self._adapter = adapter
        self._stage = stage
        self._cancellation = cancellation
        self._clock = stage.surroundings.clock
        self._ends = None if deadline is None else self._clock() + deadline
        self._accounts: dict[str, Account] = {}

    def start(
        self,
        job: Job,
        *,
        again: bool = False,
        plan: PlanSection | None = None,
        remarks: Sequence[str] = (),
    ) -> None:
        """Start the job's execution, or find the one it has; then say that it runs."""
        if again:
            job = job.rerun(next_again(self._adapter.executions, job.identity))
        notes = [*remarks, *self._stop_superseded(job)]
        started = ensure_execution(self._adapter, job.bundle, job.run, tell=self._stage.tell)
        self._cancellation.watch(started.arn)
        self.take_up(started.arn, job, plan=plan, notes=notes)
        self._publish(started.arn)

    def take_up(
        self, arn: str, job: Job, *, plan: PlanSection | None = None, notes: Sequence[str] = ()
    ) -> None:
        """From now on this execution is followed and reported."""
        if self._session.trigger.dirty:
            notes = [*notes, "The work tree held changes that are not in the commit."]
        self._accounts[arn] = Account(
            job=job,
            facts=Facts(execution=self._adapter.executions.snapshot(arn)),
            plan=plan,
            main_parameters=_main_parameters(self._session, job),
            notes=tuple(notes),
        )

    def follow(self) -> GitOpsError | None:
        """Wait for all to end. What comes first instead, a deadline or a signal, is returned."""
        names = {account.job.target.pipeline_name for account in self._accounts.values()}
        known = learn_histories(self._adapter.executions, names)
        try:
            snapshots = follow(
                self._adapter.executions,
                list(self._accounts),
                emit=self._stage.show.change,
                deadline=self._left(),
                means=Means(histories=known),
                cancelled=self._cancellation.requested,
                surroundings=replace(self._stage.surroundings, sleep=self._cancellation.sleep),
            )
        except (DeadlineReached, Interrupted) as early:
            return early
        for arn, snapshot in snapshots.items():
            self._learn(arn, facts=Facts(execution=snapshot))
        return None

    def read_back(self, early: GitOpsError | None) -> None:
        """What a verdict needs; after an early end only how far the executions are."""
        for arn, account in self._accounts.items():
            execution = self._latest(arn) if early else _execution(account)
            if execution.status.terminal:
                self._read_ended(arn, execution)
                continue
            how = "was cancelled" if isinstance(early, Interrupted) else "came to its deadline"
            note = f"This run {how}. To go on: {attach_command(arn)}"
            self._learn(arn, facts=Facts(execution=execution), notes=(*account.notes, note))

    def conclude(self, code: ExitCode, error: GitOpsError | None = None) -> Ended:
        reports = tuple(self._publish(arn) for arn in self._accounts)
        return Ended(reports=reports, code=error.exit_code if error else code, error=error)

    def verdict_code(self, require_approval: bool) -> ExitCode:
        """One code for several pipelines: a failure counts before a missing approval."""
        verdicts = [account.verdict for account in self._accounts.values()]
        codes = {exit_code(v, require_approval=require_approval) for v in verdicts if v}
        order = (ExitCode.FAILED, ExitCode.APPROVAL, ExitCode.RUNNING)
        return next((code for code in order if code in codes), ExitCode.OK)

    def _read_ended(self, arn: str, execution: ExecutionSnapshot) -> None:
        job = self._accounts[arn].job
        waiting = Waiting(sleep=self._cancellation.sleep, left=self._left)
        facts = gather_facts(
            self._adapter, job.target.pipeline, job.definition, execution, waiting=waiting
        )
        if facts.package is not None:
            stamp_package(self._adapter.packages, facts.package.arn, _provenance(job, arn))
        self._learn(arn, facts=facts, logs=self._read_logs(execution))

    def _read_logs(self, execution: ExecutionSnapshot) -> tuple[LogTail, ...]:
        """The ends of failed steps' logs. One that cannot be read is no reason to fail."""
        tails = []
        for step in failed_steps(execution):
            place = find_place(step)
            if place is None:
                continue
            try:
                lines = self._adapter.logs.tail(step, lines=_LOG_LINES)
            except AwsError as error:
                lines = (f"(the log cannot be read: {error.what})",)
            self._stage.show.log(f"Log of {step.name}", lines)
            tails.append(LogTail(step=step.name, text="\n".join(lines), group=place.group))
        return tuple(tails)

    def _latest(self, arn: str) -> ExecutionSnapshot:
        try:
            return self._adapter.executions.poll_snapshot(arn)
        except AwsError:
            return _execution(self._accounts[arn])

    def _stop_superseded(self, job: Job) -> list[str]:
        """A newer commit of a pull request ends the run of the older one. `main` is never
        stopped for being older."""
        number = job.trigger.pull_request
        if number is None or job.target.environment.on_cancel is not OnCancel.STOP:
            return []
        executions, name = self._adapter.executions, job.target.pipeline_name
        notes = []
        for summary, record in superseded_executions(
            executions, name, pull_request=number, commit=job.trigger.commit
        ):
            executions.stop(summary.arn, token=derived_token("stop", summary.arn))
            notes.append(f"Stopped the execution of {record.commit[:12]}: this commit is newer.")
            self._stage.tell(notes[-1])
        return notes

    def _learn(self, arn: str, **what: Any) -> None:
        self._accounts[arn] = replace(self._accounts[arn], **what)

    def _publish(self, arn: str) -> Report:
        report = make_report(self._accounts[arn], generated=self._stage.now())
        self._stage.publish(report)
        return report

    def _left(self) -> float | None:
        return None if self._ends is None else max(0.0, self._ends - self._clock())


def _stopper(adapter: SageMaker) -> Callable[[str, str], None]:
    return lambda arn, token: adapter.executions.stop_now(arn, token=token)


def _execution(account: Account) -> ExecutionSnapshot:
    if account.facts is None:
        raise ValueError("an account is taken up with the execution it is of")
    return account.facts.execution


def _provenance(job: Job, arn: str) -> Provenance:
    trigger = job.trigger
    return Provenance(
        commit=trigger.commit,
        execution=arn,
        environment=job.target.environment.name,
        digest=job.bundle.digest,
        repository=trigger.repository,
        pull_request=trigger.pull_request,
        run_url=trigger.run_url,
    )


def _main_parameters(session: Session, job: Job) -> dict[str, str] | None:
    """The parameters that the default branch runs with; None where this run is of it."""
    if session.environment == "main":
        return None
    main = session.project.environments["main"].parameters
    given = {**job.target.pipeline.parameters, **main}
    texts = {name: parameter_text(value) for name, value in given.items()}
    return effective_parameters(job.definition, texts)
