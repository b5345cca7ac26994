"""Looks back at an execution, and reports it without following, posting or changing anything."""

from collections.abc import Callable
from datetime import datetime

from ci.delivery.account import Account, make_report
from ci.delivery.background import Background, gather_background
from ci.delivery.costs import read_prices
from ci.delivery.evidence import Waiting, gather_facts
from ci.delivery.mainline import main_parameters, main_pipeline
from ci.delivery.tails import read_tails
from ci.posting.listening import obeys_comments
from ci.posting.place import find_place
from ci.report.model import Report
from ci.session.job import Job
from ci.session.session import Session


def look_back(
    session: Session,
    arn: str,
    job: Job,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    now: Callable[[], datetime],
) -> Report:
    """The report of an execution as it is now. Raises AwsError where it cannot be read."""
    adapter, settings = session.adapter(job.target.region), session.project.report
    prices = read_prices(settings.prices) if settings.prices else None
    execution = adapter.executions.snapshot(arn)
    facts = gather_facts(
        adapter,
        job.target.pipeline,
        job.definition,
        execution,
        waiting=Waiting(sleep=sleep, left=lambda: 0.0),
    )
    background = Background()
    if execution.status.terminal:
        background = gather_background(
            adapter,
            job,
            facts,
            trend=settings.trend,
            main=main_pipeline(session, job),
            prices=prices,
            clock=clock,
        )
    account = Account(
        job=job,
        facts=facts,
        main_parameters=main_parameters(session, adapter, job),
        logs=read_tails(adapter, execution),
        background=background,
        settings=settings,
        chat=obeys_comments(find_place(session.project.file, session.environ).root),
        reach=session.reach,
    )
    return make_report(account, generated=now())
