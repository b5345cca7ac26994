"""The executions of one run of this program: started, followed, read back, and reported."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from ci.delivery.account import Account, make_report
from ci.delivery.costs import read_prices
from ci.delivery.mainline import main_parameters
from ci.delivery.onwards import attach_line
from ci.delivery.progress import Progress
from ci.delivery.reading import Reading
from ci.delivery.recompiled import find_started
from ci.delivery.stage import Ended, Stage
from ci.delivery.superseding import stop_superseded
from ci.delivery.watching import open_means
from ci.errors import AwsError, DeadlineReached, ExitCode, GitOpsError, Interrupted
from ci.execution.cancel import Cancellation
from ci.execution.find import next_again
from ci.execution.follow import attach_command, follow
from ci.execution.retry import retry_failed
from ci.execution.start import ensure_execution
from ci.metrics.facts import Facts
from ci.metrics.verdict import exit_code
from ci.posting.errands import Errands
from ci.posting.listening import obeys_comments
from ci.posting.place import find_place
from ci.report.model import PlanSection, Report
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.model import ExecutionSnapshot
from ci.session.job import Job
from ci.session.session import Session

_T = TypeVar("_T")


class Delivery:
    """Knows of each execution what was learnt of it so far. AWS is called on a thread of its own,
    and left behind where a job that is ending has no more time for it: reports come first."""

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
        self._calls = Errands(cancellation.left)
        self._accounts: dict[str, Account] = {}
        self._progress = Progress(self._clock)
        self._settings = session.project.report
        self._chat = obeys_comments(find_place(session.project.file, session.environ).root)
        self._reading = Reading(
            session=session,
            adapter=adapter,
            stage=stage,
            prices=read_prices(self._settings.prices) if self._settings.prices else None,
            sleep=cancellation.sleep,
            left=self._left,
        )

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
        begin = partial(self._begin, job, again=again, retry=retry)
        arn, started, notes = self._call(begin, where=job.name)
        if started.identity.digest != job.identity.digest:
            plan = None  # it is of a definition that is not deployed
        try:
            self.take_up(arn, started, plan=plan, notes=[*remarks, *notes])
        except (AwsError, Interrupted) as error:
            kind = Interrupted if isinstance(error, Interrupted) else DeadlineReached
            raise kind(
                "The execution was started, and cannot be read",
                where=arn,
                why=str(error),
                fix=attach_command(arn, self._session.reach),
            ) from error
        if not _execution(self._accounts[arn]).status.terminal:
            self._publish(arn)
        return arn

    def _begin(self, job: Job, *, again: bool, retry: bool) -> tuple[str, Job, list[str]]:
        session, adapter, stage = self._session, self._adapter, self._stage
        executions = adapter.executions
        if again:
            job = job.rerun(next_again(executions, job.identity))
        elif retry:
            job = job.rerun(max(0, next_again(executions, job.identity) - 1))
        notes = stop_superseded(executions, job, stage.commit_order, tell=stage.tell)
        kept = None if again or retry else find_started(session, adapter, job, tell=stage.tell)
        if kept is not None:
            arn, job, note = kept
            self._cancellation.watch(arn)
            return arn, job, [*notes, note]
        started = ensure_execution(adapter, job.bundle, job.run, tell=stage.tell)
        if retry and not started.created:
            # Before it is watched: a signal that comes meanwhile stops what goes on.
            self._retry(started.arn)
        self._cancellation.watch(started.arn)
        return started.arn, job, list(notes)

    def _call(self, call: Callable[[], _T], *, where: str) -> _T:
        """What the call gives or raises. Interrupted where AWS takes longer than a job has that
        is ending."""
        asked = self._calls.submit(call)
        if not self._calls.wait():
            raise Interrupted("AWS did not answer before this job had to end", where=where)
        return asked.result()

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
        execution, main = self._call(partial(self._first_look, arn, job), where=arn)
        self._accounts[arn] = Account(
            job=job,
            facts=Facts(execution=execution),
            plan=plan,
            main_parameters=main,
            notes=tuple(notes),
            settings=self._settings,
            chat=self._chat,
            reach=self._session.reach,
        )

    def _first_look(self, arn: str, job: Job) -> tuple[ExecutionSnapshot, Mapping[str, str] | None]:
        execution = self._adapter.executions.snapshot(arn)
        return execution, main_parameters(self._session, self._adapter, job)

    def follow(self) -> GitOpsError | None:
        """Wait for all to end. What comes first instead (a deadline, a signal, a refusal that
        waiting does not cure) is returned."""
        arns = list(self._accounts)
        try:
            snapshots = self._call(partial(self._followed, arns), where=", ".join(arns[:5]))
        except (DeadlineReached, Interrupted, AwsError) as early:
            return early
        for arn, snapshot in snapshots.items():
            self._learn(arn, facts=Facts(execution=snapshot))
        return None

    def _followed(self, arns: Sequence[str]) -> dict[str, ExecutionSnapshot]:
        stage = self._stage
        lines = stage.show.lines if stage.logs else None
        with open_means(
            self._adapter, arns, queue=stage.queue, show_lines=lines, clock=self._clock
        ) as means:
            return follow(
                self._adapter.executions,
                arns,
                emit=stage.show.change,
                deadline=self._left(),
                means=replace(means, seen=self._see),
                cancelled=self._cancellation.requested,
                surroundings=replace(
                    stage.surroundings,
                    sleep=self._cancellation.sleep,
                    reach=self._session.reach,
                ),
            )

    def _see(self, execution: ExecutionSnapshot) -> None:
        if self._cancellation.requested() or execution.status.terminal:
            return
        self._learn(execution.arn, facts=Facts(execution=execution))
        if self._progress.is_due(execution):
            self._publish(execution.arn)

    def read_back(self, early: GitOpsError | None) -> GitOpsError | None:
        """What a verdict needs; after an early end only how far the executions are. What ended
        this run, or kept it from reading, is returned."""
        if isinstance(early, Interrupted):
            self._cancellation.wait_sent()
        ended = early
        for arn, account in self._accounts.items():
            # Who has not answered the stop is not asked again: this job has seconds.
            silent = self._cancellation.unanswered(arn)
            known = early is None or silent
            execution = _execution(account) if known else self._latest(arn)
            ours = arn in self._cancellation.stopped
            if ours or not execution.status.terminal:
                told = (self._how_it_goes_on(arn, early),)
                self._learn(arn, facts=Facts(execution=execution), problems=told)
            if execution.status.terminal:
                ended = self._read_in_time(arn, execution) or ended or self._unsettled(arn)
        return ended

    def _read_in_time(self, arn: str, execution: ExecutionSnapshot) -> GitOpsError | None:
        try:
            return self._read_ended(arn, execution)
        except Interrupted as silent:
            self._learn(arn, facts=Facts(execution=execution, unread=silent.what))
            return silent

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
        self._learn(arn, problems=(f"{error.what}. To go on: {self._attach(arn)}",))
        return error

    def _attach(self, arn: str) -> str:
        """As the report can show it; an error names the ARN."""
        masked = self._settings.mask_accounts
        job = self._accounts[arn].job
        return attach_line(job, arn, masked=masked, reach=self._session.reach)

    def _how_it_goes_on(self, arn: str, early: GitOpsError | None) -> str:
        if arn in self._cancellation.stopped:
            return "This run was cancelled, and asked the execution to stop."
        if self._cancellation.unanswered(arn):
            asked = "asked the execution to stop, and had no answer in time: it may run on"
            return f"This run was cancelled. It {asked}. To look: {self._attach(arn)}"
        onwards = f"The execution runs on. To go on: {self._attach(arn)}"
        if isinstance(early, Interrupted):
            return f"This run was cancelled.{self._problem(arn)} {onwards}"
        return f"This run has ended: {early.what if early else 'no reason is known'}. {onwards}"

    def _problem(self, arn: str) -> str:
        error = self._cancellation.problems.get(arn)
        return f" It could not be stopped: {str(error).splitlines()[0]}." if error else ""

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
        """What kept this program from reading what the execution left behind."""
        read = partial(self._reading.read, self._accounts[arn], execution)
        self._accounts[arn], problem = self._call(read, where=arn)
        return problem

    def _latest(self, arn: str) -> ExecutionSnapshot:
        try:
            return self._call(partial(self._adapter.executions.poll_snapshot, arn), where=arn)
        except (AwsError, Interrupted):
            return _execution(self._accounts[arn])

    def _learn(self, arn: str, **what: Any) -> None:
        self._accounts[arn] = replace(self._accounts[arn], **what)

    def _publish(self, arn: str) -> Report:
        account = self._accounts[arn]
        self._progress.show(_execution(account))
        report = make_report(account, generated=self._stage.now())
        self._stage.publish(report)
        return report

    def _left(self) -> float | None:
        """Seconds that may still be waited; None without a bound, none at all after a signal."""
        if self._cancellation.requested():
            return 0.0
        return None if self._ends is None else max(0.0, self._ends - self._clock())


def _execution(account: Account) -> ExecutionSnapshot:
    if account.facts is None:
        raise ValueError("an account is taken up with the execution it is of")
    return account.facts.execution
