"""A source that compiles to something else each time, and a job that is run again."""

import json
from pathlib import Path

import pytest
from support.acting import push_event
from support.endpoint import client
from support.github import REPOSITORY
from support.github_job import aws_environ, pull_request_environ
from support.scratch import PROJECT, Result, Scratch, quality_definition

pytestmark = pytest.mark.endpoint

ROLE = "role: arn:aws:iam::000000000000:role/sagemaker-gitops-local\n"
SOURCE = '''
"""Writes the time into its definition, as many do for the names of jobs."""
import json
import time
from pathlib import Path

class Pipeline:
    def definition(self):
        document = json.loads((Path(__file__).parent / "definition.json").read_text())
        document["Steps"][0]["Arguments"]["Environment"]["MADE"] = str(time.time_ns())
        return json.dumps(document)

def get_pipeline():
    return Pipeline()
'''


@pytest.fixture
def address(scratch: Scratch) -> str:
    project = PROJECT.replace("definition: definition.json", "source: pipeline.py:get_pipeline")
    scratch.write("sagemaker-gitops.yaml", ROLE + project)
    scratch.write("pipeline.py", SOURCE)
    up: str = scratch.run("local", "up", "--json").document["address"]
    return up


def push(scratch: Scratch, address: str, commit: str) -> Result:
    """The main job of a pushed commit."""
    event = scratch.root.parent / "event.json"
    event.write_text(json.dumps(push_event("main", before="0" * 40, after=commit)))
    scratch.environ = {
        **aws_environ(address),
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_RUN_ID": "7",
        "GITHUB_SHA": commit,
        "GITHUB_REF": "refs/heads/main",
    }
    done = scratch.run("deploy", "--json", "--poll", "0.1")
    scratch.environ = {}
    return done


def arn(done: Result) -> str:
    assert "reports" in done.document, done.err
    return str(done.report["execution"]["arn"])


def test_a_job_that_is_run_again_keeps_its_execution(scratch: Scratch, address: str) -> None:
    scratch.define(quality_definition(1.5))
    commit = scratch.commit("made at a time")
    first, second = push(scratch, address, commit), push(scratch, address, commit)
    assert (first.code, second.code) == (0, 0), second.err
    assert arn(first) == arn(second)
    assert "compiled to something else this time" in " ".join(second.report["notes"])
    assert first.report["plan"] is not None
    assert second.report["plan"] is None, "what this time's definition would change is not deployed"
    assert second.report["digest"] == first.report["digest"]
    assert second.report["verdict"]["sentence"] == first.report["verdict"]["sentence"]
    versions = client(address, "sagemaker").list_pipeline_versions(PipelineName="quality")
    assert len(versions["PipelineVersionSummaries"]) == 1
    # On a laptop each run is somebody's wish.
    assert arn(scratch.deploy("--environment", "main")) != arn(first)


def test_what_a_laptop_made_of_a_commit_is_not_the_commits(scratch: Scratch, address: str) -> None:
    """Its work tree may have held changes, which the execution does not tell of."""
    scratch.define(quality_definition(1.5))
    commit = scratch.commit("pushed after it was tried")
    scratch.write("not-committed.txt", "changed")
    tried = scratch.deploy("--environment", "main")
    assert arn(push(scratch, address, commit)) != arn(tried)


def test_what_failed_is_no_reason_not_to_run(scratch: Scratch, address: str) -> None:
    scratch.define(quality_definition(9.5))
    commit = scratch.commit("too bad")
    first, second = push(scratch, address, commit), push(scratch, address, commit)
    assert (first.code, second.code) == (1, 1)
    assert arn(first) != arn(second)


def test_one_that_runs_is_kept_on_a_pull_request_too(
    scratch: Scratch, address: str, tmp_path: Path
) -> None:
    go_on = tmp_path / "go"
    wait = f"import os, time\nwhile not os.path.exists({str(go_on)!r}): time.sleep(0.05)"
    scratch.define(quality_definition(1.5, script=wait))
    commit = scratch.commit("slow")
    scratch.environ = pull_request_environ(
        tmp_path, number=41, commit=commit, forge="http://127.0.0.1:9", aws=address
    )
    del scratch.environ["GITHUB_TOKEN"]
    deploy = ("deploy", "--json", "--poll", "0.1")
    first, second = (scratch.run(*deploy, "--detach") for _ in range(2))
    assert arn(first) == arn(second)
    go_on.touch()
    assert scratch.run("attach", arn(first), "--json", "--poll", "0.1").code in {0, 5}
    # By now the base may have moved: what it has succeeded with is not taken for this.
    assert arn(scratch.run(*deploy)) != arn(first)
    scratch.environ = {}
