"""References found in steps, and the graph they make."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.definitions import parsed, small_pipeline

from ci.definition.graph import (
    dependencies,
    dependents,
    find_cycles,
    topological_order,
    upstream,
)
from ci.definition.references import (
    ReferenceKind,
    definition_references,
    find_references,
    parse_reference,
)

GRAPHS = st.integers(1, 12).flatmap(
    lambda n: st.lists(
        st.frozensets(st.sampled_from([f"s{i}" for i in range(n)]), max_size=3),
        min_size=n,
        max_size=n,
    ).map(lambda rows: {f"s{i}": row for i, row in enumerate(rows)})
)


@pytest.mark.parametrize(
    ("text", "kind", "target", "tokens"),
    [
        ("Parameters.Data", ReferenceKind.PARAMETER, "Data", ()),
        ("Execution.StartDateTime", ReferenceKind.EXECUTION, "StartDateTime", ()),
        ("Steps.S.A.B['k'][0].C", ReferenceKind.STEP, "S", ("A", "B", "k", 0, "C")),
        ('Steps.S.O["a b.c"]', ReferenceKind.STEP, "S", ("O", "a b.c")),
        ("Steps.S.M['a]b']", ReferenceKind.STEP, "S", ("M", "a]b")),
        ("Steps.S", ReferenceKind.STEP, "S", ()),
        ("ForEach.CurrentItem.a.b", ReferenceKind.FOR_EACH, "CurrentItem", ("a", "b")),
        ("IterationOutput.One.X['y']", ReferenceKind.ITERATION_OUTPUT, "One", ("X", "y")),
        ("Steps.", ReferenceKind.MALFORMED, "", ()),
        ("Steps.S.A[", ReferenceKind.MALFORMED, "", ()),
        ("Steps.S..A", ReferenceKind.MALFORMED, "", ()),
        ("Parameters.", ReferenceKind.MALFORMED, "", ()),
        ("", ReferenceKind.MALFORMED, "", ()),
    ],
)
def test_a_reference_is_taken_apart(
    text: str, kind: ReferenceKind, target: str, tokens: tuple[str | int, ...]
) -> None:
    reference = parse_reference(text)
    assert (reference.kind, reference.target, reference.tokens) == (kind, target, tokens)


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader_of_references(text: str) -> None:
    for candidate in (text, f"Steps.{text}", f"Steps.S.{text}", f"ForEach.{text}"):
        assert parse_reference(candidate).text == candidate


def test_property_files_and_joins_are_found_with_their_paths() -> None:
    value = {
        "a": {
            "Std:JsonGet": {
                "PropertyFile": {"Get": "Steps.E.PropertyFiles.Report.v2"},
                "Path": "m.v",
            }
        },
        "b c": {"Std:Join": {"On": "/", "Values": ["x", {"Get": "Parameters.P"}]}},
        "d": {
            "Std:JsonGet": {
                "S3Uri": {"Std:Join": {"On": "/", "Values": [{"Get": "Steps.T.X"}]}},
                "Path": "p",
            }
        },
        "e": {"Get": "Steps.Q.X", "Other": 1},
    }
    found = {reference.path: reference for reference in find_references(value)}
    assert list(found) == [
        "$.a",
        "$['b c']['Std:Join'].Values[1]",
        "$.d['Std:JsonGet'].S3Uri['Std:Join'].Values[0]",
    ]
    file = found["$.a"]
    assert (file.step, file.property_file, file.json_path) == ("E", "Report.v2", "m.v")


def test_a_branch_waits_for_its_condition_and_a_condition_for_what_it_reads() -> None:
    graph = dependencies(parsed(small_pipeline()))
    assert graph["Better"] == {"Evaluate"}
    assert graph["Worse"] == {"Better"}
    assert graph["Register"] == {"Better", "Train"}
    assert graph["Deploy"] == {"Better", "Register"}
    assert upstream(graph, "Deploy") == {"Better", "Register", "Train", "Evaluate", "Prepare"}


def test_arguments_beside_arguments_count() -> None:
    document = small_pipeline()
    document["Steps"].append(
        {
            "Name": "Quality",
            "Type": "QualityCheck",
            "SkipCheck": {"Get": "Parameters.Bound"},
            "SuppliedBaselineStatistics": {"Get": "Steps.Train.TrainingJobName"},
            "Arguments": {},
        }
    )
    definition = parsed(document)
    assert dependencies(definition)["Quality"] == {"Train"}
    paths = [
        r.path for step, r in definition_references(definition) if step and step.name == "Quality"
    ]
    assert paths == ["$.Steps[4].SkipCheck", "$.Steps[4].SuppliedBaselineStatistics"]


def test_unknown_names_are_no_part_of_the_graph() -> None:
    document: dict[str, Any] = small_pipeline()
    document["Steps"][0]["DependsOn"] = ["Nobody"]
    assert dependencies(parsed(document))["Prepare"] == frozenset()


@given(GRAPHS)
def test_every_step_is_in_the_order_or_held_up_by_a_cycle(graph: dict[str, frozenset[str]]) -> None:
    order = topological_order(graph)
    place = {name: index for index, name in enumerate(order)}
    assert len(place) == len(order)
    for name in order:
        assert all(place[other] < place[name] for other in graph[name])
    cycles = find_cycles(graph)
    assert bool(cycles) == (len(order) < len(graph))
    for cycle in cycles:
        for name, waited_for in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
            assert waited_for in graph[name]
    on_cycles = {name for cycle in cycles for name in cycle}
    for name in set(graph) - set(order) - on_cycles:
        assert upstream(graph, name) & on_cycles


@given(GRAPHS)
def test_dependents_turn_the_graph_round(graph: dict[str, frozenset[str]]) -> None:
    turned = dependents(graph)
    pairs = {(a, b) for a, row in graph.items() for b in row}
    assert pairs == {(a, b) for b, row in turned.items() for a in row}


def test_a_long_chain_needs_no_deep_stack() -> None:
    graph = {f"s{i}": frozenset({f"s{i + 1}"}) for i in range(20_000)}
    graph["s20000"] = frozenset()
    assert len(topological_order(graph)) == 20_001
    graph["s20000"] = frozenset({"s0"})
    ((*cycle,),) = find_cycles(graph)
    assert len(cycle) == 20_001
