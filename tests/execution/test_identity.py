"""Token, display name and description, for any input within the limits of the API."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.execution.identity import (
    ExecutionRecord,
    Identity,
    describe,
    display_name,
    execution_parameters,
    execution_token,
    name_checks,
    parse_description,
)
from ci.metrics.model import Gate, Goal, MetricSource, Origin

TEXT = st.text(max_size=400)
IDENTITIES = st.builds(
    Identity,
    pipeline_name=TEXT,
    environment=TEXT,
    commit=TEXT,
    digest=TEXT,
    parameters=st.dictionaries(TEXT, TEXT, max_size=3),
    again=st.integers(0, 3),
)
RECORDS = st.builds(
    ExecutionRecord,
    commit=st.text("0123456789abcdef", min_size=40, max_size=40),
    environment=st.text(max_size=60),
    digest=st.text("0123456789abcdef", min_size=64, max_size=64),
    token=st.text("0123456789abcdef", min_size=64, max_size=64),
    branch=st.none() | st.text(max_size=3000),
    pull_request=st.none() | st.integers(1, 10**9),
    repository=st.none() | st.text(max_size=3000),
    run_url=st.none() | st.text(max_size=3000),
    checks=st.none() | st.text("0123456789abcdef", min_size=16, max_size=16),
)


@given(IDENTITIES, IDENTITIES)
def test_tokens_are_equal_exactly_for_equal_identities(one: Identity, other: Identity) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", execution_token(one))
    assert (execution_token(one) == execution_token(other)) == (one == other)


@given(IDENTITIES)
def test_no_field_can_stand_in_for_another(one: Identity) -> None:
    moved = replace(one, environment=one.pipeline_name + "x", pipeline_name=one.environment)
    assert execution_token(moved) != execution_token(one)
    assert execution_token(replace(one, again=one.again + 1)) != execution_token(one)


def test_the_order_of_parameters_does_not_count() -> None:
    base = Identity(
        pipeline_name="p",
        environment="main",
        commit="c",
        digest="d",
        parameters={"a": "1", "b": "2"},
    )
    assert execution_token(base) == execution_token(replace(base, parameters={"b": "2", "a": "1"}))
    # Pinned: a new value would start every running execution a second time.
    assert execution_token(base) == (
        "11fa9c2dcc9558c70c3a0386e0a58287ac2f20ac76620b363216eed4aee028aa"
    )


@given(commit=TEXT, branch=st.none() | TEXT, pull_request=st.none() | st.integers(1, 10**9))
def test_a_display_name_is_always_valid(
    commit: str, branch: str | None, pull_request: int | None
) -> None:
    name = display_name(commit=commit, branch=branch, pull_request=pull_request)
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,81}", name)
    assert len(name) <= 82


def test_display_names_people_know_again() -> None:
    commit = "0123456789abcdef" * 2
    assert display_name(commit=commit, branch="main", pull_request=None) == "main-0123456789ab"
    assert display_name(commit=commit, branch="x", pull_request=42) == "pr-42-0123456789ab"
    assert display_name(commit=commit, branch="feat/übung", pull_request=None) == (
        "feat-bung-0123456789ab"
    )


@given(RECORDS)
def test_a_description_fits_and_keeps_what_counts(record: ExecutionRecord) -> None:
    text = describe(record)
    assert len(text) <= 3072
    assert re.fullmatch(r".*", text)
    found = parse_description(text)
    assert found is not None
    assert replace(found, branch=None, repository=None, run_url=None) == replace(
        record, branch=None, repository=None, run_url=None
    )
    for name in ("branch", "repository", "run_url"):
        assert getattr(found, name) in {None, getattr(record, name)}


METRIC = MetricSource(name="rmse", origin=Origin.S3, path="$.rmse")
GATE = Gate(metric="rmse", maximum=3.0)


@pytest.mark.parametrize(
    "other",
    [
        name_checks([METRIC], []),
        name_checks([METRIC, METRIC], [GATE]),
        name_checks([replace(METRIC, path="$.mae")], [GATE]),
        name_checks([METRIC], [replace(GATE, maximum=3.5)]),
        name_checks([METRIC], [replace(GATE, required=False)]),
        name_checks([METRIC], [replace(GATE, improve_by=0)]),
    ],
)
def test_other_metrics_or_gates_have_another_name(other: str) -> None:
    name = name_checks([METRIC], [GATE])
    assert re.fullmatch("[0-9a-f]{16}", name)
    assert name == name_checks([replace(METRIC, goal=Goal.MINIMIZE)], [replace(GATE)]) != other


@given(st.none() | st.text() | st.builds("[{}]".format, st.text()))
def test_a_foreign_description_is_no_record(text: str | None) -> None:
    assert parse_description(text) is None


def test_descriptions_that_only_look_like_ours() -> None:
    assert parse_description('{"sagemaker-gitops": 2, "commit": "a"}') is None
    assert parse_description('{"sagemaker-gitops": 1, "commit": 5}') is None
    assert parse_description("[" * 100_000) is None


def test_the_commit_is_told_where_declared_and_not_given() -> None:
    declared = {"CommitSha": object(), "Rate": object()}
    assert execution_parameters(declared, {"Rate": 0.1, "Fast": True}, commit="abc") == {
        "CommitSha": "abc",
        "Rate": "0.1",
        "Fast": "true",
    }
    assert execution_parameters(declared, {"CommitSha": "mine"}, commit="abc") == {
        "CommitSha": "mine"
    }
    assert execution_parameters({}, {}, commit="abc") == {}
