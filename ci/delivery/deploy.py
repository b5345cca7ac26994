"""The main job: start what was prepared, follow it to its end, read back, and report.

Whatever ends it early once an execution runs (a deadline, a signal, a refusal) is kept beside the
reports and not raised, so that the reports are written first and say how to go on.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from ci.delivery.account import Account, make_report
from ci.delivery.background import find_newer, gather_background
from ci.delivery.costs import read_prices
from ci.delivery.evidence import Waiting, gather_facts
from ci.delivery.history import remember_metrics
from ci.delivery.mainline import main_parameters, main_pipeline
from ci.delivery.onwards import attach_line
from ci.delivery.outlast import Patience, outlast
from ci.delivery.tails import read_tails
from ci.delivery.watching import open_means
from ci.errors import AwsError, DeadlineReached, ExitCode, GitOpsError, Interrupted
from ci.execution.cancel import Cancellation
from ci.execution.find import next_again, superseded_executions
from ci.execution.follow import Surroundings, attach_command, follow
from ci.execution.model import Change
from ci.execution.retry import retry_failed
from ci.execution.start import ensure_execution
from ci.metrics.facts import Facts
from ci.metrics.verdict import exit_code
from ci.posting.listening import obeys_comments
from ci.posting.place import find_place
from ci.project.model import OnCancel
from ci.registry.packages import Provenance, stamp_package
from ci.report.model import PlanSection, Report
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.model import ExecutionSnapshot
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


class Show(Protocol):
    """What follows the changes on a screen or in a log."""

    def change(self, change: Change) -> None: ...

    def log(self, title: str, lines: Sequence[str]) -> None: ...

    def lines(self, step: str, lines: Sequence[str]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The world around a deployment. `publish` is handed every report worth showing, the running
    ones included; `surroundings` are what `follow` waits with; `commit_order` gives the pull
    request's commits, oldest first, as far as they are known; `hurry` is called in the handler of
    the signal that ends the run."""

    tell: Callable[[str], None]
    show: Show
    publish: Callable[[Report], None]
    now: Callable[[], datetime]
    surroundings: Surroundings
    commit_order: Callable[[], Sequence[str]] = tuple
    hurry: Callable[[], None] = lambda: None
    queue: str | None = None
    logs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """`error` is what ended following before the executions did, None where nothing did."""

    reports: tuple[Report, ...]
    code: ExitCode
    error: GitOpsError | None = None


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
        self._settings = session.project.report
        self._chat = obeys_comments(find_place(session.project.file, session.environ).root)
        self._prices = read_prices(self._settings.prices) if self._settings.prices else None

    def start(
        self,
        job: Job,
        *,
        again: bool = False,
        retry: bool = False,
        plan: PlanSection | None = None,
        remarks: Sequence[str] = (),
    ) -> str:
        """Start the job's execution, or find the one it has; then say that it runs. Its ARN."""
        if self._cancellation.requested():
            raise Interrupted("Interrupted before the execution was started", where=job.name)
        if again:
            job = job.rerun(next_again(self._adapter.executions, job.identity))
        elif retry:
            job = job.rerun(max(0, next_again(self._adapter.executions, job.identity) - 1))
        notes = [*remarks, *self._stop_superseded(job)]
        started = ensure_execution(self._adapter, job.bundle, job.run, tell=self._stage.tell)
        if retry and not started.created:
            # Before it is watched: a signal that comes meanwhile stops what goes on.
            self._retry(started.arn)
        self._cancellation.watch(started.arn)
        try:
            self.take_up(started.arn, job, plan=plan, notes=notes)
        except AwsError as error:
            raise DeadlineReached(
                "The execution was started, and cannot be read",
                where=started.arn,
                why=str(error),
                fix=attach_command(started.arn, self._session.reach),
            ) from error
        if not _execution(self._accounts[started.arn]).status.terminal:
            self._publish(started.arn)
        return started.arn

    def _retry(self, arn: str) -> None:
        retry_failed(
            self._adapter.executions, arn, tell=self._stage.tell, sleep=self._cancellation.sleep
        )

    @property
    def started(self) -> bool:
        return bool(self._accounts)

    @property
    def accounts(self) -> Mapping[str, Account]:
        """What is known of each execution so far, by its ARN."""
        return self._accounts

    @property
    def running(self) -> bool:
        """Whether there is something to detach from: nothing has ended, and no signal came."""
        ended = (_execution(account).status.terminal for account in self._accounts.values())
        return not self._cancellation.requested() and not any(ended)

    def finish(self, require_approval: bool, error: GitOpsError | None = None) -> Ended:
        """Follow (unless `error` has ended this run already), read back, judge, report."""
        error = self.read_back(error or self.follow())
        return self.conclude(self.verdict_code(require_approval), error)

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
            main_parameters=main_parameters(self._session, self._adapter, job),
            notes=tuple(notes),
            settings=self._settings,
            chat=self._chat,
            reach=self._session.reach,
        )

    def follow(self) -> GitOpsError | None:
        """Wait for all to end. What comes first instead (a deadline, a signal, a refusal that
        waiting does not cure) is returned."""
        stage, arns = self._stage, list(self._accounts)
        lines = stage.show.lines if stage.logs else None
        try:
            with open_means(
                self._adapter, arns, queue=stage.queue, show_lines=lines, clock=self._clock
            ) as means:
                snapshots = follow(
                    self._adapter.executions,
                    arns,
                    emit=stage.show.change,
                    deadline=self._left(),
                    means=means,
                    cancelled=self._cancellation.requested,
                    surroundings=replace(
                        stage.surroundings,
                        sleep=self._cancellation.sleep,
                        reach=self._session.reach,
                    ),
                )
        except (DeadlineReached, Interrupted, AwsError) as early:
            return early
        for arn, snapshot in snapshots.items():
            self._learn(arn, facts=Facts(execution=snapshot))
        return None

    def read_back(self, early: GitOpsError | None) -> GitOpsError | None:
        """What a verdict needs; after an early end only how far the executions are. What ended
        this run, or kept it from reading, is returned."""
        if isinstance(early, Interrupted):
            self._cancellation.wait_sent()
        ended = early
        for arn, account in self._accounts.items():
            execution = self._latest(arn) if early else _execution(account)
            ours = arn in self._cancellation.stopped
            if ours or not execution.status.terminal:
                note = self._how_it_goes_on(arn, early)
                self._learn(arn, facts=Facts(execution=execution), notes=(*account.notes, note))
            if execution.status.terminal:
                ended = self._read_ended(arn, execution) or ended or self._unsettled(arn)
        return ended

    def read_ended(self) -> AwsError | None:
        """Read back those that have ended, and leave the others running."""
        problem = None
        for arn, account in list(self._accounts.items()):
            if _execution(account).status.terminal:
                problem = self._read_ended(arn, _execution(account)) or problem
        return problem

    def _unsettled(self, arn: str) -> GitOpsError | None:
        """What ended this run while the endpoint was on its way to the new model."""
        account = self._accounts[arn]
        endpoint = None if account.facts is None else account.facts.endpoint
        if endpoint is None or not endpoint.moving:
            return None
        state = f"the endpoint {endpoint.name} was still {endpoint.status}"
        signalled = self._cancellation.requested()
        kind = Interrupted if signalled else DeadlineReached
        came = "A signal" if signalled else "The deadline"
        onwards = attach_command(arn, self._session.reach)
        error = kind(f"{came} came while {state}", where=arn, fix=onwards)
        note = f"{error.what}. To go on: {self._attach(arn)}"
        self._learn(arn, notes=(*account.notes, note))
        return error

    def _attach(self, arn: str) -> str:
        """As the report can show it; an error names the ARN."""
        masked = self._settings.mask_accounts
        job = self._accounts[arn].job
        return attach_line(job, arn, masked=masked, reach=self._session.reach)

    def _how_it_goes_on(self, arn: str, early: GitOpsError | None) -> str:
        if arn in self._cancellation.stopped:
            return "This run was cancelled, and asked the execution to stop."
        onwards = f"The execution runs on. To go on: {self._attach(arn)}"
        if isinstance(early, Interrupted):
            problems = "".join(f" It could not be stopped: {p}." for p in self._problems())
            return f"This run was cancelled.{problems} {onwards}"
        return f"This run has ended: {early.what if early else 'no reason is known'}. {onwards}"

    def _problems(self) -> list[str]:
        return [str(error).splitlines()[0] for error in self._cancellation.problems[:1]]

    def conclude(self, code: ExitCode, error: GitOpsError | None = None) -> Ended:
        reports = tuple(self._publish(arn) for arn in self._accounts)
        return Ended(reports=reports, code=error.exit_code if error else code, error=error)

    def verdict_code(self, require_approval: bool) -> ExitCode:
        """One code for several pipelines: a failure counts before a missing approval."""
        verdicts = [account.verdict for account in self._accounts.values()]
        codes = {exit_code(v, require_approval=require_approval) for v in verdicts if v}
        order = (ExitCode.FAILED, ExitCode.APPROVAL, ExitCode.RUNNING)
        return next((code for code in order if code in codes), ExitCode.OK)

    def _read_ended(self, arn: str, execution: ExecutionSnapshot) -> AwsError | None:
        """Read what it left behind. What keeps this program from that is returned: then the
        report says how the execution ended, and that no more is known."""
        try:
            outlast(lambda: self._gather(arn, execution), self._patience())
        except AwsError as error:
            why = error.what.splitlines()[0]
            self._learn(arn, facts=Facts(execution=execution, unread=why))
            return error
        self._learn(arn, logs=read_tails(self._adapter, execution, self._stage.show.log))
        return None

    def _patience(self) -> Patience:
        return Patience(
            clock=self._clock,
            sleep=self._cancellation.sleep,
            left=self._left,
            renew=self._adapter.executions.renew,
            tell=self._stage.tell,
        )

    def _gather(self, arn: str, execution: ExecutionSnapshot) -> None:
        job = self._accounts[arn].job
        waiting = Waiting(sleep=self._cancellation.sleep, left=self._left)
        facts = gather_facts(
            self._adapter, job.target.pipeline, job.definition, execution, waiting=waiting
        )
        if facts.package is not None:
            stamp_package(self._adapter.packages, facts.package.arn, _provenance(job, arn))
            remember_metrics(self._adapter, facts)
        background = gather_background(
            self._adapter,
            job,
            facts,
            trend=self._settings.trend,
            main=main_pipeline(self._session, job),
            prices=self._prices,
            clock=self._clock,
        )
        newer = find_newer(job, facts, self._stage.commit_order)
        self._learn(arn, facts=facts, background=background, superseded_by=newer)

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
        others = superseded_executions(
            executions,
            name,
            pull_request=number,
            commit=job.trigger.commit,
            commit_order=self._stage.commit_order,
        )
        notes = []
        for summary, record in others:
            executions.stop(summary.arn, token=uuid.uuid4().hex)
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
        """Seconds that may still be waited; None without a bound, none at all after a signal."""
        if self._cancellation.requested():
            return 0.0
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
