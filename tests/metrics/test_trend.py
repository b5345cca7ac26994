"""Which models a trend is made of, how their metrics are kept, and the bars that show them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.metrics.model import Goal, MetricSource, Origin
from ci.metrics.trend import Measured, make_trends
from ci.registry.measures import MOST, measure_key, measures_metadata, read_measures
from ci.report.spark import sparkline

KEY = re.compile(r"[\w .:/=+\-@]{1,128}\Z")  # CustomerMetadataKey of the API
finite = st.floats(allow_nan=False, allow_infinity=False)


def source(name: str, goal: Goal = Goal.MINIMIZE) -> MetricSource:
    return MetricSource(name=name, origin=Origin.S3, path="$.x", goal=goal, unit="m")


def test_each_metric_has_the_models_that_have_it_oldest_first() -> None:
    models = [
        Measured(version=9, values={"a": 3.0}, commit="c"),
        Measured(version=2, values={"a": 1.0, "b": 5.0}),
        Measured(version=10, values={"other": 1.0}),
    ]
    trends = make_trends([source("b"), source("a", Goal.MAXIMIZE), source("none")], models)
    assert [trend.metric for trend in trends] == ["b", "a"]
    assert [(point.version, point.value) for point in trends[1].points] == [(2, 1.0), (9, 3.0)]
    assert (trends[1].goal, trends[1].unit, trends[1].points[1].commit) == (
        Goal.MAXIMIZE,
        "m",
        "c",
    )


@given(st.dictionaries(st.text(min_size=1, max_size=150), finite, max_size=MOST))
def test_values_are_kept_as_they_are(values: dict[str, float]) -> None:
    metadata = measures_metadata(values)
    assert all(KEY.match(key) for key in metadata)
    assert all(re.fullmatch(r"[-+.\w]{1,256}", value) for value in metadata.values())
    assert read_measures(metadata, values) == values


def test_names_that_do_not_fit_stay_apart() -> None:
    names = ["a b", "a|b", "a#b", "x" * 128, "x" * 129, "recall@5", "ü"]
    assert len({measure_key(name) for name in names}) == len(names)
    assert measure_key("recall@5") == "sagemaker-gitops:metric-recall@5"


@pytest.mark.parametrize("value", ["", "x", "nan", "inf", "1e999"])
def test_what_someone_else_wrote_there_is_no_value(value: str) -> None:
    assert read_measures({measure_key("a"): value}, ["a"]) == {}


def test_no_more_than_there_is_room_for() -> None:
    assert len(measures_metadata({f"m{n}": 1.0 for n in range(60)})) == MOST
    assert measures_metadata({"a": float("nan")}) == {}


@given(st.lists(finite, max_size=60))
def test_bars_follow_the_values(values: list[float]) -> None:
    bars = sparkline(values)
    assert len(bars) == len(values)
    if len(set(values)) > 1:
        assert bars[values.index(max(values))] == "█"
        assert bars[values.index(min(values))] == "▁"
    for (left, low), (right, high) in zip(
        zip(values, bars, strict=True), list(zip(values, bars, strict=True))[1:], strict=False
    ):
        assert (left <= right) <= (low <= high)


def test_one_level_is_a_line() -> None:
    assert sparkline([2.0, 2.0, 2.0]) == "▄▄▄"
    assert sparkline([1.0, 2.0, 8.0]) == "▁▂█"
