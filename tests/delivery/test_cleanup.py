"""`cleanup`: what a pull request made goes, and nothing else does."""

import io
import json
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.endpoint import client
from support.scratch import IMAGE, Scratch, quality_definition

from ci.errors import DeadlineReached
from ci.project.load import load_project
from ci.session.session import open_session
from ci.trigger.laptop import parse_checkout, read_checkout
from ci.trigger.model import Event
from ci.upkeep.cleanup import Waiting, clean_up

pytestmark = pytest.mark.endpoint

ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"
GROUP = "quality-pr-31"


@pytest.fixture(scope="module", autouse=True)
def _production(scratch: Scratch) -> None:
    scratch.define(quality_definition(1.7))
    scratch.commit("production")
    assert scratch.deploy().code == 0


def aws(scratch: Scratch, service: str) -> Any:
    return client(scratch.run("local", "status", "--json").document["address"], service)


def names(scratch: Scratch) -> set[str]:
    pages = aws(scratch, "sagemaker").get_paginator("list_pipelines").paginate()
    return {each["PipelineName"] for page in pages for each in page["PipelineSummaries"]}


def groups(scratch: Scratch) -> set[str]:
    listed = aws(scratch, "sagemaker").list_model_package_groups(MaxResults=100)
    return {each["ModelPackageGroupName"] for each in listed["ModelPackageGroupSummaryList"]}


def clean(scratch: Scratch, number: int, *more: str) -> Any:
    done = scratch.run(
        "cleanup", "--local", "--json", "--poll", "0.1", "--pull-request", str(number), *more
    )
    assert done.code == 0, done.err
    return done.document


def deploy(scratch: Scratch, number: int, rmse: float, *more: str) -> Any:
    scratch.define(quality_definition(rmse))
    scratch.commit(f"pull request {number}", branch=f"topic-{number}")
    done = scratch.deploy("--pull-request", str(number), *more)
    scratch.git("checkout", "-q", "main")
    assert done.code == 0, done.err
    return done.report


def test_what_a_pull_request_made_goes_and_its_neighbours_stay(scratch: Scratch) -> None:
    deploy(scratch, 31, 1.6)
    deploy(scratch, 3, 1.55)
    done = clean(scratch, 31)
    assert set(done["deleted"]) == {
        "pipeline quality-pr-31",
        f"model package {GROUP}/1",
        f"model package group {GROUP}",
    }
    assert done["left"] == {}
    assert names(scratch) == {"quality", "quality-pr-3"}
    assert groups(scratch) == {"quality", "quality-pr-3"}
    again = clean(scratch, 31)
    assert again == {"stopped": [], "deleted": [], "left": {}}


def test_a_running_execution_is_stopped_first(scratch: Scratch) -> None:
    scratch.define(quality_definition(1.5, script="import time; time.sleep(60)"))
    scratch.commit("slow", branch="slow")
    started = scratch.deploy("--pull-request", "32", "--detach").report
    scratch.git("checkout", "-q", "main")
    done = clean(scratch, 32)
    assert done["stopped"] == [started["execution"]["arn"]]
    assert "quality-pr-32" not in names(scratch)


