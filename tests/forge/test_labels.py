"""The label tells the outcome, and nobody else's label is touched."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.github import REPOSITORY, FakeGitHub, Fault, serve_github
from support.reports import REPORTS

from ci.forge.github import GitHub
from ci.forge.http import Client
from ci.forge.labels import label_of, post_label
from ci.forge.model import PermissionMissing

PR = 42


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with serve_github() as found:
        yield found


def post(github: FakeGitHub, name: str, *, alone: bool = True, pipeline: str = "abalone") -> None:
    forge = GitHub(Client(github.address, "t0ken", sleep=lambda _: None), REPOSITORY)
    post_label(forge, PR, replace(REPORTS[name], pipeline=pipeline), alone=alone)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("success", "sagemaker: passed"),
        ("gate-failed", "sagemaker: gate failed"),
        ("step-failed", "sagemaker: failed"),
        ("approval-pending", "sagemaker: awaiting approval"),
        ("stopped", "sagemaker: stopped"),
        ("running", None),
        ("planned", None),
        ("superseded", None),
    ],
)
def test_outcomes(github: FakeGitHub, name: str, label: str | None) -> None:
    post(github, name)
    assert github.labelled.get(PR, []) == ([label] if label else [])


def test_one_label_at_a_time_and_only_ones_own_go(github: FakeGitHub) -> None:
    theirs = ["bug", "sagemaker: help wanted", "sagemaker other: passed"]
    for name in theirs:
        github.labels[name] = {"color": "ededed", "description": ""}
    github.labelled[PR] = [*theirs, "SageMaker: Gate Failed"]
    github.labels["SageMaker: Gate Failed"] = {"color": "ededed", "description": ""}
    post(github, "running")
    assert github.labelled[PR] == theirs
    for name in ("gate-failed", "gate-failed", "success"):
        post(github, name)
    assert github.labelled[PR] == [*theirs, "sagemaker: passed"]
    assert github.labels["sagemaker: passed"]["color"] == "2da44e"
    writes = len(github.writes())
    post(github, "success")
    assert len(github.writes()) == writes


def test_several_pipelines_have_labels_of_their_own(github: FakeGitHub) -> None:
    post(github, "success", alone=False)
    post(github, "gate-failed", alone=False, pipeline="x" * 63)
    post(github, "success", alone=False, pipeline="other")
    first, second, third = github.labelled[PR]
    assert (first, third) == ("sagemaker abalone: passed", "sagemaker other: passed")
    assert second.endswith(": gate failed")
    assert len(second) == 50


def test_every_outcome_fits_and_is_told_apart() -> None:
    for report in REPORTS.values():
        for alone in (True, False):
            label = label_of(replace(report, pipeline="y" * 63), alone=alone)
            assert label is None or (len(label.name) <= 50 and len(label.description) <= 100)


def test_a_label_that_another_run_makes_meanwhile(github: FakeGitHub) -> None:
    github.labels["sagemaker: passed"] = {"color": "111111", "description": "mine"}
    github.faults = [Fault("GET", "/labels/sagemaker", 404)]
    post(github, "success")
    assert github.labelled[PR] == ["sagemaker: passed"]
    assert github.labels["sagemaker: passed"]["color"] == "111111"


def test_a_label_that_is_gone_already(github: FakeGitHub) -> None:
    post(github, "gate-failed")
    github.faults = [Fault("DELETE", "labels", 404)]
    post(github, "success")
    assert "sagemaker: passed" in github.labelled[PR]


def test_a_missing_right_is_named(github: FakeGitHub) -> None:
    github.denied.add("issues")
    with pytest.raises(PermissionMissing) as refused:
        post(github, "success")
    assert refused.value.needs == {"issues": "write", "pull-requests": "write"}
