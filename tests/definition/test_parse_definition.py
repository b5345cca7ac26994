"""What becomes a definition, what is refused, and where the refusal points."""

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.definitions import parsed, small_pipeline

from ci.definition.canonical import canonical_bytes
from ci.definition.parse import parse_definition
from ci.definition.read import read_json
from ci.errors import DefinitionError, ExitCode

ACCEPTED = sorted((Path(__file__).parent / "accepted").glob("*.json"))

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)

STEP = '{"Version":"1","Steps":[{"Name":"a","Type":"Fail","Arguments":{"x":%s}}]}'


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("{", "p.json:1:2", "not JSON"),
        ('{"Version": "1",\n "Steps": [}', "p.json:2:12", "not JSON"),
        ("[]", "$", "not a list"),
        ('"x"', "$", "not a text"),
        ('{"Steps": []}', "$", "no Version"),
        ('{"Version": "1"}', "$", "no Steps"),
        ('{"Version": 1, "Steps": []}', "$.Version", "not a number"),
        ('{"Version": "1", "Steps": {}}', "$.Steps", "not an object"),
        ('{"Version": "1", "Version": "2", "Steps": []}', "$", "twice"),
        (STEP % '{"b": 1, "a": 2, "b": 1}', "$.Steps[0].Arguments.x", "twice"),
        (STEP % "NaN", "$.Steps[0].Arguments.x", "NaN"),
        (STEP % "-Infinity", "$.Steps[0].Arguments.x", "Infinity"),
        (STEP % "1e999", "$.Steps[0].Arguments.x", "too large"),
        (STEP % ("9" * 5000), "$.Steps[0].Arguments.x", "5000 digits"),
        (STEP % '"\\ud800"', "$.Steps[0].Arguments.x", "surrogate"),
        (STEP % '{"a b": ["\\udc00"]}', "$.Steps[0].Arguments.x['a b'][0]", "surrogate"),
        (STEP % ("[" * 120 + "]" * 120), "p.json", "deeper"),
        (STEP % ("[" * 100_000), "p.json", "deeper"),
        ('{"Version": "1", "Steps": [{"Type": "Fail"}]}', "$.Steps[0].Name", "not null"),
        ('{"Version": "1", "Steps": [{"Name": "a", "Type": 1}]}', "$.Steps[0].Type", "number"),
        ('{"Version": "1", "Steps": [null]}', "$.Steps[0]", "not null"),
        (
            '{"Version": "1", "Steps": [{"Name": "a", "Type": "Fail", "Arguments": []}]}',
            "$.Steps[0].Arguments",
            "not a list",
        ),
        (
            '{"Version": "1", "Steps": [{"Name": "a", "Type": "Fail", "DependsOn": [5]}]}',
            "$.Steps[0].DependsOn[0]",
            "not a number",
        ),
        (
            '{"Version": "1", "Steps": [{"Name": "a", "Type": "Fail", "PropertyFiles": [{}]}]}',
            "$.Steps[0].PropertyFiles[0].PropertyFileName",
            "not null",
        ),
        (
            '{"Version": "1", "Steps": [], "Parameters": [{"Name": "a", "Type": "Text"}]}',
            "$.Parameters[0].Type",
            "'Text'",
        ),
        (
            (
                '{"Version": "1", "Steps": [], "Parameters":'
                ' [{"Name": "a", "Type": "String", "DefaultValue": ["x"]}]}'
            ),
            "$.Parameters[0].DefaultValue",
            "a list",
        ),
        (
            (
                '{"Version": "1", "Steps": [{"Name": "c", "Type": "Condition",'
                ' "Arguments": {"IfSteps": {}}}]}'
            ),
            "$.Steps[0].Arguments.IfSteps",
            "not an object",
        ),
    ],
)
def test_what_is_no_definition_is_refused_with_its_place(text: str, where: str, what: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_definition(text, where="p.json")
    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.where is not None
    assert caught.value.where.startswith("p.json")
    assert caught.value.where.endswith(where)
    assert what in caught.value.what
    assert len(str(caught.value)) < 400


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(DefinitionError, match="UTF-8"):
        parse_definition(b'{"Version": "\xff"}')


def test_a_byte_order_mark_is_no_part_of_a_definition() -> None:
    text = json.dumps(small_pipeline())
    assert parse_definition("\ufeff" + text).raw == parse_definition(text).raw
    assert parse_definition(b"\xef\xbb\xbf" + text.encode()).raw == parse_definition(text).raw


def test_steps_know_their_branch_and_path() -> None:
    steps = {step.name: step for step in parsed(small_pipeline()).walk()}
    assert list(steps) == ["Prepare", "Train", "Evaluate", "Better", "Register", "Deploy", "Worse"]
    assert steps["Deploy"].path == "$.Steps[3].Arguments.IfSteps[1]"
    assert steps["Deploy"].parent == "Better"
    assert steps["Better"].else_steps == (steps["Worse"],)
    assert steps["Evaluate"].property_files == {"Report": ("report", "evaluation.json")}


def test_run_conditions_of_sdk_v3_are_read() -> None:
    document = small_pipeline()
    document["Steps"][1]["DependsOn"] = ["Prepare", {"Step": "Evaluate", "Trigger": "Failed"}]
    (train,) = (step for step in parsed(document).walk() if step.name == "Train")
    assert train.depends_on == ("Prepare", "Evaluate")
    assert train.triggers == {"Evaluate": "Failed"}


@given(VALUES)
def test_canonical_bytes_are_a_fixed_point(value: object) -> None:
    once = canonical_bytes(value)
    assert canonical_bytes(json.loads(once)) == once


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), VALUES, max_size=5), st.randoms())
def test_order_and_white_space_do_not_reach_the_digest(
    value: dict[str, object], random: Random
) -> None:
    keys = list(value)
    random.shuffle(keys)
    shuffled = {key: value[key] for key in keys}
    assert canonical_bytes(value) == canonical_bytes(read_json(json.dumps(shuffled, indent=3)))


def test_numbers_of_different_types_have_different_digests() -> None:
    assert len({canonical_bytes(read_json(text)) for text in ("1", "1.0", "true", '"1"')}) == 4


@pytest.mark.parametrize("file", ACCEPTED, ids=lambda file: file.stem)
def test_what_the_sdk_writes_is_read_without_loss(file: Path) -> None:
    definition = parse_definition(file.read_bytes())
    assert definition.raw == json.loads(file.read_bytes())
    again = parse_definition(canonical_bytes(definition.raw))
    assert canonical_bytes(again.raw) == canonical_bytes(definition.raw)
    assert len(list(definition.walk())) >= 2


def test_a_megabyte_is_read_in_a_fraction_of_a_second() -> None:
    keys = ",".join(f'"k{n}": "v"' for n in range(80_000))
    parse_definition(STEP % ("{" + keys + "}"))
    with pytest.raises(DefinitionError, match="twice"):
        parse_definition(STEP % ("{" + keys + ',"k79999": 1}'))
