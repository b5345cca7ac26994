"""The structural difference: old and difference make new."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.definitions import parsed, small_pipeline
from support.planning import VALUES, in_order, plan

from ci.definition.canonical import canonical_bytes
from ci.plan.diff import plan_changes
from ci.plan.model import PipelineState
from ci.plan.normal import branches, flat_step
from ci.plan.tree import apply_changes, diff_values


@given(VALUES, VALUES)
@settings(max_examples=400)
def test_old_and_difference_make_new(old: object, new: object) -> None:
    changes = diff_values(old, new)
    made = apply_changes(old, changes)
    assert canonical_bytes(in_order(made)) == canonical_bytes(in_order(new))


@given(VALUES)
def test_a_value_does_not_differ_from_itself(value: object) -> None:
    assert diff_values(value, copy.deepcopy(value)) == ()


@pytest.mark.parametrize("pair", [(1, 1.0), (1, True), (0, False), ("1", 1), (None, 0)])
def test_values_that_only_python_takes_for_equal_differ(pair: tuple[object, object]) -> None:
    old, new = pair
    assert len(diff_values({"a": [old]}, {"a": [new]})) == 1
    document, other = small_pipeline(), small_pipeline()
    document["Steps"][0]["Arguments"]["X"] = old
    other["Steps"][0]["Arguments"]["X"] = new
    assert not plan(document, other).empty


@st.composite
def edited_pipelines(draw: st.DrawFn) -> dict[str, Any]:
    """The small pipeline after some edits that keep its names."""
    document = small_pipeline()
    for step in draw(st.lists(st.sampled_from([0, 1, 2]), max_size=3)):
        arguments = document["Steps"][step]["Arguments"]
        key = draw(st.sampled_from([*arguments, "New"]))
        arguments[key] = draw(VALUES)
    return document


@given(edited_pipelines(), edited_pipelines())
@settings(max_examples=60)
def test_no_change_of_a_step_is_lost(old: dict[str, Any], new: dict[str, Any]) -> None:
    before, after = parsed(old), parsed(new)
    result = plan_changes(
        PipelineState(definition=after), PipelineState(definition=before), pipeline="p"
    )
    changed = {change.name: change for change in result.steps}
    flat = {step.name: flat_step(step, branches(before)[step.name]) for step in before.walk()}
    for step in after.walk():
        wanted = flat_step(step, branches(after)[step.name]).document
        changes = changed[step.name].changes if step.name in changed else ()
        made = apply_changes(flat[step.name].document, changes)
        assert canonical_bytes(in_order(made)) == canonical_bytes(in_order(wanted))
