"""A metric is a finite number, or a sentence that says what was found and what is near."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.metrics.model import MetricSource, Origin
from ci.metrics.read import parse_document, read_metric, read_metrics, with_champion

QUALITY = {
    "regression_metrics": {
        "rmse": {"value": 2.05, "standard_deviation": 0.1},
        "mae": {"value": 1.5, "standard_deviation": "NaN"},
    },
    "champion": {"rmse": 2.138},
}


def source(
    path: str, *, champion: str | None = None, origin: Origin = Origin.PROPERTY_FILE
) -> MetricSource:
    return MetricSource(name="rmse", origin=origin, path=path, champion_path=champion)


@pytest.mark.parametrize(
    "path",
    [
        "$.regression_metrics.rmse.value",
        "$['regression_metrics']['rmse']['value']",
        "$.regression_metrics.rmse",
        "rmse",
    ],
)
def test_model_quality_format(path: str) -> None:
    found = read_metric(QUALITY, source(path, champion="$.champion.rmse"))
    assert (found.value, found.champion, found.problem) == (2.05, 2.138, None)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (math.nan, "is NaN, not a finite number"),
        (math.inf, "is Infinity"),
        (-math.inf, "is -Infinity"),
        ("2.05", 'is a string ("2.05"), not a number'),
        (True, "is a boolean (true)"),
        (None, "is null"),
        ([1, 2], "is a list of 2"),
        ({"v": 1}, "is an object, not a number; it holds .v"),
        (10**400, "too large"),
    ],
)
def test_no_finite_number_is_told(value: object, words: str) -> None:
    found = read_metric({"a": {"b": value}}, source("$.a.b"))
    assert found.value is None
    assert found.problem is not None
    assert words in found.problem
    assert found.problem.startswith("$.a.b")


def test_missing_path_names_the_nearest() -> None:
    found = read_metric(QUALITY, source("$.regression_metrics.rsme.value"))
    assert found.problem == (
        "nothing at $.regression_metrics.rsme.value; nearest: $.regression_metrics.rmse.value"
    )


def test_nearest_path_may_need_quotes() -> None:
    found = read_metric({"a b": [{"c-d": 1.0}]}, source("$.ab"))
    assert found.problem == 'nothing at $.ab; nearest: $["a b"][0]["c-d"]'


def test_several_matches_are_refused() -> None:
    found = read_metric(QUALITY, source("$..value"))
    assert found.problem == "$..value matches 2 values; make it name one"


@pytest.mark.parametrize("path", ["$.[", "$.a[", "$[?(", "$" + "[" * 500])
def test_broken_path(path: str) -> None:
    found = read_metric(QUALITY, source(path))
    assert found.value is None
    assert "is not a JSONPath" in (found.problem or "")


@pytest.mark.parametrize("document", [None, 3, "text", [], {}, {"a": {}}])
def test_documents_without_numbers(document: object) -> None:
    found = read_metric(document, source("$.a.b"))
    assert found.value is None
    assert found.problem


@pytest.mark.parametrize("champion", [{}, {"champion": None}, {"champion": {"rmse": None}}])
def test_no_champion_is_no_problem(champion: dict[str, Any]) -> None:
    found = read_metric({"a": 1.0} | champion, source("$.a", champion="$.champion.rmse"))
    assert (found.value, found.champion, found.champion_problem) == (1.0, None, None)


def test_a_champion_that_is_no_number_is_told() -> None:
    found = read_metric({"a": 1.0, "c": math.nan}, source("$.a", champion="$.c"))
    assert (found.value, found.champion) == (1.0, None)
    assert found.champion_problem == "$.c is NaN, not a finite number"


def test_champion_from_its_own_document() -> None:
    value = read_metric({"a": 1.0}, source("$.a"))
    assert with_champion(value, {"a": 1.5}).champion == 1.5
    missing = with_champion(value, {"b": 1.5})
    assert missing.champion is None
    assert missing.champion_problem == "nothing at $.a; nearest: $.b"


def test_same_data_beats_same_path() -> None:
    value = read_metric(QUALITY, source("rmse", champion="$.champion.rmse"))
    assert with_champion(value, {"rmse": 9.0}).champion == 2.138


def test_training_job_metrics() -> None:
    job = {"FinalMetricDataList": [{"MetricName": "validation:rmse", "Value": 2.5}]}
    training = Origin.TRAINING_JOB
    assert read_metric(job, source("validation:rmse", origin=training)).value == 2.5
    assert (
        read_metric(job["FinalMetricDataList"], source("validation:rmse", origin=training)).value
        == 2.5
    )
    missing = read_metric(job, source("rmse", origin=training))
    assert missing.problem == ("the training job reported no metric rmse; nearest: validation:rmse")
    assert "no metrics" in (read_metric({}, source("rmse", origin=training)).problem or "")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"{", "is not JSON (line 1, column 2"),
        (b"\xff\xfe{", "is not UTF-8"),
        (b"[" * 100_000, "cannot be read as JSON"),
    ],
)
def test_unreadable_documents(body: bytes, words: str) -> None:
    (found,) = read_metrics(body, [source("rmse")], where="s3://b/evaluation.json")
    assert found.value is None
    assert (found.problem or "").startswith("s3://b/evaluation.json ")
    assert words in (found.problem or "")


def test_byte_order_mark_and_nan_are_taken_in() -> None:
    document, problem = parse_document(b'\xef\xbb\xbf{"a": NaN}')
    assert problem is None
    assert isinstance(document, dict)
    assert math.isnan(document["a"])


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda child: (
        st.lists(child, max_size=4) | st.dictionaries(st.text(max_size=8), child, max_size=4)
    ),
    max_leaves=20,
)


@given(json_values, st.text(max_size=30))
def test_any_document_and_path_end_in_a_value_or_a_problem(document: Any, path: str) -> None:
    found = read_metric(json.loads(json.dumps(document)), source(path, champion=path))
    assert (found.value is None) == (found.problem is not None)
    assert found.value is None or math.isfinite(found.value)
    assert found.champion is None or math.isfinite(found.champion)
