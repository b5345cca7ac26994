"""A stage of CodePipeline finds the pull request that was merged, on each forge, with a token that
the emulator's Secrets Manager or Parameter Store keeps. The command as it is installed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import bitbucket, codecommit, gitlab
from support.endpoint import client, endpoint_environ, running_endpoint
from support.forge_benches import (
    PR,
    Bench,
    BitbucketBench,
    CodeCommitBench,
    GitHubBench,
    GitLabBench,
    open_bench,
)
from support.scratch import Result, Scratch, new_scratch, quality_definition

from ci.local.lifecycle import Endpoint
from ci.report.marker import parse_marker

pytestmark = pytest.mark.endpoint
TOKEN = "t0ken"
PROJECT = """
version: 1
region: us-east-1
role: arn:aws:iam::000000000000:role/sagemaker
artifacts: {bucket: sagemaker-us-east-1-000000000000}
pipelines:
  quality: {definition: definition.json, model_package_group: quality}
"""


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with running_endpoint(tmp_path_factory.mktemp("aws") / "local") as running:
        secrets = client(running, "secretsmanager")
        secrets.create_secret(Name="forge/plain", SecretString=TOKEN)
        kept = json.dumps({"user": "me", "token": TOKEN})
        secrets.create_secret(Name="forge/json", SecretString=kept)
        ssm = client(running, "ssm")
        ssm.put_parameter(Name="/forge/token", Value=TOKEN, Type="SecureString")
        yield running


def forge_settings(bench: Bench) -> tuple[str, str]:
    """The repository as the stage is told it, and the project file's `forge:`."""
    match bench:
        case GitLabBench():
            token = "{secret: forge/json, key: token}"
            settings = f"kind: gitlab, api_url: '{bench.address}/api/v4', token: {token}"
            return gitlab.PROJECT, settings
        case BitbucketBench():
            settings = f"kind: bitbucket, api_url: '{bench.address}/2.0'"
            return bitbucket.REPOSITORY, f"{settings}, token: {{parameter: /forge/token}}"
        case GitHubBench():
            settings = f"kind: github, api_url: '{bench.address}', token: {{secret: forge/plain}}"
            return "acme/mlops", settings
    return codecommit.REPOSITORY, "kind: codecommit"


def merged(bench: Bench, commit: str) -> None:
    """The pull request made this commit of main."""
    match bench:
        case GitLabBench():
            bench.fake.merge_requests[PR] = gitlab.merge_request(
                PR, "merged", merge_commit_sha=commit
            )
            bench.fake.of_commit[commit] = [PR]
        case BitbucketBench():
            made = {"hash": commit[:12]}
            bench.fake.pulls[PR] = bitbucket.pull_request(PR, "MERGED", merge_commit=made)
        case GitHubBench():
            pull = {"number": PR, "merged_at": "2026-03-02T09:00:00Z", "merge_commit_sha": commit}
            bench.fake.pulls[commit] = [pull]
        case CodeCommitBench():
            bench.fake.pulls[PR] = codecommit.pull_request(PR, "CLOSED", merge=commit)
            bench.fake.callers["test"] = f"{codecommit.ROLE}/AWSCodeBuild-1"


def stage(scratch: Scratch, endpoint: Endpoint, bench: Bench, commit: str) -> Result:
    repository, _ = forge_settings(bench)
    scratch.environ = {
        **endpoint_environ(endpoint),
        "CODEBUILD_BUILD_ID": "mlops:1",
        "CODEBUILD_INITIATOR": "codepipeline/mlops",
        "CODEBUILD_RESOLVED_SOURCE_VERSION": commit,
        "SAGEMAKER_GITOPS_BRANCH": "main",
        "SAGEMAKER_GITOPS_REPOSITORY": repository,
    }
    if isinstance(bench, CodeCommitBench):
        own = {"AWS_ENDPOINT_URL_CODECOMMIT": bench.address, "AWS_ENDPOINT_URL_STS": bench.address}
        scratch.environ |= own
    return scratch.run("auto")


def repository(
    folder: Path, bench: Bench, environments: str, *, forge: str | None = None
) -> tuple[Scratch, str]:
    settings = forge or forge_settings(bench)[1]
    made = new_scratch(folder, f"{PROJECT}forge: {{{settings}}}\n{environments}")
    made.define(quality_definition(1.0))
    commit = made.commit("merge")
    merged(bench, commit)
    return made, commit


def test_a_merge_is_run_and_its_result_is_the_merge_request_s_comment(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    with open_bench("gitlab") as bench:
        scratch, commit = repository(tmp_path / "repository", bench, "")
        done = stage(scratch, endpoint, bench, commit)
        assert done.code == 0, done.out + done.err
        [posted] = bench.bodies()
        found = parse_marker(posted)
        assert found is not None
        assert (found.commit, found.state.value) == (commit, "final")
        assert found.execution is not None
        assert "deployed to main, and run" in done.out
        shown = "".join(
            file.read_text() for file in scratch.root.rglob("*") if file.suffix in {".md", ".json"}
        )
        assert TOKEN not in done.out + done.err + posted + shown
        assert "awaiting approval" in posted

        decided = approve(endpoint)
        scratch.environ |= {
            "CODEBUILD_INITIATOR": "rule/approvals",
            "CODEBUILD_SOURCE_REPO_URL": f"https://gitlab.com/{gitlab.PROJECT}.git",
            "SAGEMAKER_GITOPS_EVENT_PACKAGE": decided,
        }
        back = scratch.run("auto")
        assert back.code == 0, back.out + back.err
        [posted] = bench.bodies()
        assert "awaiting approval" not in posted
        assert "looks good" in posted
        assert TOKEN not in back.out + back.err + posted


def approve(endpoint: Endpoint) -> str:
    """As in Studio: the package that waits is approved."""
    sagemaker = client(endpoint, "sagemaker")
    [package] = sagemaker.list_model_packages(ModelPackageGroupName="quality")[
        "ModelPackageSummaryList"
    ]
    arn = str(package["ModelPackageArn"])
    sagemaker.update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="looks good"
    )
    return arn


