"""Two pushes, and jobs that reach SageMaker in the other order."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.acting import push_event
from support.endpoint import client
from support.github import REPOSITORY
from support.github_job import aws_environ
from support.scratch import PROJECT, Result, Scratch, new_scratch, quality_definition

from ci.delivery.order import Standing, standing
from ci.trigger.history import descends
from ci.trigger.model import Door, Event, Trigger

ROLE = "role: arn:aws:iam::000000000000:role/sagemaker-gitops-local\n"
OLD, NEW = "a" * 40, "b" * 40


def trigger(event: Event = Event.PUSH, door: Door = Door.GITHUB_ACTIONS) -> Trigger:
    return Trigger(door=door, event=event, commit=OLD)


def test_where_a_commit_stands() -> None:
    push = trigger()
    assert standing(push, NEW, is_later=True) is Standing.OVERTAKEN
    assert standing(push, NEW, is_later=False) is Standing.CURRENT
    assert standing(push, NEW, is_later=None) is Standing.UNKNOWN
    assert standing(push, OLD, is_later=True) is Standing.CURRENT
    assert standing(push, None, is_later=None) is Standing.CURRENT
    for wish in (trigger(Event.MANUAL), trigger(Event.SCHEDULE), trigger(door=Door.LAPTOP)):
        assert standing(wish, NEW, is_later=True) is Standing.CURRENT


def push(scratch: Scratch, address: str, commit: str, *arguments: str, root: Path) -> Result:
    """The main job of a pushed commit, in the checkout `root`."""
    file = scratch.root.parent / "event.json"
    file.write_text(json.dumps(push_event("main", before="0" * 40, after=commit)))
    job = Scratch(root=root, environ=aws_environ(address))
    job.environ |= {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_EVENT_PATH": str(file),
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_SHA": commit,
        "GITHUB_REF": "refs/heads/main",
    }
    job.git("checkout", "-q", commit)
    return job.run("deploy", "--json", "--poll", "0.1", *arguments)


def bound(aws: Any) -> float:
    deployed = json.loads(aws.describe_pipeline(PipelineName="quality")["PipelineDefinition"])
    return float(deployed["Steps"][1]["Arguments"]["Conditions"][0]["RightValue"])


@pytest.mark.endpoint
def test_a_late_job_of_an_older_commit_leaves_the_newer_one(
    scratch: Scratch, tmp_path: Path
) -> None:
    (scratch.root / "sagemaker-gitops.yaml").write_text(ROLE + PROJECT)
    commits = []
    for threshold in (3.0, 4.0):
        scratch.define(quality_definition(2.0, threshold=threshold))
        commits.append(scratch.commit(f"threshold {threshold}"))
    older, newer = commits
    scratch.git("clone", "-q", "--depth", "1", f"file://{scratch.root}", str(tmp_path / "shallow"))
    address = scratch.run("local", "up", "--json").document["address"]
    aws: Any = client(address, "sagemaker")

    assert push(scratch, address, newer, root=scratch.root).code == 0
    late = push(scratch, address, older, root=scratch.root)
    assert late.code == 0, late.err
    assert late.document["reports"] == []
    assert f"{older[:12]} was overtaken" in late.err
    assert bound(aws) == 4.0
    listed = aws.list_pipeline_executions(PipelineName="quality")["PipelineExecutionSummaries"]
    assert len(listed) == 1

    meant = push(scratch, address, older, "--again", "--detach", root=scratch.root)
    assert meant.code == 0, meant.err
    assert bound(aws) == 3.0

    told = push(scratch, address, newer, "--detach", root=tmp_path / "shallow")
    assert told.code == 0, told.err
    assert "this checkout does not tell" in told.err


def test_what_a_shallow_history_knows_of_descent(tmp_path: Path) -> None:
    scratch = new_scratch(tmp_path / "whole")
    commits = [scratch.commit(f"commit {number}") for number in range(4)]
    side = scratch.commit("aside", branch="side")
    scratch.git("checkout", "-q", "main")
    scratch.git("clone", "-q", "--depth", "2", f"file://{scratch.root}", str(tmp_path / "shallow"))
    assert descends(scratch.root, commits[3], commits[0]) is True
    assert descends(scratch.root, commits[0], commits[3]) is False
    assert descends(scratch.root, commits[3], side) is False
    assert descends(scratch.root, commits[3], "f" * 40) is None
    assert descends(tmp_path / "shallow", commits[3], commits[2]) is True
    assert descends(tmp_path / "shallow", commits[3], commits[0]) is None
    assert descends(tmp_path / "shallow", commits[2], commits[3]) is None
