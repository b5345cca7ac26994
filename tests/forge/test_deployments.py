"""One deployment for each pipeline, environment and commit, at the state of its run."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.github import REPOSITORY, FakeGitHub, Fault, secondary_limit, serve_github
from support.reports import COMMIT, REPORTS, TRIGGER

from ci.forge.deploying import deployment_of, post_deployment
from ci.forge.github import GitHub
from ci.forge.http import Client
from ci.forge.marks import Deployment
from ci.forge.model import PermissionMissing
from ci.metrics.facts import EndpointFact
from ci.report.model import Report

OLD, NEW = "a" * 40, "b" * 40


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with serve_github() as found:
        yield found


def forge_of(github: FakeGitHub) -> GitHub:
    return GitHub(Client(github.address, "t0ken", sleep=lambda _: None), REPOSITORY)


def at(name: str, commit: str = COMMIT, pipeline: str = "abalone") -> Report:
    trigger = replace(TRIGGER, commit=commit, pull_request=None)
    return replace(REPORTS[name], trigger=trigger, environment="main", pipeline=pipeline)


def deployed(name: str, commit: str = COMMIT, pipeline: str = "abalone") -> Deployment:
    found = deployment_of(at(name, commit, pipeline))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("success", "success"),
        ("first-model", "success"),
        ("gate-failed", "failure"),
        ("step-failed", "failure"),
        ("no-metrics", "error"),
        ("running", "in_progress"),
        ("stopped", "error"),
        ("superseded", "inactive"),
        ("approval-pending", "pending"),
        ("hostile", "failure"),
    ],
)
def test_states(github: FakeGitHub, name: str, state: str) -> None:
    post_deployment(forge_of(github), deployed(name))
    assert github.deployed("main") == {COMMIT: [state]}
    [found] = github.deployments.values()
    assert len(found["statuses"][0]["description"]) <= 140
    assert found["statuses"][0]["log_url"] == TRIGGER.run_url
    assert found["production_environment"] is True
    assert "/execution/" in found["payload"]["execution"]


def test_a_plan_deploys_nothing() -> None:
    assert deployment_of(at("planned")) is None


def test_from_running_to_the_end_it_is_one(github: FakeGitHub) -> None:
    for name in (
        "running",
        "running",
        "approval-pending",
        "approval-pending",
        "success",
        "success",
    ):
        post_deployment(forge_of(github), deployed(name))
    assert github.deployed("main") == {COMMIT: ["in_progress", "pending", "success"]}


def test_a_success_retires_what_was_deployed_before(github: FakeGitHub) -> None:
    for name in ("running", "success"):
        post_deployment(forge_of(github), deployed(name, OLD))
        post_deployment(forge_of(github), deployed(name, OLD, "other"))
    for name in ("running", "gate-failed", "running", "success", "success"):
        post_deployment(forge_of(github), deployed(name, NEW))
    states = {
        (each["sha"], each["task"].split("/")[1]): [status["state"] for status in each["statuses"]]
        for each in github.deployments.values()
    }
    assert states == {
        (OLD, "abalone"): ["in_progress", "success", "inactive"],
        (OLD, "other"): ["in_progress", "success"],
        (NEW, "abalone"): ["in_progress", "failure", "in_progress", "success"],
    }


def test_an_older_commit_retires_nothing_newer(github: FakeGitHub) -> None:
    post_deployment(forge_of(github), deployed("running", OLD))
    post_deployment(forge_of(github), deployed("success", NEW))
    post_deployment(forge_of(github), deployed("success", OLD))
    assert github.deployed("main")[NEW] == ["success"]


def test_the_endpoint_is_its_address(github: FakeGitHub) -> None:
    report = replace(at("success"), endpoint=EndpointFact(name="abalone", status="InService"))
    assert report.execution is not None
    arn = "arn:aws:sagemaker:eu-west-1:123456789012:pipeline/abalone/execution/abc"
    report = replace(report, execution=replace(report.execution, arn=arn))
    found = deployment_of(report)
    assert found is not None
    assert found.status.environment_url == (
        "https://eu-west-1.console.aws.amazon.com/sagemaker/home?region=eu-west-1#/endpoints/abalone"
    )
    post_deployment(forge_of(github), found)
    post_deployment(forge_of(github), found)
    assert github.deployed("main") == {COMMIT: ["success"]}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("status", [502, 0])
def test_a_create_without_an_answer_is_looked_after(
    github: FakeGitHub, status: int, *, after: bool
) -> None:
    github.faults = [Fault("POST", "deployments$", status, after_effect=after)]
    post_deployment(forge_of(github), deployed("running"))
    assert github.deployed("main") == {COMMIT: ["in_progress"]}


def test_two_runs_at_once_end_with_one_in_use(github: FakeGitHub) -> None:
    barrier = threading.Barrier(4)

    def run() -> None:
        barrier.wait()
        for name in ("running", "success"):
            post_deployment(forge_of(github), deployed(name))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = [each["statuses"][-1]["state"] for each in github.deployments.values()]
    assert last[0] == "success"
    assert set(last[1:]) <= {"inactive"}


def test_limits_are_waited_for_and_rights_are_named(github: FakeGitHub) -> None:
    github.faults = [secondary_limit("POST", "statuses$", seconds=3)]
    post_deployment(forge_of(github), deployed("running"))
    assert github.deployed("main") == {COMMIT: ["in_progress"]}
    github.denied.add("deployments")
    with pytest.raises(PermissionMissing) as refused:
        post_deployment(forge_of(github), deployed("success"))
    assert refused.value.needs == {"deployments": "write"}
