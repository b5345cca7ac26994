"""What a plan says of instances and images."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from support.definitions import parsed, processing, small_pipeline

from ci.plan.compute import describe_image, describe_instances
from ci.plan.diff import plan_changes
from ci.plan.markdown import render_markdown
from ci.plan.model import PipelineState

ACCEPTED = Path(__file__).parents[1] / "definition" / "accepted"


def place(arguments: dict[str, Any], **parameters: str) -> tuple[str | None, str | None]:
    declared = [
        {"Name": name, "Type": "String", "DefaultValue": value}
        for name, value in parameters.items()
    ]
    step = {"Name": "One", "Type": "Training", "Arguments": arguments}
    definition = parsed({"Version": "2020-12-01", "Parameters": declared, "Steps": [step]})
    (found,) = definition.steps
    return describe_instances(found, definition), describe_image(found, definition)


def test_parameters_are_told_by_their_default_and_name() -> None:
    resources = {"InstanceType": {"Get": "Parameters.Kind"}, "InstanceCount": 3}
    image = {"TrainingImage": {"Get": "Parameters.Image"}}
    arguments = {"ResourceConfig": resources, "AlgorithmSpecification": image}
    assert place(arguments, Kind="ml.m5.large", Image="1.dkr.ecr.x.amazonaws.com/a/b:2") == (
        "3 x ml.m5.large (Kind)",
        "b:2 (Image)",
    )
    assert place(arguments) == ("3 x Parameters.Kind", "Parameters.Image")


def test_what_is_computed_is_not_guessed_and_user_text_is_not_read() -> None:
    joined = {"Std:Join": {"On": ".", "Values": ["ml", "m5", {"Get": "Parameters.Size"}]}}
    assert place({"ResourceConfig": {"InstanceType": joined}}) == ("(made of pieces)", None)
    nested: dict[str, Any] = {"ResourceConfig": {"InstanceType": "x"}, "ImageUri": "y"}
    assert place({"Environment": nested, "HyperParameters": nested}) == (None, None)
    assert place({"ResourceConfig": [], "AlgorithmSpecification": None}) == (None, None)


@pytest.mark.parametrize("name", ["abalone_v3", "jobs_v3"])
def test_every_job_of_the_sdk_tells_where_it_runs(name: str) -> None:
    definition = parsed(json.loads((ACCEPTED / f"{name}.json").read_bytes()))
    jobs = [step for step in definition.walk() if step.type in ("Processing", "Training")]
    assert jobs
    for step in jobs:
        assert describe_instances(step, definition), step.name
        assert describe_image(step, definition), step.name


def test_a_hostile_instance_type_stays_in_its_cell() -> None:
    document = small_pipeline()
    cluster = document["Steps"][0]["Arguments"]["ProcessingResources"]["ClusterConfig"]
    cluster["InstanceType"] = "a|b` <img> @octocat\n| c"
    text = render_markdown(plan_changes(state(document), state(small_pipeline()), pipeline="p"))
    (row,) = [line for line in text.splitlines() if line.startswith("| `Prepare`")]
    assert "``a\\|b` <img> @octocat\\n\\| c``" in row


def state(document: dict[str, Any]) -> PipelineState:
    return PipelineState(definition=parsed(document))


def test_a_plan_of_many_steps_takes_time_in_proportion() -> None:
    seconds = {count: elapsed(count) for count in (200, 1000)}
    assert seconds[1000] < 15 * seconds[200] + 0.05


def elapsed(count: int) -> float:
    document = small_pipeline()
    document["Steps"] = [processing(f"Step{index}") for index in range(count)]
    new, old = state(document), state(json.loads(json.dumps(document)))
    samples = []
    for _ in range(3):
        began = time.process_time()
        plan_changes(new, old, pipeline="p")
        samples.append(time.process_time() - began)
    return min(samples)
