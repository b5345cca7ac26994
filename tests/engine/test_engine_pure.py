"""What is decided without a process: references, conditions, order, retries, durations."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.engine_lab import processing

from ci.definition.parse import parse_definition
from ci.definition.resolve import Scope, Unresolved, parameter_values, resolve, to_text
from ci.local.engine.cache import cache_key, parse_duration
from ci.local.engine.conditions import evaluate
from ci.local.engine.failure import ExceptionType, StepFailure
from ci.local.engine.images import find_environment
from ci.local.engine.places import job_name
from ci.local.engine.retry import next_delay
from ci.local.engine.schedule import Progress, State, build_nodes, decide
from ci.local.engine.script_mode import decode, to_arguments
from ci.local.engine.transfer import select_keys

SCOPE = Scope(
    parameters={"N": 3, "Name": "x", "Flag": True},
    variables={"PipelineName": "demo"},
    properties={
        "S-1": {
            "Outputs": [{"OutputName": "o", "S3Output": {"S3Uri": "s3://b/o"}}],
            "Map": {"a-b": [10, 20]},
        }
    },
    property_files={"S-1": {"File": ("o", "deep/e.json")}},
    read_text=lambda uri: json.dumps({"uri": uri, "m": {"v-1": [{"x": 1.5}]}}),
)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ({"Get": "Parameters.N"}, 3),
        ({"a": [{"Get": "Execution.PipelineName"}]}, {"a": ["demo"]}),
        ({"Get": "Steps.S-1.Outputs['o'].S3Output.S3Uri"}, "s3://b/o"),
        ({"Get": "Steps.S-1.Outputs[0].OutputName"}, "o"),
        ({"Get": "Steps.S-1.Map['a-b'][1]"}, 20),
        (
            {"Std:Join": {"On": "-", "Values": [1, True, 2.5, {"Get": "Parameters.Name"}]}},
            "1-true-2.5-x",
        ),
        ({"Std:JsonGet": {"S3Uri": "s3://b/k", "Path": "m['v-1'][0].x"}}, 1.5),
        ({"Std:JsonGet": {"S3Uri": "s3://b/k", "Path": "$.m.*[0].x"}}, 1.5),
        ({"Get": 1, "Other": 2}, {"Get": 1, "Other": 2}),
    ],
)
def test_references_become_values(value: Any, wanted: Any) -> None:
    assert resolve(value, SCOPE) == wanted


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"Get": "Parameters.Nope"}, "no value was given"),
        ({"Get": "Execution.Nope"}, "is not an execution variable"),
        ({"Get": "Steps.Nope.X"}, "has no result"),
        ({"Get": "Steps.S-1.Nope.Deep"}, "has no 'Nope'"),
        ({"Get": "Steps.S-1.Outputs[7]"}, "has no 7"),
        ({"Get": "Steps.S-1"}, "no property"),
        ({"Get": "nonsense"}, "no reference"),
        ({"Get": ""}, "no reference"),
        ({"Std:JsonGet": {"S3Uri": "s3://b/k", "Path": "m.z"}}, "has no 'z'"),
    ],
)
def test_a_reference_to_nothing_says_what_is_missing(value: Any, why: str) -> None:
    with pytest.raises(Unresolved, match=why):
        resolve(value, SCOPE)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_holds_no_reference_stays(value: Any) -> None:
    words = ("Get", "Std:Join", "Std:JsonGet")
    if not any(word in json.dumps(value) for word in words):
        assert resolve(value, SCOPE) == value


def _c(kind: str, left: Any, right: Any) -> dict[str, Any]:
    return {"Type": kind, "LeftValue": left, "RightValue": right}


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        (_c("Equals", {"Get": "Parameters.N"}, 3.0), True),
        (_c("Equals", "3", 3), False),
        (_c("Equals", True, 1), False),
        (_c("GreaterThan", 3, 3), False),
        (_c("GreaterThanOrEqualTo", 3, 3), True),
        (_c("LessThan", 2.9, {"Get": "Parameters.N"}), True),
        (_c("LessThanOrEqualTo", "a", "b"), True),
        ({"Type": "In", "QueryValue": {"Get": "Parameters.Name"}, "Values": ["y", "x"]}, True),
        ({"Type": "Not", "Condition": _c("Equals", 1, 1)}, False),
        ({"Type": "Or", "Conditions": [_c("Equals", 1, 2), _c("Equals", 1, 1)]}, True),
        ({"Type": "And", "Conditions": [_c("Equals", 1, 2), _c("Equals", 1, 1)]}, False),
    ],
)
def test_conditions(condition: dict[str, Any], wanted: bool) -> None:
    assert evaluate([condition], SCOPE) is wanted


def test_all_conditions_must_hold_and_all_must_be_tellable() -> None:
    assert not evaluate([_c("Equals", 1, 1), _c("Equals", 1, 2)], SCOPE)
    with pytest.raises(Unresolved):
        evaluate([_c("Equals", 1, 2), _c("Equals", {"Get": "Parameters.Nope"}, 2)], SCOPE)
    with pytest.raises(Unresolved, match="cannot compare"):
        evaluate([_c("LessThan", "1", 2)], SCOPE)


def _nodes(steps: list[dict[str, Any]]) -> Any:
    return build_nodes(parse_definition(json.dumps({"Version": "2020-12-01", "Steps": steps})))


def test_a_failure_that_another_step_answers() -> None:
    answer = processing("Answer", "pass")
    answer["DependsOn"] = [{"Step": "A", "Trigger": "Failed"}]
    nodes = _nodes([processing("A", "pass"), answer])
    failed = {"A": State.FAILED}
    assert decide(nodes, Progress(states=failed), parallel=9).start == ("Answer",)
    over = Progress(states=failed | {"Answer": State.SUCCEEDED})
    assert decide(nodes, over, parallel=9).status == "CompletedWithFailures"
    fine = decide(nodes, Progress(states={"A": State.SUCCEEDED}), parallel=9)
    assert fine.status == "Succeeded"


@given(st.data())
def test_any_graph_comes_to_an_end_with_each_step_after_its_needs(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 8))
    names = [f"s{n}" for n in range(count)]
    needs = {
        n: data.draw(st.sets(st.sampled_from(names[:i]))) if i else set()
        for i, n in enumerate(names)
    }
    nodes = _nodes([processing(n, "pass", *needs[n]) for n in names])
    states: dict[str, State] = {}
    for _ in range(count + 1):
        decision = decide(nodes, Progress(states=states), parallel=2)
        if decision.status is not None:
            break
        assert 0 < len(decision.start) <= 2
        for name in decision.start:
            assert all(states[need] is State.SUCCEEDED for need in needs[name])
            good = data.draw(st.booleans())
            states[name] = State.SUCCEEDED if good else State.FAILED
    failed = State.FAILED in states.values()
    assert decision.status == ("Failed" if failed else "Succeeded")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30d", 2_592_000),
        ("P30D", 2_592_000),
        ("PT1H", 3600),
        ("T16m", 960),
        ("P1Y", 31_536_000),
        ("30dT5h", 2_610_000),
        ("p1w", 604_800),
        ("1m", 2_592_000),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "P", "PT", "tomorrow", "-1d", "5"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(StepFailure, match="ISO 8601"):
        parse_duration(text)


def test_the_cache_key_counts_what_the_service_counts() -> None:
    base = {"AppSpecification": {"ImageUri": "i"}, "Environment": {}, "ProcessingInputs": []}
    key = cache_key("p", "s", "Processing", base, {})
    assert key == cache_key("p", "s", "Processing", {**base, "RoleArn": "other"}, {})
    others = [
        cache_key("q", "s", "Processing", base, {}),
        cache_key("p", "t", "Processing", base, {}),
        cache_key("p", "s", "Processing", {**base, "Environment": {"A": "1"}}, {}),
    ]
    assert key not in others
    assert cache_key("p", "s", "RegisterModel", base, {}) is None


def test_retries_follow_the_policy() -> None:
    kind = ExceptionType.JOB_INTERNAL_ERROR
    policy = {"ExceptionType": [kind], "IntervalSeconds": 2, "BackoffRate": 3.0, "MaxAttempts": 2}
    delays = [next_delay([policy], kind, retries=n, elapsed=0) for n in range(3)]
    assert delays == [2.0, 6.0, None]
    assert next_delay([policy], None, retries=0, elapsed=0) is None
    assert next_delay([], kind, retries=0, elapsed=0) is None
    assert next_delay([], ExceptionType.THROTTLING, retries=0, elapsed=0) == 1.0
    short = {"ExceptionType": [kind], "ExpireAfterMin": 1}
    assert next_delay([short], kind, retries=0, elapsed=59) == 1.0
    assert next_delay([short], kind, retries=0, elapsed=60) is None


def test_parameters_are_typed_and_bad_ones_named() -> None:
    declared = [
        {"Name": "I", "Type": "Integer", "DefaultValue": 1},
        {"Name": "F", "Type": "Float"},
        {"Name": "B", "Type": "Boolean", "DefaultValue": False},
        {"Name": "S", "Type": "String", "DefaultValue": "s"},
    ]
    document = {"Version": "2020-12-01", "Parameters": declared, "Steps": []}
    definition = parse_definition(json.dumps(document))
    given = [{"Name": "F", "Value": "2.5"}, {"Name": "I", "Value": "7"}]
    assert parameter_values(definition, given) == {"I": 7, "F": 2.5, "B": False, "S": "s"}
    with pytest.raises(Unresolved, match="Parameter I is declared Integer"):
        parameter_values(definition, {"I": "seven"})


@pytest.mark.parametrize(
    ("keys", "prefix", "wanted"),
    [
        (["in/a", "in/b/c", "in2/x"], "in", [("in/a", "a"), ("in/b/c", "b/c")]),
        (["in/a.csv", "in/a.csv.bak"], "in/a.csv", [("in/a.csv", "a.csv")]),
        (["in/p1", "in/p2"], "in/p", [("in/p1", "p1"), ("in/p2", "p2")]),
        (["in/", "in/a"], "in/", [("in/a", "a")]),
        (["a"], "", [("a", "a")]),
    ],
)
def test_which_keys_an_input_takes(
    keys: list[str], prefix: str, wanted: list[tuple[str, str]]
) -> None:
    assert select_keys(keys, prefix) == wanted


@given(st.text(max_size=300))
def test_job_names_fit_the_api(step: str) -> None:
    name = job_name("arn:x/execution/abcdefgh1234", step)
    assert len(name) <= 63
    assert name.startswith("pipelines-abcdefgh1234-")
    assert all(c.isascii() and (c.isalnum() or c == "-") for c in name)


def test_hyperparameters_become_arguments_as_the_toolkit_makes_them() -> None:
    decoded = decode({"lr": "0.1", "b": "true", "name": '"n"', "raw": "a b", "list": "[1, 2]"})
    assert to_arguments(decoded) == [
        "-b",
        "True",
        "--list",
        "[1, 2]",
        "--lr",
        "0.1",
        "--name",
        "n",
        "--raw",
        "a b",
    ]


def test_the_first_pattern_that_matches_names_the_environment() -> None:
    from pathlib import Path

    images = (("*/xgboost:*", Path("/a")), ("*", Path("/b")))
    assert find_environment("1.dkr.ecr/xgboost:1.7", images) == Path("/a")
    assert find_environment("other", images) == Path("/b")
    assert find_environment("other", images[:1]) is None
    assert to_text(1.0) == "1.0"