def test_a_deadline_deletes_nothing_that_still_stops_and_all_has_been_told_to_stop(
    scratch: Scratch, tmp_path: Path
) -> None:
    deaf = tmp_path / "deaf"
    deaf.mkdir()
    script = (
        f"import os, signal, tempfile, time; os.chdir({str(deaf)!r})\n"
        "signal.signal(15, signal.SIG_IGN); tempfile.mkstemp(dir='.')\n"
        "while not os.path.exists('heard'): time.sleep(0.05)"
    )
    scratch.define(quality_definition(1.5, script=script))
    scratch.commit("stubborn", branch="stubborn")
    started = [
        scratch.deploy("--pull-request", "33", "--detach", *more).report["execution"]["arn"]
        for more in ((), ("--again",))
    ]
    scratch.git("checkout", "-q", "main")
    sagemaker = aws(scratch, "sagemaker")
    held = sagemaker.describe_pipeline(PipelineName="quality-pr-33")
    sagemaker.create_pipeline(
        PipelineName="rested-pr-33",
        PipelineDefinition=held["PipelineDefinition"],
        RoleArn=held["RoleArn"],
        ClientRequestToken="r" * 32,
        Tags=sagemaker.list_tags(ResourceArn=held["PipelineArn"])["Tags"],
    )
    # A step that is told to end before it ignores that, ends.
    wait_for_files(deaf, 2)
    project = load_project(scratch.root / "sagemaker-gitops.yaml")
    checkout = parse_checkout(read_checkout(scratch.root))
    trigger = replace(checkout, event=Event.PULL_REQUEST, pull_request=33)
    session = open_session(
        project, trigger, environ=scratch.environment(), environment=None, local=True
    )
    waiting = Waiting(sleep=time.sleep, left=lambda: 0.0)
    with pytest.raises(DeadlineReached, match="still stopping"):
        clean_up(session, session.adapter("us-east-1"), waiting, tell=lambda _line: None)
    assert "quality-pr-33" in names(scratch)
    assert "rested-pr-33" not in names(scratch)
    for arn in started:
        held = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        assert held["PipelineExecutionStatus"] == "Stopping"
    (deaf / "heard").touch()
    clean(scratch, 33)
    assert "quality-pr-33" not in names(scratch)


def wait_for_files(folder: Path, count: int) -> None:
    until = time.monotonic() + 30
    while len(list(folder.iterdir())) < count:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_pipeline_without_the_tags_is_left(scratch: Scratch) -> None:
    sagemaker = aws(scratch, "sagemaker")
    arn = sagemaker.create_pipeline(
        PipelineName="quality-pr-34",
        RoleArn=ROLE,
        PipelineDefinition=json.dumps(quality_definition(1)),
        ClientRequestToken="x" * 32,
    )["PipelineArn"]
    done = clean(scratch, 34)
    assert done["left"] == {"pipeline quality-pr-34": "its tags do not name this pull request"}
    assert "quality-pr-34" in names(scratch)
    sagemaker.add_tags(
        ResourceArn=arn,
        Tags=[
            {"Key": "sagemaker-gitops:project", "Value": scratch.root.name},
            {"Key": "sagemaker-gitops:environment", "Value": "pull_request"},
            {"Key": "sagemaker-gitops:pull-request", "Value": "340"},
        ],
    )
    assert "quality-pr-34" in str(clean(scratch, 34)["left"])
    assert clean(scratch, 340)["deleted"] == []
    assert "quality-pr-34" in names(scratch)


def test_a_pipeline_that_an_earlier_commit_called_otherwise_goes(scratch: Scratch) -> None:
    file = scratch.root / "sagemaker-gitops.yaml"
    kept = file.read_text()
    scratch.define(quality_definition(1.4))
    file.write_text(kept.replace("  quality:", "  grade:", 1))
    scratch.commit("renamed", branch="renamed")
    assert scratch.deploy("--pull-request", "35").code == 0
    scratch.git("checkout", "-q", "main")
    assert "grade-pr-35" in names(scratch)
    assert "pipeline grade-pr-35" in clean(scratch, 35)["deleted"]
    assert "grade-pr-35" not in names(scratch)


def test_packages_in_productions_group_stay(scratch: Scratch) -> None:
    file = scratch.root / "sagemaker-gitops.yaml"
    kept = file.read_text()
    file.write_text(kept.replace("pull_request: {", "pull_request: {touches_production: true, "))
    try:
        report = deploy(scratch, 36, 1.3, "--parameter", "Group=quality")
    finally:
        file.write_text(kept)
    arn = report["model_package"]["arn"]
    done = clean(scratch, 36)
    label = f"model package {arn.rsplit(':model-package/')[-1]}"
    assert done["left"] == {label: "it is in the group of the project's production"}
    held = aws(scratch, "sagemaker").describe_model_package(ModelPackageName=arn)
    assert held["ModelApprovalStatus"] == "PendingManualApproval"


