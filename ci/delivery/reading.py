"""Reads back what an execution left behind once it has ended, for as long as waiting may help."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from ci.cost.model import Prices
from ci.delivery.account import Account
from ci.delivery.background import find_newer, gather_background
from ci.delivery.evidence import Waiting, gather_facts
from ci.delivery.history import remember_metrics
from ci.delivery.mainline import main_pipeline
from ci.delivery.outlast import Patience, outlast
from ci.delivery.stage import Stage
from ci.delivery.tails import read_tails
from ci.errors import AwsError
from ci.metrics.facts import Facts
from ci.registry.packages import Provenance, stamp_package
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.model import ExecutionSnapshot
from ci.session.job import Job
from ci.session.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`left()` is how many seconds may still be waited, None without a bound; `sleep` ends with a
    signal."""

    session: Session
    adapter: SageMaker
    stage: Stage
    prices: Prices | None
    sleep: Callable[[float], None]
    left: Callable[[], float | None]

    def read(
        self, account: Account, execution: ExecutionSnapshot
    ) -> tuple[Account, AwsError | None]:
        """The account with what was read. Beside it what kept this program from reading: then the
        report says how the execution ended, and that no more is known."""
        try:
            account = outlast(partial(self._gather, account, execution), self._patience())
        except AwsError as error:
            unread = Facts(execution=execution, unread=error.what.splitlines()[0])
            return replace(account, facts=unread), error
        logs = read_tails(self.adapter, execution)
        return replace(account, logs=logs), None

    def _patience(self) -> Patience:
        return Patience(
            clock=self.stage.surroundings.clock,
            sleep=self.sleep,
            left=self.left,
            renew=self.adapter.executions.renew,
            tell=self.stage.tell,
        )

    def _gather(self, account: Account, execution: ExecutionSnapshot) -> Account:
        job = account.job
        waiting = Waiting(sleep=self.sleep, left=self.left)
        facts = gather_facts(
            self.adapter, job.target.pipeline, job.definition, execution, waiting=waiting
        )
        if facts.package is not None:
            provenance = _provenance(job, execution.arn)
            stamp_package(self.adapter.packages, facts.package.arn, provenance)
            remember_metrics(self.adapter, facts)
        background = gather_background(
            self.adapter,
            job,
            facts,
            trend=account.settings.trend,
            main=main_pipeline(self.session, job),
            prices=self.prices,
            clock=self.stage.surroundings.clock,
        )
        newer = find_newer(job, facts, self.stage.commit_order)
        return replace(account, facts=facts, background=background, superseded_by=newer)


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
