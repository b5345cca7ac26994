"""The example workflows from end to end: pull request, newer commit, merge, close, cancel."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from support.acting import (
    Runner,
    copy_action,
    program_below,
    pull_request_event,
    push_event,
    workflow_run_event,
)
from support.endpoint import client, running_endpoint
from support.github import FakeGitHub, serve_github
from support.scratch import PROJECT, new_scratch, quality_definition

pytestmark = [pytest.mark.endpoint, pytest.mark.slow]
ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    runner: Runner
    github: FakeGitHub
    address: str

    def commit(self, rmse: float, *, branch: str | None = None, script: str = "") -> str:
        scratch = self.runner.scratch
        if branch is None:
            scratch.git("checkout", "-q", "main")
        elif branch != scratch.git("branch", "--show-current"):
            scratch.git("checkout", "-q", "-B", branch, "main")
        scratch.define(quality_definition(rmse, script=script))
        return scratch.commit(f"rmse {rmse}")

    def executions(self, name: str) -> list[dict[str, Any]]:
        sagemaker = client(self.address, "sagemaker")
        try:
            listed = sagemaker.list_pipeline_executions(PipelineName=name)
        except sagemaker.exceptions.ResourceNotFound:
            return []
        found: list[dict[str, Any]] = listed["PipelineExecutionSummaries"]
        return found

    def pipelines(self) -> set[str]:
        listed = client(self.address, "sagemaker").list_pipelines()["PipelineSummaries"]
        return {each["PipelineName"] for each in listed}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, downloads: Path) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("delivery")
    project = PROJECT.replace("region: us-east-1", f"region: us-east-1\nrole: {ROLE}")
    project = project.replace("pull_request: {", "pull_request: {on_cancel: stop, ")
    scratch = new_scratch(folder / "repository", project)
    with running_endpoint(folder / "endpoint") as endpoint, serve_github() as github:
        runner = Runner(
            scratch=scratch,
            action=copy_action(folder / "action"),
            folder=folder / "shown",
            environ={
                "GITHUB_API_URL": github.address,
                "AWS_ENDPOINT_URL": endpoint.address,
                "AWS_ACCESS_KEY_ID": "AKIATEST",
                "AWS_SECRET_ACCESS_KEY": "test",
                "RUNNER_TOOL_CACHE": str(downloads),
            },
        )
        for name in ("pull-request", "main", "closed", "fork-plan", "fork-comment"):
            runner.install(name)
        scratch.define(quality_definition(2.5))
        scratch.commit("first")
        yield World(runner=runner, github=github, address=endpoint.address)


def test_a_pull_request_from_opening_to_merge(world: World) -> None:
    runner, github = world.runner, world.github
    base = runner.scratch.git("rev-parse", "main")
    merged = runner.run("main", "push", push_event("main", before="0" * 40, after=base))
    assert merged.code == 0, merged.log
    assert merged.outputs["verdict"] == "succeeded"
    assert world.pipelines() == {"quality"}

    first = world.commit(2.0, branch="topic-7")
    github.commits[7] = [first]
    opened = runner.run(
        "pull-request", "pull_request", pull_request_event("opened", 7, head=first, base=base)
    )
    assert opened.code == 0, opened.log
    assert opened.outputs["verdict"] == "approval_pending"
    assert opened.outputs["changes"] == "true"
    assert opened.outputs["execution-arn"].split("/")[1] == "quality-pr-7"
    [body] = github.bodies(7)
    assert first in body.splitlines()[0]
    assert "1 step changed" in body
    assert opened.summary.strip() == body.strip()
    assert Path(opened.outputs["report"]).name == "pull_request-quality.md"

    second = world.commit(1.5, branch="topic-7")
    github.commits[7] = [first, second]
    updated = runner.run(
        "pull-request", "pull_request", pull_request_event("synchronize", 7, head=second, base=base)
    )
    assert updated.code == 0, updated.log
    [body] = github.bodies(7)
    assert second in body.splitlines()[0]
    assert '"value": 1.5' in updated.outputs["metrics"]
    assert len(world.executions("quality-pr-7")) == 2
    assert len(world.executions("quality")) == 1

    runner.scratch.git("checkout", "-q", "main")
    runner.scratch.git("merge", "-q", "--no-ff", "-m", "Merge", "topic-7")
    merge = runner.scratch.git("rev-parse", "main")
    github.pulls[merge] = [{"number": 7, "merge_commit_sha": merge, "merged_at": "now"}]
    merged = runner.run("main", "push", push_event("main", before=base, after=merge))
    assert merged.code == 0, merged.log
    assert merged.outputs["verdict"] == "succeeded"
    assert len(github.bodies(7)) == 2
    assert any(merge in text.splitlines()[0] for text in github.bodies(7))
    for commit in (first, second, merge):
        [run] = github.checks(commit)
        assert (run["status"], run["conclusion"]) == ("completed", "success")
    deployed = github.deployed("main")
    assert {commit: states[-1] for commit, states in deployed.items()} == {
        base: "inactive",
        merge: "success",
    }
    assert "warning: could not" not in opened.log + merged.log

    closed = runner.run(
        "closed", "pull_request", pull_request_event("closed", 7, head=second, base=base)
    )
    assert closed.code == 0, closed.log
    assert world.pipelines() == {"quality"}
    assert "deleted `pipeline quality-pr-7`" in closed.summary
    assert len(world.executions("quality")) == 2


def test_a_cancelled_job_stops_its_execution(world: World) -> None:
    base = world.runner.scratch.git("rev-parse", "main")
    head = world.commit(1.4, branch="topic-8", script="import time; time.sleep(120)")
    world.github.commits[8] = [head]
    job = world.runner.start(
        "pull-request", "pull_request", pull_request_event("opened", 8, head=head, base=base)
    )
    program = program_below(job.pid)
    ends = time.monotonic() + 60
    while not (world.executions("quality-pr-8") and world.github.bodies(8)):
        assert time.monotonic() < ends
        time.sleep(0.1)

    # No shell stands between the runner and the program: it is whom a runner's signal reaches.
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{program}/status").read_text().splitlines()
        if ":\t" in line
    )
    assert Path(f"/proc/{status['PPid']}/comm").read_text() == "act\n"
    os.kill(program, signal.SIGINT)
    ended = world.runner.end(job)
    assert ended.code != 0
    assert ended.outcome == "failure"
    [execution] = world.executions("quality-pr-8")
    assert execution["PipelineExecutionStatus"] in {"Stopping", "Stopped"}
    [body] = world.github.bodies(8)
    assert "stop" in body.splitlines()[1].lower(), body
    assert ended.outputs["execution-arn"] == execution["PipelineExecutionArn"]


def test_a_push_elsewhere_does_nothing(world: World) -> None:
    before = world.pipelines()
    head = world.commit(1.3, branch="elsewhere")
    ran = world.runner.run("main", "push", push_event("elsewhere", before="0" * 40, after=head))
    assert ran.code == 0, ran.log
    assert world.pipelines() == before


def test_a_fork_is_planned_without_secrets_and_commented_on_by_another_workflow(
    world: World,
) -> None:
    scratch, github = world.runner.scratch, world.github
    base = scratch.git("rev-parse", "main")
    head = world.commit(1.2, branch="topic-9")
    before, requests = world.pipelines(), len(github.requests)
    bare = {key: value for key, value in world.runner.environ.items() if "AWS_" not in key}
    stranger = replace(world.runner, environ=bare)
    event = pull_request_event("opened", 9, head=head, base=base, fork=True)
    planned = stranger.run("fork-plan", "pull_request", event)
    assert planned.code == 0, planned.log
    assert world.pipelines() == before
    assert len(github.requests) == requests
    own = world.runner.run("pull-request", "pull_request", event)
    assert own.outcome == ""  # the workflow for one's own branches leaves forks alone
    robot = pull_request_event("opened", 9, head=head, base=base, author="dependabot[bot]")
    assert world.runner.run("pull-request", "pull_request", robot).outcome == ""
    assert world.runner.run("closed", "pull_request", robot | {"action": "closed"}).outcome == ""
    assert stranger.run("fork-plan", "pull_request", robot).outcome == "success"
    assert len(github.requests) == requests

    github.pulls["stranger:topic-9"] = [{"number": 9, "head": {"sha": head}}]
    github.commits[9] = [head]
    done = stranger.run(
        "fork-comment", "workflow_run", workflow_run_event(head=head, branch="topic-9")
    )
    assert done.code == 0, done.log
    [body] = github.bodies(9)
    assert head in body.splitlines()[0]
    assert "Nothing in it was verified" in body
    assert '"state":"planned"' in body.splitlines()[0]
    assert github.checks(head) == []
