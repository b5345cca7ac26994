"""Steps under new names, changed or not: recognised beyond doubt, and never lost."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.definitions import parsed, processing, s3_input, small_pipeline
from support.planning import VALUES, in_order, plan, runs

from ci.definition.canonical import canonical_bytes
from ci.plan.model import Kind
from ci.plan.normal import FlatStep, branches, flat_step
from ci.plan.rename import with_names
from ci.plan.tree import apply_changes
from ci.plan.words import differences, fate, summary


def test_a_renamed_step_is_one_step_and_references_to_it_are_no_change() -> None:
    text = json.dumps(small_pipeline())
    renamed = json.loads(text.replace("Prepare", "Split").replace("Better", "Check"))
    result = plan(small_pipeline(), renamed)
    assert {(c.old_name, c.name, c.kind, c.changes) for c in result.steps} == {
        ("Prepare", "Split", Kind.RENAMED, ()),
        ("Better", "Check", Kind.RENAMED, ()),
    }
    assert runs(result)["Split"].reasons == ("renamed from Prepare",)


def test_two_equal_steps_that_are_renamed_are_not_guessed_at() -> None:
    old, new = small_pipeline(), small_pipeline()
    old["Steps"] += [processing("A"), processing("B")]
    new["Steps"] += [processing("C"), processing("D")]
    result = plan(old, new)
    assert {change.kind for change in result.steps} == {Kind.ADDED, Kind.REMOVED}


def renamed(**names: str) -> dict[str, Any]:
    text = json.dumps(small_pipeline())
    for old, new in names.items():
        text = re.sub(rf"\b{old}\b", new, text)
    document: dict[str, Any] = json.loads(text)
    return document


def test_a_step_that_is_renamed_and_changed_is_one_step() -> None:
    document = renamed(Prepare="Split")
    document["Steps"][0]["Arguments"]["Environment"]["LEVEL"] = "debug"
    result = plan(small_pipeline(), document)
    (change,) = result.steps
    assert (change.old_name, change.name, fate(change)) == (
        "Prepare",
        "Split",
        "renamed and changed",
    )
    (argument,) = change.changes
    assert argument.path == ("Arguments", "Environment", "LEVEL")
    assert runs(result)["Split"].reasons == ("renamed from Prepare", "Environment changed")
    assert runs(result)["Train"].reasons == ("Split runs",)
    assert summary(result).startswith("1 step renamed and changed; ")
    assert list(differences(result)) == ["step Split renamed and changed: Environment.LEVEL"]


def test_a_whole_chain_is_renamed_and_one_of_it_changed() -> None:
    document = renamed(Prepare="Split", Train="Fit", Evaluate="Score")
    document["Steps"][1]["Arguments"]["ResourceConfig"]["InstanceType"] = "ml.p3.2xlarge"
    told = {(each.old_name, fate(each)) for each in plan(small_pipeline(), document).steps}
    assert told == {
        ("Prepare", "renamed"),
        ("Train", "renamed and changed"),
        ("Evaluate", "renamed"),
    }


@pytest.mark.parametrize("count", [1, 3])
def test_steps_that_share_what_all_steps_share_are_two_steps(count: int) -> None:
    """The same image, role and machine say nothing: another job took the place of a job."""
    old, new = small_pipeline(), small_pipeline()
    for number in range(count):
        audit, export = processing(f"Audit{number}"), processing(f"Export{number}")
        audit["Arguments"]["ProcessingInputs"] = [s3_input("rows", f"s3://b/rows{number}")]
        export["Arguments"]["ProcessingInputs"] = [s3_input("model", f"s3://b/model{number}")]
        export["Arguments"]["Environment"] = {"TO": "s3://c"}
        old["Steps"].append(audit)
        new["Steps"].append(export)
    kinds = [each.kind for each in plan(old, new).steps]
    assert sorted(kinds) == [Kind.ADDED] * count + [Kind.REMOVED] * count


def test_a_step_of_another_type_is_another_step() -> None:
    document = renamed(Prepare="Split")
    document["Steps"][0]["Type"] = "ClarifyCheck"
    kinds = {(each.name, each.kind) for each in plan(small_pipeline(), document).steps}
    assert {("Prepare", Kind.REMOVED), ("Split", Kind.ADDED)} <= kinds


def test_two_candidates_that_are_alike_are_not_guessed_at() -> None:
    document = renamed(Prepare="Split")
    document["Steps"][0]["Arguments"]["Environment"]["LEVEL"] = "debug"
    twin = json.loads(json.dumps(document["Steps"][0]).replace("Split", "Again"))
    document["Steps"].append(twin)
    kinds = {(each.name, each.kind) for each in plan(small_pipeline(), document).steps}
    assert {("Prepare", Kind.REMOVED), ("Split", Kind.ADDED), ("Again", Kind.ADDED)} <= kinds


@st.composite
def reworked(draw: st.DrawFn) -> dict[str, Any]:
    """The small pipeline with some steps under new names, and some edits."""
    chosen = draw(st.sets(st.sampled_from(["Prepare", "Train", "Evaluate", "Better", "Deploy"])))
    document = renamed(**{name: f"{name[::-1]}X" for name in sorted(chosen)})
    for index in draw(st.lists(st.sampled_from([0, 1, 2]), max_size=3)):
        arguments = document["Steps"][index]["Arguments"]
        arguments[draw(st.sampled_from([*arguments, "New"]))] = draw(VALUES)
    if draw(st.booleans()):
        document["Steps"].append(processing("Extra", DependsOn=[document["Steps"][0]["Name"]]))
    return document


def flat(document: dict[str, Any]) -> dict[str, FlatStep]:
    definition = parsed(document)
    places = branches(definition)
    return {step.name: flat_step(step, places[step.name]) for step in definition.walk()}


@given(reworked(), reworked())
@settings(max_examples=80)
def test_whatever_is_renamed_no_change_is_lost(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Every old step is told or stands as it was; each new one is its old one with the changes."""
    changes = {change.name: change for change in plan(old, new).steps}
    before, after = flat(old), flat(new)
    gone = {name for name, each in changes.items() if each.kind is Kind.REMOVED}
    names = {each.old_name: name for name, each in changes.items() if each.old_name}
    assert before.keys() == gone | names.keys() | (before.keys() & after.keys())
    for name, step in after.items():
        change = changes.get(name)
        if change is not None and change.kind is Kind.ADDED:
            assert change.content == step.document
            continue
        source = name if change is None else change.old_name or name
        start = with_names(before[source].document, names, own=source if source in names else None)
        made = apply_changes(start, change.changes if change else ())
        assert canonical_bytes(in_order(made)) == canonical_bytes(in_order(step.document))