def test_a_group_that_holds_packages_of_others_stays(scratch: Scratch) -> None:
    deploy(scratch, 37, 1.25)
    sagemaker = aws(scratch, "sagemaker")
    foreign = sagemaker.create_model_package(
        ModelPackageGroupName="quality-pr-37", ModelApprovalStatus="Approved"
    )["ModelPackageArn"]
    done = clean(scratch, 37)
    assert done["left"] == {"model package group quality-pr-37": "it holds packages of others"}
    assert sagemaker.describe_model_package(ModelPackageName=foreign)
    assert "model package quality-pr-37/1" in done["deleted"]


def test_a_shared_environment_is_never_cleaned(scratch: Scratch) -> None:
    done = scratch.run("cleanup", "--local", "--pull-request", "1", "--environment", "main")
    assert done.code == 2
    assert "shared" in done.err
    assert scratch.run("cleanup", "--local").code == 2


def tags(number: int, *, environment: str = "pull_request") -> dict[str, str]:
    return {
        "sagemaker-gitops:project": "repository",
        "sagemaker-gitops:environment": environment,
        "sagemaker-gitops:pull-request": str(number),
    }


def make_endpoint(scratch: Scratch, name: str, given: dict[str, str]) -> None:
    sagemaker = aws(scratch, "sagemaker")
    listed = [{"Key": key, "Value": value} for key, value in given.items()]
    sagemaker.create_model(
        ModelName=f"{name}-1",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": "s3://models/model.tar.gz"},
        Tags=listed,
    )
    variant = {
        "VariantName": "A",
        "ModelName": f"{name}-1",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    sagemaker.create_endpoint_config(
        EndpointConfigName=f"{name}-1", ProductionVariants=[variant], Tags=listed
    )


def test_hosting_goes_where_it_carries_the_tags_alone(scratch: Scratch) -> None:
    make_endpoint(scratch, "quality-pr-38", tags(38))
    make_endpoint(scratch, "quality-pr-381", tags(381))
    make_endpoint(scratch, "not-quality-pr-38", {})
    done = clean(scratch, 38)
    assert done["deleted"] == ["endpoint config quality-pr-38-1", "model quality-pr-38-1"]
    listed = aws(scratch, "sagemaker").list_models()["Models"]
    left = {each["ModelName"] for each in listed}
    assert left == {"quality-pr-381-1", "not-quality-pr-38-1"}


def archive(source: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("index.py", source)
    return buffer.getvalue()


def make_function(scratch: Scratch, name: str, given: dict[str, str]) -> str:
    arn = aws(scratch, "lambda").create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=ROLE,
        Handler="index.handler",
        Code={"ZipFile": archive("def handler(e, c): return {}")},
        Tags=given,
    )["FunctionArn"]
    return str(arn)


def calling(arn: str) -> dict[str, Any]:
    definition = quality_definition(1.2)
    step = {"Name": "Call", "Type": "Lambda", "FunctionArn": arn, "Arguments": {}}
    return {**definition, "Steps": [*definition["Steps"], step]}


@pytest.mark.parametrize(
    ("number", "given", "goes"),
    [(41, tags(41), True), (42, tags(43), False), (44, {}, False)],
)
def test_a_function_goes_where_it_carries_the_tags(
    scratch: Scratch, number: int, given: dict[str, str], goes: bool
) -> None:
    arn = make_function(scratch, f"caller-{number}", given)
    scratch.define(calling(arn))
    scratch.commit("calls", branch=f"calls-{number}")
    assert scratch.deploy("--pull-request", str(number)).code == 0
    scratch.git("checkout", "-q", "main")
    done = clean(scratch, number)
    assert (f"function caller-{number}" in done["deleted"]) is goes
    held = aws(scratch, "lambda").list_functions()["Functions"]
    assert (f"caller-{number}" in {each["FunctionName"] for each in held}) is not goes
