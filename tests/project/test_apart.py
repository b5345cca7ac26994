"""Runs of pull requests keep out of the groups and endpoints that are production's."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ci.compile.bundle import Bundle
from ci.definition.parse import parse_definition
from ci.errors import ProjectError
from ci.execution.identity import Identity
from ci.project.load import load_project
from ci.project.target import resolve_target
from ci.session.apart import refuse_production
from ci.session.job import Job
from ci.trigger.model import Door, Event, Trigger

PROJECT = """
version: 1
region: us-east-1
role: arn:aws:iam::123456789012:role/execution
pipelines:
  rings: {definition: rings.json, model_package_group: rings, endpoint: rings-live}
  other: {definition: other.json, model_package_group: other}
environments:
  pull_request: {touches_production: SHARED}
"""
TRIGGER = Trigger(
    door=Door.LAPTOP, event=Event.MANUAL, commit="a" * 40, branch="topic", pull_request=7
)


def register(group: object) -> dict[str, Any]:
    arguments = {"ModelPackageGroupName": group}
    return {"Name": "Register", "Type": "RegisterModel", "Arguments": arguments}


def call(endpoint: object) -> dict[str, Any]:
    arguments = {"endpoint_name": endpoint}
    return {"Name": "Deploy", "Type": "Lambda", "FunctionArn": "arn", "Arguments": arguments}


def run(
    folder: Path, *steps: dict[str, Any], environment: str = "pull_request", shared: bool = False
) -> None:
    file = folder / "sagemaker-gitops.yaml"
    for name in ("rings.json", "other.json"):
        (folder / name).touch()
    file.write_text(PROJECT.replace("SHARED", str(shared).lower()))
    project = load_project(file)
    document = {
        "Version": "2020-12-01",
        "Parameters": [{"Name": "Group", "Type": "String", "DefaultValue": "rings"}],
        "Steps": [
            {
                "Name": "Check",
                "Type": "Condition",
                "Arguments": {"Conditions": [], "IfSteps": list(steps), "ElseSteps": []},
            }
        ],
    }
    data = json.dumps(document).encode()
    target = resolve_target(project, pipeline="rings", environment=environment, trigger=TRIGGER)
    bundle = Bundle(definition=data, digest="d", bucket=target.bucket, prefix=target.prefix)
    identity = Identity(
        pipeline_name=target.pipeline_name,
        environment=environment,
        commit=TRIGGER.commit,
        digest="d",
        parameters={},
    )
    job = Job(
        target=target,
        trigger=TRIGGER,
        bundle=bundle,
        definition=parse_definition(data, where="test"),
        identity=identity,
    )
    refuse_production(project, job)
    refuse_production(project, replace(job, identity=replace(identity, again=1)))


@pytest.mark.parametrize(
    ("step", "named"),
    [
        (register("rings"), "model package group 'rings'"),
        (register("other"), "model package group 'other'"),
        (register({"Get": "Parameters.Group"}), "model package group 'rings'"),
        (call("rings-live"), "endpoint 'rings-live'"),
    ],
)
def test_what_is_productions_is_refused(tmp_path: Path, step: dict[str, Any], named: str) -> None:
    with pytest.raises(ProjectError, match=named) as refused:
        run(tmp_path, step)
    assert step["Name"] in str(refused.value.where)
    assert "-pr-{pull_request}" in str(refused.value.fix)
    run(tmp_path, step, shared=True)
    run(tmp_path, step, environment="main")


def test_names_of_its_own_are_taken(tmp_path: Path) -> None:
    run(tmp_path, register("rings-pr-7"), call("rings-live-pr-7"), call({"Get": "Steps.A.B"}))
