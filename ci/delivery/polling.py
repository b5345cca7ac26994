"""The main job in short calls: start, then look once at a time, from processes that may not wait.

Where `deploy` and `attach` follow, a caller here is called again: by CodePipeline, with what the
last call knew. A look that finds nothing new reports nothing.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from ci.delivery.account import Account
from ci.delivery.delivery import Delivery
from ci.delivery.stage import Ended, Stage
from ci.errors import AwsError, ExitCode
from ci.execution.cancel import Cancellation
from ci.project.model import OnCancel
from ci.report.model import PlanSection
from ci.sagemaker.retry import is_expired, is_transient
from ci.session.apart import refuse_production
from ci.session.job import Job
from ci.session.session import Session

_AT_ONCE = 0.0  # seconds that a look waits for an endpoint to settle


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """`running`: something has yet to end or settle. `state` is a checksum of what was seen:
    equal for two looks that saw the same. `percent` is how much of the definitions' steps has
    ended. `problem` is what kept this look from reading."""

    ended: Ended
    running: bool
    state: str
    sentence: str
    percent: int
    problem: AwsError | None = None


def start_and_look(
    session: Session,
    jobs: Sequence[Job],
    stage: Stage,
    *,
    plans: Mapping[str, PlanSection],
    remarks: Mapping[str, Sequence[str]],
    started: Callable[[str], None],
) -> Polled:
    """Start the jobs' executions, or find them; `started` is told each ARN at once."""
    for job in jobs:
        refuse_production(session.project, job)
    with closing(_cancellation()) as cancellation:
        delivery = _delivery(session, jobs[0], stage, cancellation)
        for job in jobs:
            plan, said = plans.get(job.name), remarks.get(job.name, ())
            started(delivery.start(job, plan=plan, remarks=said))
        return _look(session, delivery, seen=None)


def look(session: Session, jobs: Mapping[str, Job], stage: Stage, *, seen: str | None) -> Polled:
    """Look once at executions that were started before, by ARN. `seen` is the last look's state."""
    with closing(_cancellation()) as cancellation:
        delivery = _delivery(session, next(iter(jobs.values())), stage, cancellation)
        for arn, job in jobs.items():
            delivery.take_up(arn, job)
        return _look(session, delivery, seen=seen)


def _look(session: Session, delivery: Delivery, *, seen: str | None) -> Polled:
    problem = delivery.read_ended()
    accounts = tuple(delivery.accounts.values())
    running = any(_moves(account) for account in accounts)
    state = _state(accounts)
    if (running and state == seen) or (problem is not None and is_passing(problem)):
        ended = Ended(reports=(), code=ExitCode.RUNNING)
    elif running:
        ended = delivery.conclude(ExitCode.RUNNING)
    else:
        environment = session.project.environments[session.environment]
        ended = delivery.conclude(delivery.verdict_code(environment.require_approval), problem)
    return Polled(
        ended=ended,
        running=running,
        state=state,
        sentence=_sentence(accounts),
        percent=_percent(accounts),
        problem=problem,
    )


def is_passing(error: AwsError) -> bool:
    """Whether the next look may do better, though nobody changes anything."""
    return is_transient(error) or is_expired(error)


def _delivery(session: Session, job: Job, stage: Stage, cancellation: Cancellation) -> Delivery:
    adapter = session.adapter(job.target.region)
    return Delivery(session, adapter, stage, cancellation, deadline=_AT_ONCE)


def _cancellation() -> Cancellation:
    """Never entered: nothing holds this process's signals, and nothing is stopped by one."""
    return Cancellation(OnCancel.DETACH, lambda _arn, _token: None)


def _moves(account: Account) -> bool:
    """Whether the execution runs, or the endpoint that is to serve its model still changes."""
    facts = account.facts
    if facts is None or not facts.execution.status.terminal:
        return True
    return facts.endpoint is not None and facts.endpoint.moving


def _state(accounts: Sequence[Account]) -> str:
    seen = [
        (facts.execution.raw_status, [(step.name, step.status) for step in facts.execution.steps])
        for facts in (account.facts for account in accounts)
        if facts is not None
    ]
    return f"{zlib.crc32(repr(seen).encode()):08x}"


def _sentence(accounts: Sequence[Account]) -> str:
    told = [(account.job.name, account.verdict) for account in accounts]
    several = len(told) > 1
    lines = [f"{name}: {v.sentence}" if several else v.sentence for name, v in told if v]
    return " ".join(lines)


def _percent(accounts: Sequence[Account]) -> int:
    known = sum(len(list(account.job.definition.walk())) for account in accounts)
    facts = (account.facts for account in accounts)
    steps = [step for each in facts if each is not None for step in each.execution.steps]
    ended = sum(step.status in {"Succeeded", "Failed", "Stopped"} for step in steps)
    return min(99, 100 * ended // known) if known else 0
