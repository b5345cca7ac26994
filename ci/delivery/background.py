"""What a report shows beside its verdict: how the metrics went before, what the run cost, and
whether a newer commit has put it out of date.

None of it decides anything, so none of it can fail a run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ci.cost.model import Estimate, Prices
from ci.delivery.costs import gather_cost
from ci.delivery.history import gather_trends
from ci.metrics.facts import Facts
from ci.metrics.trend import Trend
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.model import ExecutionStatus
from ci.session.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    trends: tuple[Trend, ...] = ()
    cost: Estimate | None = None


def gather_background(
    adapter: SageMaker,
    job: Job,
    facts: Facts,
    *,
    trend: int,
    main: str | None,
    prices: Prices | None,
    clock: Callable[[], float],
) -> Background:
    """For an execution that has ended; `trend` is how many earlier models are read, `main` the
    name of the pipeline as main has it."""
    pipeline = job.target.pipeline
    trends = gather_trends(adapter, pipeline, facts, count=trend, main=main, clock=clock)
    cost = None
    if prices is not None:
        cost = gather_cost(adapter, facts.execution, prices, job.target.region, clock=clock)
    return Background(trends=trends, cost=cost)


def find_newer(job: Job, facts: Facts, commit_order: Callable[[], Sequence[str]]) -> str | None:
    """The commit that a stopped run of a pull request was stopped for, where there is one.
    `commit_order` gives the pull request's commits, oldest first; it is asked only then."""
    stopped = facts.execution.status is ExecutionStatus.STOPPED
    if not stopped or job.trigger.pull_request is None:
        return None
    newest = next(reversed(commit_order()), None)
    return newest if newest != job.trigger.commit else None