@pytest.mark.parametrize("kind", ["gitlab", "bitbucket", "codecommit"])
def test_what_a_pull_request_reports_is_approved_by_its_number(
    tmp_path: Path, endpoint: Endpoint, kind: str
) -> None:
    """No comment of these forges gives an order: the command does, wherever it is run."""
    with open_bench(kind) as bench:
        scratch, _ = repository(tmp_path / "repository", bench, "")
        scratch.write("forge.txt", kind)
        commit = scratch.commit("of its own")
        merged(bench, commit)
        done = stage(scratch, endpoint, bench, commit)
        assert done.code == 0, done.out + done.err
        assert "awaiting approval" in bench.bodies()[-1]
        ordered = ("--pull-request", str(PR), "--commit", commit[:12], "--reason", "good")
        decided = scratch.run("approve", *ordered, "--json")
        assert decided.code == 0, decided.out + decided.err
        told = decided.document["description"]
        assert f"on pull request {PR} at {commit[:12]}" in told
        assert decided.document["approval"] == "Approved"
        [posted] = bench.bodies()
        assert "awaiting approval" not in posted
        assert "on pull request 42" in posted
        # By executions alone: nobody here may read what the forge holds.
        scratch.environ = endpoint_environ(endpoint)
        other = scratch.run("reject", *ordered, "--environment", "main", "--from", "Approved")
        assert other.code == 0, other.out + other.err
        assert f"on pull request {PR}, " in other.out


@pytest.mark.parametrize("kind", ["github", "bitbucket", "codecommit"])
def test_a_plan_of_what_was_merged_is_the_pull_request_s_comment(
    tmp_path: Path, endpoint: Endpoint, kind: str
) -> None:
    with open_bench(kind) as bench:
        plan_only = "environments: {main: {run: false}}"
        scratch, commit = repository(tmp_path / "repository", bench, plan_only)
        done = stage(scratch, endpoint, bench, commit)
        assert done.code == 0, done.out + done.err
        assert "warning" not in done.err
        [posted] = bench.bodies()
        found = parse_marker(posted)
        assert found is not None
        assert (found.commit, found.state.value) == (commit, "planned")
        assert TOKEN not in done.out + done.err + posted
        again = stage(scratch, endpoint, bench, commit)
        assert again.code == 0, again.err
        assert bench.bodies() == [posted]


def test_a_secret_that_is_not_there_costs_the_comment_and_nothing_else(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    with open_bench("gitlab") as bench:
        plan_only = "environments: {main: {run: false}}"
        missing = "kind: gitlab, token: {secret: forge/none}"
        scratch, commit = repository(tmp_path / "repository", bench, plan_only, forge=missing)
        done = stage(scratch, endpoint, bench, commit)
        assert done.code == 0, done.err
        assert done.err.count("the forge's token cannot be read") == 1
        assert "ResourceNotFoundException" in done.err
        assert bench.bodies() == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (7, "`run: false` in pull_request: planned and not run"),
        (8, "the code comes from a fork: it is planned and not run"),
    ],
    ids=["own branch", "fork"],
)
def test_a_build_asks_the_forge_where_a_pull_request_comes_from(
    tmp_path: Path, source: int, said: str
) -> None:
    with open_bench("gitlab") as bench:
        assert isinstance(bench, GitLabBench)
        plan_only = "environments: {pull_request: {run: false}}"
        scratch, _ = repository(tmp_path / "repository", bench, plan_only)
        scratch.write("more.txt", "x")
        commit = scratch.commit("more", branch="deeper")
        request = gitlab.merge_request(PR, sha=commit, source_project_id=source)
        bench.fake.merge_requests[PR] = request
        bench.fake.commits[PR] = [commit]
        scratch.environ = {
            "CODEBUILD_BUILD_ID": "mlops:1",
            "CODEBUILD_RESOLVED_SOURCE_VERSION": commit,
            "CODEBUILD_SOURCE_REPO_URL": f"https://gitlab.com/{gitlab.PROJECT}.git",
            "CODEBUILD_WEBHOOK_EVENT": "PULL_REQUEST_UPDATED",
            "CODEBUILD_WEBHOOK_TRIGGER": f"pr/{PR}",
            "CODEBUILD_WEBHOOK_HEAD_REF": "refs/heads/deeper",
            "CODEBUILD_WEBHOOK_BASE_REF": "refs/heads/main",
            "GITLAB_TOKEN": TOKEN,
            "GITLAB_API_URL": f"{bench.address}/api/v4",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }
        done = scratch.run("auto")
        assert done.code == 0, done.out + done.err
        assert said in done.out
        [posted] = bench.bodies()
        assert f'"commit":"{commit}"' in posted
