"""`drift`: what is deployed and not in git, found, told and put right."""

import json
from typing import Any

import pytest
from support.endpoint import client
from support.scratch import PROJECT, Result, Scratch, quality_definition

pytestmark = pytest.mark.endpoint


@pytest.fixture(scope="module")
def deployed(scratch: Scratch) -> Scratch:
    scratch.define(quality_definition(2.0))
    scratch.commit("deployed")
    done = scratch.deploy("--detach")
    assert done.code == 0, done.err
    return scratch


def drift(scratch: Scratch, *arguments: str) -> Result:
    return scratch.run("drift", "--local", "--json", *arguments)


def differences(result: Result) -> list[str]:
    found: list[str] = result.document["pipelines"][0]["differences"]
    return found


def sagemaker(scratch: Scratch) -> Any:
    address = scratch.run("local", "status", "--json").document["address"]
    return client(address, "sagemaker")


def test_what_git_deployed_has_not_drifted(deployed: Scratch) -> None:
    done = drift(deployed)
    assert done.code == 0, done.out
    assert done.document["drift"] is False
    assert done.document["strays"] == []


def test_an_edited_pipeline_is_found_told_and_put_right(deployed: Scratch) -> None:
    aws = sagemaker(deployed)
    executions = len(listed(aws))
    edited = quality_definition(2.0, threshold=9.0)
    arn = aws.update_pipeline(
        PipelineName="quality",
        PipelineDefinition=json.dumps(edited),
        RoleArn="arn:aws:iam::000000000000:role/someone",
    )["PipelineArn"]
    aws.add_tags(
        ResourceArn=arn,
        Tags=[
            {"Key": "sagemaker-gitops:environment", "Value": "mine"},
            {"Key": "sagemaker-gitops:commit", "Value": "f" * 40},
            {"Key": "cost-center", "Value": "7"},
        ],
    )
    done = drift(deployed)
    assert done.code == 1
    lines = differences(done)
    assert any(line.startswith("role changed") for line in lines)
    assert any("sagemaker-gitops:environment" in line for line in lines)
    assert any(line.startswith("step Check changed: Conditions") for line in lines)
    assert len(lines) == 3
    assert done.document["pipelines"][0]["deployed_commit"] == "f" * 40
    shown = deployed.run("drift", "--local")
    assert "9.0" in shown.out
    assert "To apply git" in shown.out

    fixed = drift(deployed, "--fix")
    assert fixed.code == 0, fixed.out
    assert fixed.document["drift"] is True
    assert fixed.document["fixed"][0]["drift"] is False
    held = aws.describe_pipeline(PipelineName="quality")
    assert "9.0" not in held["PipelineDefinition"]
    tags = {tag["Key"]: tag["Value"] for tag in aws.list_tags(ResourceArn=arn)["Tags"]}
    assert tags["cost-center"] == "7"
    assert tags["sagemaker-gitops:commit"] == deployed.git("rev-parse", "HEAD")
    assert len(listed(aws)) == executions
    assert drift(deployed).code == 0


def listed(aws: Any) -> list[Any]:
    found: list[Any] = aws.list_pipeline_executions(PipelineName="quality")[
        "PipelineExecutionSummaries"
    ]
    return found


def test_a_setting_that_git_does_not_name_stays_and_is_told(deployed: Scratch) -> None:
    aws = sagemaker(deployed)
    aws.update_pipeline(
        PipelineName="quality", ParallelismConfiguration={"MaxParallelExecutionSteps": 5}
    )
    done = drift(deployed, "--fix")
    assert done.code == 1
    assert differences(done) == ["parallelism removed: was 5"]
    for pipelines in ("pipelines", "fixed"):
        (advice,) = done.document[pipelines][0]["advice"]
        assert "environments: {main: {parallelism: 5}}" in advice
    assert "--fix leaves it" in deployed.run("drift", "--local").out
    file = deployed.root / "sagemaker-gitops.yaml"
    file.write_text(PROJECT.replace("main: {", "main: {parallelism: 5, "))
    deployed.commit("git names it now")
    assert drift(deployed).code == 0


def test_strays_are_found_and_left(deployed: Scratch) -> None:
    aws = sagemaker(deployed)
    tags = {
        tag["Key"]: tag["Value"]
        for tag in aws.list_tags(ResourceArn=arn_of(aws, "quality"))["Tags"]
    }
    strays = {
        "renamed": {},
        "gone": {"sagemaker-gitops:pipeline": "gone"},
        "lab": {"sagemaker-gitops:environment": "lab"},
        "quality-pr-5": {"sagemaker-gitops:environment": "pull_request"},
        "foreign": {"sagemaker-gitops:project": "someone/else"},
    }
    for name, changed in strays.items():
        make(aws, name, tags | changed)
    make(aws, "untagged", {})
    done = drift(deployed, "--fix")
    assert done.code == 1
    found = {stray["name"]: stray["reason"] for stray in done.document["strays"]}
    assert found == {
        "renamed": "quality is deployed as quality in the environment 'main'",
        "gone": "the project file has no pipeline 'gone'",
        "lab": "the project file has no environment 'lab'",
    }
    names = {each["PipelineName"] for each in aws.list_pipelines()["PipelineSummaries"]}
    assert {*strays, "untagged"} <= names
    for name in strays:
        aws.delete_pipeline(PipelineName=name, ClientRequestToken="0" * 32)


def arn_of(aws: Any, name: str) -> str:
    found: str = aws.describe_pipeline(PipelineName=name)["PipelineArn"]
    return found


def make(aws: Any, name: str, tags: dict[str, str]) -> None:
    aws.create_pipeline(
        PipelineName=name,
        PipelineDefinition=json.dumps(quality_definition(1.0)),
        RoleArn="arn:aws:iam::000000000000:role/any",
        ClientRequestToken=name.ljust(32, "0"),
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )


def test_a_deleted_pipeline_has_drifted_and_comes_back(deployed: Scratch) -> None:
    aws = sagemaker(deployed)
    deployed.run("stop", "--local", "--poll", "0.1")
    aws.delete_pipeline(PipelineName="quality", ClientRequestToken="1" * 32)
    done = drift(deployed)
    assert done.code == 1
    assert differences(done) == ["the pipeline is not deployed"]
    assert drift(deployed, "--fix").code == 0
    assert listed(aws) == []
    assert drift(deployed).code == 0


def test_git_is_not_applied_from_a_dirty_tree(deployed: Scratch) -> None:
    deployed.commit("all that lies about")
    deployed.define(quality_definition(1.0))
    done = drift(deployed, "--fix")
    assert done.code == 2
    assert "not in the commit" in done.document["error"]["what"]
    assert drift(deployed).code == 1
    deployed.git("checkout", "-q", ".")
