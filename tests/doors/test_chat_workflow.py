"""The workflows of chat and approvals, run on comments and dispatches as GitHub sends them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.acting import ROOT, Runner, comment_event, copy_action
from support.endpoint import client, running_endpoint
from support.github import REPOSITORY, FakeGitHub, serve_github
from support.jobs import ROLE
from support.scratch import PROJECT, new_scratch, quality_definition

pytestmark = [pytest.mark.endpoint, pytest.mark.slow]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    runner: Runner
    github: FakeGitHub
    sagemaker: Any

    def say(self, number: int, body: str) -> tuple[int, str, list[str]]:
        """Someone comments; the job's code, its log, and the reactions that the comment got."""
        comment = self.github.add_comment(number, "anna", body)
        event = comment_event(number, self.github.comments[comment])
        ran = self.runner.run("chat", "issue_comment", event)
        signs = [content for _, content in self.github.reactions.get(comment, [])]
        return ran.code, ran.log, signs


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, downloads: Path) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("chat-workflow")
    scratch = new_scratch(folder / "repository", PROJECT + ROLE)
    for name in ("chat", "approvals-sync"):
        text = (ROOT / "examples" / "github" / f"{name}.yml").read_text()
        scratch.write(f".github/workflows/{name}.yml", text)
    scratch.define(quality_definition(2.5))
    scratch.commit("first")
    with running_endpoint(folder / "endpoint") as endpoint, serve_github() as github:
        github.page = 50
        github.roles["anna"] = "write"
        yield World(
            runner=Runner(
                scratch=scratch,
                action=copy_action(folder / "action"),
                folder=folder / "shown",
                environ={
                    "GITHUB_API_URL": github.address,
                    "GITHUB_GRAPHQL_URL": f"{github.address}/graphql",
                    "AWS_ENDPOINT_URL": endpoint.address,
                    "AWS_REGION": "us-east-1",
                    "AWS_ACCESS_KEY_ID": "AKIATEST",
                    "AWS_SECRET_ACCESS_KEY": "test",
                    "RUNNER_TOOL_CACHE": str(downloads),
                },
            ),
            github=github,
            sagemaker=client(endpoint, "sagemaker"),
        )


def test_run_approve_and_an_approval_from_elsewhere(world: World) -> None:
    scratch, github = world.runner.scratch, world.github
    scratch.git("checkout", "-q", "-b", "topic-7")
    scratch.define(quality_definition(2.0))
    head = scratch.commit("better")
    scratch.git("checkout", "-q", "main")
    github.add_pull(7, head)
    github.commits[7] = [head]
    github.push("topic-7", head, "2026-03-02T09:00:00Z")

    code, log, signs = world.say(7, "/sagemaker run\n$(touch pwned)")
    assert code == 0, log
    assert signs == ["eyes", "+1"]
    assert f"has not checked out {head[:12]}" in log
    [execution] = world.sagemaker.list_pipeline_executions(PipelineName="quality-pr-7")[
        "PipelineExecutionSummaries"
    ]
    assert execution["PipelineExecutionStatus"] == "Succeeded"
    [report] = github.bodies(7)[1:]
    assert head in report.splitlines()[0]
    assert "awaiting approval" in report

    code, log, signs = world.say(7, "/sagemaker approve; touch pwned")
    assert code != 0
    assert signs == ["confused"]
    code, log, signs = world.say(7, "/sagemaker approve")
    assert code == 0, log
    assert signs == ["eyes", "+1"]
    [package] = world.sagemaker.list_model_packages(ModelPackageGroupName="quality-pr-7")[
        "ModelPackageSummaryList"
    ]
    assert package["ModelApprovalStatus"] == "Approved"

    arn = package["ModelPackageArn"]
    world.sagemaker.update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus="Rejected", ApprovalDescription="too old"
    )
    event = {
        "action": "sagemaker-approval",
        "branch": "main",
        "client_payload": {"package": arn},
        "repository": {"id": 1, "full_name": REPOSITORY, "default_branch": "main"},
    }
    ran = world.runner.run("approvals-sync", "repository_dispatch", event)
    assert ran.code == 0, ran.log
    assert any("was rejected: too old" in body for body in github.bodies(7))
    assert not list(scratch.root.parent.glob("**/pwned"))
