"""The workflows of an environment's reviewers and of drift, run on events as GitHub sends them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.acting import ROOT, Runner, copy_action, push_event
from support.endpoint import client, running_endpoint
from support.github import REPOSITORY, FakeGitHub, serve_github
from support.jobs import ROLE
from support.scratch import PROJECT, new_scratch, quality_definition

pytestmark = [pytest.mark.endpoint, pytest.mark.slow]
RUN = 1  # the runner's own number for every run
NIGHTLY = {
    "schedule": "43 3 * * *",
    "repository": {"id": 1, "full_name": REPOSITORY, "default_branch": "main"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    runner: Runner
    github: FakeGitHub
    sagemaker: Any

    def approvals(self) -> list[str]:
        """The approval statuses of production's packages, oldest first."""
        listed = self.sagemaker.list_model_packages(
            ModelPackageGroupName="quality", SortBy="CreationTime", SortOrder="Ascending"
        )
        return [each["ModelApprovalStatus"] for each in listed["ModelPackageSummaryList"]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, downloads: Path) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("approval-workflow")
    project = PROJECT.replace("Approval: Approved", "Approval: PendingManualApproval")
    assert project != PROJECT
    scratch = new_scratch(folder / "repository", project + ROLE)
    for name in ("approval", "drift"):
        text = (ROOT / "examples" / "github" / f"{name}.yml").read_text()
        scratch.write(f".github/workflows/{name}.yml", text)
    scratch.define(quality_definition(2.5))
    scratch.commit("first")
    with running_endpoint(folder / "endpoint") as endpoint, serve_github() as github:
        yield World(
            runner=Runner(
                scratch=scratch,
                action=copy_action(folder / "action"),
                folder=folder / "shown",
                environ={
                    "GITHUB_API_URL": github.address,
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


def test_a_reviewer_approves_and_nights_tell_what_git_does_not_say(world: World) -> None:
    commit = world.runner.scratch.git("rev-parse", "main")
    event = push_event("main", before="0" * 40, after=commit)
    world.github.reviews[RUN] = [("mallory", "rejected"), ("anna", "approved")]
    reviewed = world.runner.run("approval", "push", event)
    assert reviewed.code == 0, reviewed.log
    assert world.approvals() == ["Approved"], reviewed.log
    [package] = world.sagemaker.list_model_packages(ModelPackageGroupName="quality")[
        "ModelPackageSummaryList"
    ]
    told = world.sagemaker.describe_model_package(ModelPackageName=package["ModelPackageArn"])
    assert "anna" in str(told["CustomerMetadataProperties"])

    night = world.runner.run("drift", "schedule", NIGHTLY)
    assert night.code == 0, night.log
    described = world.sagemaker.describe_pipeline(PipelineName="quality")
    by_hand = described["PipelineDefinition"].replace("rmse", "rms")
    world.sagemaker.update_pipeline(PipelineName="quality", PipelineDefinition=by_hand)
    night = world.runner.run("drift", "schedule", NIGHTLY)
    assert night.code != 0
    assert "quality" in night.log
    assert (
        len(
            world.sagemaker.list_pipeline_executions(PipelineName="quality")[
                "PipelineExecutionSummaries"
            ]
        )
        == 1
    )
