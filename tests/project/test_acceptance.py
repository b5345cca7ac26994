"""The quick look at a project file: what it accepts, jsonschema accepts."""

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ci.project.acceptance import surely_accepts
from ci.project.document import walk
from ci.project.validate import project_schema

DATA: dict[str, Any] = {
    "version": 1,
    "region": "us-east-1",
    "role": "arn:aws:iam::123456789012:role/ml/execution",
    "artifacts": {"bucket": "acme-ml", "prefix": "gitops/files"},
    "pipelines": {
        "abalone": {
            "source": "pipeline.py:get_pipeline",
            "kwargs": {"deep": {"list": [1, 2.5, None, True]}},
            "compile": "live",
            "pass_environment": ["DATA_VERSION"],
            "paths": ["pipelines/abalone/**"],
            "parameters": {"Threshold": 2.4, "Name": "text", "Flag": True},
            "metrics": [
                {"name": "rmse", "property_file": "EvaluationReport", "path": "$.rmse"},
                {"name": "f1", "model_package": True, "path": "$.f1", "goal": "maximize"},
            ],
            "gates": [{"metric": "rmse", "maximum": 2.4, "improve_by": "2%", "required": False}],
        },
        "ready": {"definition": "definition.json"},
    },
    "environments": {
        "main": {"require_approval": True, "deadline": "6h", "tags": {"team": "rings"}},
        "staging": {"parallelism": 2, "run": False},
    },
    "local": {"images": {"*": "other"}},
}
PLACES = [path for path, _ in walk(DATA) if path]
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats()
    | st.sampled_from(["", "aws:x", "main", "1%", "hermetic", "update", "a" * 300, "a\n", "ü"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["", "source", "name", "aws:x", "x y"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)
SIZES = st.integers(0, 2)
KEYWORDS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(
            ["object", "array", "string", "number", "integer", "null", ["string", "boolean"], "odd"]
        ),
        "enum": st.just(["", "main", 1, None]),
        "const": st.sampled_from([0, 1, True, "main"]),
        "pattern": st.sampled_from(["^a", "[0-9]%$"]),
        "not": st.sampled_from([{"pattern": "^aws:"}, {"type": "string"}]),
        "required": st.sampled_from([["source"], ["source", "name"]]),
        "oneOf": st.sampled_from(
            [[{"required": ["source"]}, {"required": ["name"]}], [{"type": "string"}, True]]
        ),
        "anyOf": st.sampled_from([[{"required": ["source"]}, {"type": "array"}], [False]]),
        "uniqueItems": st.booleans(),
        "minimum": st.integers(-1, 1),
        "maximum": st.integers(-1, 1),
        "exclusiveMaximum": st.just(1),
        **{
            f"{side}{what}": SIZES
            for side in ("min", "max")
            for what in ("Length", "Items", "Properties")
        },
    },
)
SCHEMAS = st.recursive(
    st.booleans() | KEYWORDS,
    lambda inner: st.tuples(
        KEYWORDS,
        st.fixed_dictionaries(
            {},
            optional={
                "items": inner,
                "additionalProperties": inner,
                "propertyNames": inner,
                "patternProperties": st.just({"^s": True}),
                "properties": st.dictionaries(st.sampled_from(["source", "name"]), inner),
            },
        ),
    ).map(lambda parts: {**parts[0], **parts[1]}),
    max_leaves=4,
)


def changed(path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    data = copy.deepcopy(DATA)
    place: Any = data
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return data


def refused(schema: Any, value: object) -> bool:
    return not Draft202012Validator(schema).is_valid(value)


def test_the_whole_file_is_accepted_at_a_glance() -> None:
    assert surely_accepts(project_schema(), DATA)


def test_every_example_of_the_schema_is_accepted_at_a_glance() -> None:
    """A keyword that the quick look does not know would make every command slower."""
    schema = project_schema()
    for path, field in walk(schema):
        if len(path) > 1 and path[-2] == "properties" and isinstance(field, dict):
            for example in field.get("examples", []):
                assert surely_accepts({**field, "$defs": schema["$defs"]}, example), path


@given(st.sampled_from(PLACES), ODD)
def test_what_is_accepted_at_a_glance_is_valid(path: tuple[str | int, ...], value: object) -> None:
    data = changed(path, value)
    if surely_accepts(project_schema(), data):
        assert not refused(project_schema(), data)


@given(SCHEMAS, ODD)
def test_it_never_says_yes_where_jsonschema_says_no(schema: object, value: object) -> None:
    if isinstance(schema, bool) or "odd" in str(schema):
        return
    if surely_accepts(schema, value):  # type: ignore[arg-type]
        assert not refused(schema, value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1.5, True, "1"])
def test_a_doubtful_number_is_left_to_jsonschema(value: object) -> None:
    assert not surely_accepts({"type": "integer", "minimum": 1}, value)


def test_a_valid_project_file_does_not_import_jsonschema(tmp_path: Path) -> None:
    (tmp_path / "pipeline.py").write_text("")
    file = tmp_path / "sagemaker-gitops.yaml"
    file.write_text("version: 1\npipelines:\n  a:\n    source: pipeline.py:get_pipeline\n")
    code = (
        "import sys, pathlib; from ci.project.load import load_project;"
        f"load_project(pathlib.Path({str(file)!r})); print('jsonschema' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
