"""A merge is held against the plan that its pull request's comment showed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.endpoint import running_endpoint
from support.github import REPOSITORY, FakeGitHub, serve_github
from support.github_job import pull_request_environ
from support.scratch import PROJECT, Result, Scratch, new_scratch, quality_definition

from ci.report.marker import parse_marker

pytestmark = pytest.mark.endpoint
ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"
NUMBER = 42


@dataclass(frozen=True, slots=True, kw_only=True)
class Forge:
    """A repository on a forge, and AWS on loopback."""

    scratch: Scratch
    github: FakeGitHub
    aws: str
    folder: Path

    def pull_request(self, head: str) -> Result:
        """The pull request's job: planned, and its comment posted."""
        self.github.commits[NUMBER] = [head]
        return self._run("auto", self._environ(head))

    def push(self, commit: str, *arguments: str) -> Result:
        self.github.pulls[commit] = [
            {"number": NUMBER, "merge_commit_sha": commit, "merged_at": "now"}
        ]
        event = {
            "ref": "refs/heads/main",
            "after": commit,
            "before": "0" * 40,
            "repository": {"id": 1, "full_name": REPOSITORY, "default_branch": "main"},
        }
        environ = self._environ(commit)
        file = self.folder / "push.json"
        file.write_text(json.dumps(event))
        environ |= {
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_EVENT_PATH": str(file),
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_SHA": commit,
        }
        return self._run("deploy", environ, "--detach", *arguments)

    def commit(self, rmse: float, **settings: str) -> str:
        project = PROJECT.replace("region: us-east-1", f"region: us-east-1\nrole: {ROLE}")
        project = project.replace("pull_request: {", "pull_request: {run: false, ")
        more = "".join(f"{name}: {value}, " for name, value in settings.items())
        self.scratch.write("sagemaker-gitops.yaml", project.replace("main: {", "main: {" + more))
        self.scratch.define(quality_definition(rmse))
        return self.scratch.commit(f"rmse {rmse}")

    def _environ(self, commit: str) -> dict[str, str]:
        return pull_request_environ(
            self.folder, number=NUMBER, commit=commit, forge=self.github.address, aws=self.aws
        )

    def _run(self, command: str, environ: dict[str, str], *arguments: str) -> Result:
        job = Scratch(root=self.scratch.root, environ=environ)
        return job.run(command, "--json", *arguments)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_endpoint(tmp_path_factory.mktemp("aws")) as running:
        yield running.address


@pytest.fixture
def forge(endpoint: str, tmp_path: Path) -> Iterator[Forge]:
    with serve_github() as github:
        yield Forge(
            scratch=new_scratch(tmp_path / "repository"),
            github=github,
            aws=endpoint,
            folder=tmp_path / "job",
        )


def test_what_was_reviewed_is_merged_without_a_word(forge: Forge) -> None:
    head = forge.commit(2.0)
    planned = forge.pull_request(head)
    assert planned.code == 0, planned.err
    (body,) = forge.github.bodies(NUMBER)
    marker = parse_marker(body)
    assert marker is not None
    assert marker.plan is not None
    assert marker.plan in body.split("\n", 1)[1]
    merged = forge.push(head)
    assert merged.code == 0, merged.err
    assert merged.report["notes"] == []
    again = forge.push(head)
    assert again.report["notes"] == []
    assert again.report["execution"]["arn"] == merged.report["execution"]["arn"]


def test_a_merge_of_something_else_is_told_and_can_be_refused(forge: Forge) -> None:
    assert forge.pull_request(forge.commit(1.9)).code == 0
    merged = forge.push(forge.commit(1.8))
    assert merged.code == 0, merged.err
    (note,) = merged.report["notes"]
    assert note.startswith(f"What is merged is not what pull request {NUMBER} showed")
    refused = forge.push(forge.commit(1.7, on_unreviewed="refuse"))
    assert refused.code == 2
    error = refused.document["error"]
    assert error["type"] == "NotReviewed"
    digest = error["fix"].split()[-1]
    applied = forge.push(forge.scratch.git("rev-parse", "HEAD"), "--plan", digest)
    assert applied.code == 0, applied.err


def test_a_pipeline_that_moved_since_is_told(forge: Forge) -> None:
    base = forge.commit(1.6)
    assert forge.push(base).code == 0
    head = forge.commit(1.5)
    assert forge.pull_request(head).code == 0
    forge.scratch.git("checkout", "-q", base)
    assert forge.push(forge.commit(1.4)).code == 0
    forge.scratch.git("checkout", "-q", head)
    merged = forge.push(head)
    (note,) = merged.report["notes"]
    assert "What is deployed has moved since pull request 42 was planned" in note


def test_without_a_plan_only_refuse_refuses(forge: Forge) -> None:
    silent = forge.push(forge.commit(1.3))
    assert silent.code == 0, silent.err
    assert silent.report["notes"] == []
    refused = forge.push(forge.commit(1.2, on_unreviewed="refuse"))
    assert refused.code == 2
    assert "shows no plan of quality" in refused.document["error"]["what"]


def test_another_author_cannot_review(forge: Forge) -> None:
    head = forge.commit(1.1, on_unreviewed="refuse")
    assert forge.pull_request(head).code == 0
    (body,) = forge.github.bodies(NUMBER)
    forge.github.comments.clear()
    forge.github.add_comment(NUMBER, "mallory", body)
    refused = forge.push(head)
    assert refused.code == 2
    assert "shows no plan" in refused.document["error"]["what"]


def test_values_of_the_execution_are_part_of_what_was_reviewed(forge: Forge) -> None:
    head = forge.commit(1.05, on_unreviewed="refuse")
    assert forge.pull_request(head).code == 0
    refused = forge.push(head, "--parameter", "Approval=PendingManualApproval")
    assert refused.code == 2
    error = refused.document["error"]
    assert "the execution is given other parameters" in error["what"]
    digest = error["fix"].split()[-1]
    assert forge.push(head, "--plan", digest).code == 2
    named = ("--plan", digest, "--parameter", "Approval=PendingManualApproval")
    assert forge.push(head, *named).code == 0
    merged = forge.push(head)
    assert merged.code == 0, merged.err


def test_values_that_the_merge_itself_moves_are_no_difference(forge: Forge) -> None:
    forge.commit(1.04, on_unreviewed="refuse")
    file = forge.scratch.root / "sagemaker-gitops.yaml"
    given = 'Approval: Approved, Group: "quality-{branch}"'
    forge.scratch.write(file.name, file.read_text().replace("Approval: Approved", given))
    definition = quality_definition(1.04)
    definition["Parameters"].append({"Name": "CommitSha", "Type": "String", "DefaultValue": "-"})
    forge.scratch.define(definition)
    assert forge.pull_request(forge.scratch.commit("on a branch")).code == 0
    merged = forge.push(forge.scratch.commit("squashed"))
    assert merged.code == 0, merged.err
