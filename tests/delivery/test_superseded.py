"""When a stopped run is out of date, and what its report then asks of nobody."""

from dataclasses import replace
from typing import Any

import pytest
from support.reports import REPORTS, TRIGGER
from support.samples import execution

from ci.delivery.background import find_newer
from ci.metrics.facts import Facts
from ci.report.model import State, supersede
from ci.sagemaker.model import ExecutionStatus

OLD, NEW = TRIGGER.commit, "f" * 40


def job(pull_request: int | None = 7) -> Any:
    class Job:
        trigger = replace(TRIGGER, pull_request=pull_request)

    return Job()


@pytest.mark.parametrize(
    ("status", "number", "order", "newer"),
    [
        (ExecutionStatus.STOPPED, 7, (OLD, NEW), NEW),
        (ExecutionStatus.STOPPED, 7, (NEW, OLD), None),
        (ExecutionStatus.STOPPED, 7, (NEW,), NEW),  # a force push: ours is no part of it
        (ExecutionStatus.STOPPED, 7, (), None),
        (ExecutionStatus.STOPPED, None, (OLD, NEW), None),
        (ExecutionStatus.SUCCEEDED, 7, (OLD, NEW), None),
        (ExecutionStatus.FAILED, 7, (OLD, NEW), None),
    ],
)
def test_the_commit_a_run_was_stopped_for(
    status: ExecutionStatus, number: int | None, order: tuple[str, ...], newer: str | None
) -> None:
    facts = Facts(execution=execution(status))
    assert find_newer(job(number), facts, lambda: order) == newer


def test_a_superseded_report_asks_nothing_of_anyone() -> None:
    report = supersede(REPORTS["approval-pending"], NEW)
    assert (report.state, report.superseded_by) == (State.SUPERSEDED, NEW)
    assert (report.attach, report.commands, report.approvers) == (None, (), None)
    assert supersede(report, NEW) == report
