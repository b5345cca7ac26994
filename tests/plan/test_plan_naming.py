"""A plan's name tells which side moved; it goes into the comment's marker and back."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.definitions import parsed, small_pipeline

from ci.plan.diff import plan_changes
from ci.plan.model import Baseline, PipelineState, Plan
from ci.plan.naming import Moved, is_plan_name, name_plan, what_moved
from ci.plan.words import differences
from ci.report.marker import Marker, parse_marker, render_marker
from ci.report.model import State


def side(level: str = "info", **members: object) -> PipelineState:
    document = small_pipeline()
    document["Steps"][0]["Arguments"]["Environment"]["LEVEL"] = level
    return PipelineState(definition=parsed(document), **members)  # type: ignore[arg-type]


def made(
    new: PipelineState, old: PipelineState | None, baseline: Baseline = Baseline.DEPLOYED
) -> Plan:
    return plan_changes(new, old, pipeline="abalone", baseline=baseline)


def test_the_same_plan_has_not_moved() -> None:
    plan = made(side("debug"), side())
    assert is_plan_name(plan.digest)
    assert not what_moved(plan.digest, plan)


@pytest.mark.parametrize(
    ("new", "old", "moved"),
    [
        (side("trace"), side(), Moved(wanted=True, deployed=False)),
        (side("debug"), side("warn"), Moved(wanted=False, deployed=True)),
        (side("debug"), None, Moved(wanted=False, deployed=True)),
        (side("trace"), side("warn"), Moved(wanted=True, deployed=True)),
        (side("debug", role="r"), side(role="r"), Moved(wanted=True, deployed=True)),
        (side("debug"), side(role="r", parallelism=3, tags={"a": "b"}), None),
    ],
)
def test_what_moved_is_told_by_side(
    new: PipelineState, old: PipelineState | None, moved: Moved | None
) -> None:
    reviewed = made(side("debug"), side())
    found = what_moved(reviewed.digest, made(new, old))
    assert found == (moved or Moved(wanted=False, deployed=False))


def test_a_plan_that_was_applied_has_not_moved() -> None:
    reviewed = made(side("debug"), side())
    assert not what_moved(reviewed.digest, made(side("debug"), side("debug")))


def test_a_plan_against_nothing_says_nothing_of_what_is_deployed() -> None:
    reviewed = made(side("debug"), None, Baseline.NOTHING)
    now = made(side("debug"), side())
    assert what_moved(reviewed.digest, now) == Moved(wanted=False, deployed=False, compared=False)
    assert what_moved(reviewed.digest, made(side(), side("debug"))).wanted
    assert reviewed.runs == ()


TEXTS = st.dictionaries(st.text(), st.text())


@given(TEXTS, TEXTS)
def test_a_name_covers_the_values_that_the_execution_is_given(
    one: dict[str, str], other: dict[str, str]
) -> None:
    first, second = (
        plan_changes(side("debug"), side(), pipeline="p", values=each) for each in (one, other)
    )
    assert bool(what_moved(first.digest, second)) == (one != other)
    assert what_moved(first.digest, second).deployed is False


@given(st.text(), st.text(), st.none() | st.text(), st.booleans())
def test_every_name_is_a_name_and_sides_do_not_run_together(
    pipeline: str, wanted: str, deployed: str | None, compared: bool
) -> None:
    name = name_plan(pipeline, wanted, deployed, compared=compared)
    assert is_plan_name(name)
    assert name[:32] != name[32:]
    other = name_plan(pipeline, wanted + "x", deployed, compared=compared)
    assert (name[:32] != other[:32], name[32:] == other[32:]) == (True, True)


def test_differences_are_one_line_each_without_hidden_characters() -> None:
    old = side(role="arn:old", tags={"a\n::error::": "1"})
    new = side("a\u202eb", role="arn:new", tags={"a\n::error::": "2"})
    lines = list(differences(made(new, old)))
    assert lines == [
        'role changed: "arn:old" -> "arn:new"',
        'tag a\\n::error:: changed: "1" -> "2"',
        "step Prepare changed: Environment.LEVEL",
    ]
    assert list(differences(made(new, None))) == ["the pipeline is not deployed"]
    assert list(differences(made(old, old))) == []


MARKER = Marker(
    pipeline="p",
    environment="pull_request",
    commit="c" * 40,
    execution=None,
    digest=None,
    state=State.PLANNED,
)


def test_a_marker_carries_the_plan_and_reads_as_before_without_one() -> None:
    named = replace(MARKER, plan="a" * 64)
    assert parse_marker(render_marker(named)) == named
    line = render_marker(MARKER)
    assert '"plan"' not in line
    assert parse_marker(line) == MARKER


def test_a_marker_of_a_later_release_is_still_read() -> None:
    line = render_marker(MARKER)
    fields = json.loads(line[line.index("{") : line.rindex("}") + 1])
    later = json.dumps({**fields, "colour": "green", "plan": "b" * 64})
    assert parse_marker(f"<!-- sagemaker-gitops: {later} -->") == replace(MARKER, plan="b" * 64)
    assert parse_marker(f"<!-- sagemaker-gitops: {json.dumps({**fields, 'plan': 7})} -->") is None
