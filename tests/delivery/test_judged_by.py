"""Whose metrics and gates judge an execution that is picked up."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.reports import TRIGGER

from ci.delivery.pickup import judged_by
from ci.execution.identity import ExecutionRecord, name_checks
from ci.metrics.model import Gate
from ci.project.model import DefinitionSource, Pipeline
from ci.trigger.model import Trigger

PIPELINE = Pipeline(
    name="quality",
    source=DefinitionSource(file=Path("definition.json")),
    line=1,
    gates=(Gate(metric="rmse", maximum=3.0),),
)
RECORD = ExecutionRecord(
    commit=TRIGGER.commit,
    environment="main",
    digest="d" * 64,
    token="t" * 64,
    checks=name_checks(PIPELINE.metrics, PIPELINE.gates),
)
ELSEWHERE = replace(TRIGGER, commit="f" * 40)
CHANGED = replace(TRIGGER, dirty=True)


@pytest.mark.parametrize("here", [TRIGGER, CHANGED, ELSEWHERE])
def test_the_same_checks_are_nobodys_news(here: Trigger) -> None:
    assert judged_by(here, RECORD, PIPELINE) is None


def test_other_checks_are_told_wherever_they_are_read() -> None:
    looser = replace(PIPELINE, gates=())
    for here, place in (
        (TRIGGER, "(commit 0123456789ab)"),
        (CHANGED, "(commit 0123456789ab and changes to it)"),
        (ELSEWHERE, "(commit ffffffffffff)"),
    ):
        said = judged_by(here, RECORD, looser)
        assert said is not None
        assert said.startswith("The execution was started with other metrics or gates")
        assert place in said


def test_what_an_execution_does_not_tell_is_not_claimed() -> None:
    """Versions of this program before the name of checks was recorded."""
    older = replace(RECORD, checks=None)
    assert judged_by(TRIGGER, older, PIPELINE) is None
    assert judged_by(ELSEWHERE, older, replace(PIPELINE, gates=())) is None
    for here in (CHANGED, ELSEWHERE):
        assert "does not tell which it was started with" in str(judged_by(here, older, PIPELINE))
