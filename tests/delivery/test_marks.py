"""What a job leaves beside its commit: check run or status, deployment, label, in one process."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.endpoint import running_endpoint
from support.github import REPOSITORY, FakeGitHub, Fault, serve_github
from support.github_job import pull_request_environ
from support.scratch import PROJECT, Result, Scratch, new_scratch, quality_definition

pytestmark = pytest.mark.endpoint
ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"
NUMBER = 42


@dataclass(frozen=True, slots=True, kw_only=True)
class Forge:
    scratch: Scratch
    github: FakeGitHub
    aws: str
    folder: Path

    def project(self, *, report: str = "", below: str = "") -> None:
        text = PROJECT.replace("region: us-east-1", f"region: us-east-1\nrole: {ROLE}\n{report}")
        self.scratch.write(f"{below}sagemaker-gitops.yaml", text)

    def commit(self, rmse: float) -> str:
        self.scratch.define(quality_definition(rmse))
        return self.scratch.commit(f"rmse {rmse}")

    def pull_request(self, head: str, *arguments: str, below: str = "", **environ: str) -> Result:
        self.github.commits[NUMBER] = [head]
        return self._run(self._environ(head) | environ, *arguments, below=below)

    def plan(self, head: str) -> Result:
        job = Scratch(root=self.scratch.root, environ=self._environ(head))
        return job.run("plan", "--json")

    def push(self, commit: str, *arguments: str) -> Result:
        event = {
            "ref": "refs/heads/main",
            "after": commit,
            "before": "0" * 40,
            "repository": {"id": 1, "full_name": REPOSITORY, "default_branch": "main"},
        }
        file = self.folder / "push.json"
        environ = self._environ(commit) | {
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_EVENT_PATH": str(file),
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_SHA": commit,
        }
        file.write_text(json.dumps(event))
        self.github.pulls.setdefault(commit, [])
        return self._run(environ, *arguments)

    def _environ(self, commit: str) -> dict[str, str]:
        return pull_request_environ(
            self.folder, number=NUMBER, commit=commit, forge=self.github.address, aws=self.aws
        )

    def _run(self, environ: dict[str, str], *arguments: str, below: str = "") -> Result:
        job = Scratch(root=self.scratch.root, environ=environ)
        cwd = self.scratch.root / below
        return job.run("deploy", "--json", "--poll", "0.1", *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_endpoint(tmp_path_factory.mktemp("aws")) as running:
        yield running.address


@pytest.fixture
def forge(endpoint: str, tmp_path: Path) -> Iterator[Forge]:
    with serve_github() as github:
        made = Forge(
            scratch=new_scratch(tmp_path / "repository"),
            github=github,
            aws=endpoint,
            folder=tmp_path / "job",
        )
        made.project()
        yield made


def test_a_pull_request_that_fails_its_gate(forge: Forge) -> None:
    forge.project(report="report: {labels: true}")
    head = forge.commit(9.5)
    done = forge.pull_request(head)
    assert done.code == 1
    assert "warning" not in done.err
    [run] = forge.github.checks(head)
    assert run["name"] == "sagemaker-gitops/quality/pull_request"
    assert (run["status"], run["conclusion"]) == ("completed", "failure")
    assert run["details_url"].endswith(f"/actions/runs/{NUMBER}")
    at = {
        (each["path"], each["start_line"]): each["annotation_level"] for each in run["annotations"]
    }
    lines = (forge.scratch.root / "sagemaker-gitops.yaml").read_text().splitlines()
    gate = next(number for number, line in enumerate(lines, 1) if "improve_by" in line)
    source = (forge.scratch.root / "definition.json").read_text().splitlines()
    step = next(number for number, line in enumerate(source, 1) if '"Name": "TooBad"' in line)
    assert at[("sagemaker-gitops.yaml", gate)] == "failure"
    assert at[("definition.json", step)] == "failure"
    assert forge.github.labelled[NUMBER] == ["sagemaker: gate failed"]
    assert forge.github.deployments == {}
    assert forge.github.statuses == {}

    before = len(forge.github.writes())
    again = forge.pull_request(head)
    assert again.code == 1
    assert forge.github.writes()[before:] == []

    assert forge.plan(head).code == 0
    assert forge.github.checks(head) == [run], "a plan turns no failed check green"
    assert forge.github.labelled[NUMBER] == ["sagemaker: gate failed"]


def test_a_merge_is_deployed_once_and_takes_the_place_of_the_last(forge: Forge) -> None:
    first = forge.commit(2.5)
    assert forge.push(first).code == 0
    second = forge.commit(1.5)
    for _ in range(2):
        assert forge.push(second).code == 0
    assert forge.github.deployed("main") == {
        first: ["in_progress", "success", "inactive"],
        second: ["in_progress", "success"],
    }
    assert [run["conclusion"] for run in forge.github.checks(second)] == ["success"]


def test_all_that_the_token_lacks_is_told_in_one_message(forge: Forge) -> None:
    forge.project(report="report: {labels: true}")
    forge.github.readers.add("github-actions[bot]")
    forge.github.denied |= {"checks", "statuses", "deployments", "issues"}
    head = forge.commit(1.2)
    done = forge.pull_request(head)
    assert done.code == 0
    lines = done.err.splitlines()
    [begin] = [number for number, line in enumerate(lines) if line.startswith("warning: ")]
    end = next(number for number, line in enumerate(lines) if line.startswith("::warning"))
    block = [line.strip() for line in lines[begin:end]]
    told = block[block.index("fix:   permissions:") + 1 :]
    assert told == ["checks: write", "contents: read", "issues: write", "pull-requests: write"]
    for what in ("post a comment", "create a check run", "create a label"):
        assert f"could not {what}" in lines[begin]
    # Nothing that was refused is tried again at the end of the run.
    posted = [path for method, path in forge.github.requests if method == "POST"]
    assert sum("check-runs" in path for path in posted) == 1


def test_a_merge_tells_of_its_own_rights(forge: Forge) -> None:
    forge.github.denied |= {"deployments"}
    done = forge.push(forge.commit(1.16))
    assert done.code == 0
    assert "could not create a deployment: HTTP 403" in done.err
    assert "deployments: write" in done.err


def test_a_commit_status_stands_in_for_a_check_run(forge: Forge) -> None:
    forge.github.denied |= {"checks"}
    head = forge.commit(1.1)
    done = forge.pull_request(head)
    assert done.code == 0
    assert "warning" not in done.err
    states = [each["state"] for each in forge.github.statuses[head]]
    assert states == ["pending", "success"]


def test_what_the_project_does_not_want_is_not_asked(forge: Forge) -> None:
    forge.project(report="report: {check_run: false, deployments: false}")
    commit = forge.commit(1.05)
    assert forge.push(commit, "--comment", "false").code == 0
    assert forge.github.writes() == []


def test_a_forge_that_is_down_costs_the_run_nothing_but_a_word(forge: Forge) -> None:
    forge.github.faults = [Fault("GET", "check-runs", 400, count=9)]
    commit = forge.commit(1.04)
    done = forge.push(commit)
    assert done.code == 0
    assert "HTTP 400" in done.err
    assert forge.github.checks(commit) == []


def test_what_was_never_started_is_told_where_it_went_wrong(forge: Forge) -> None:
    forge.scratch.write("definition.json", '{"Version": "2020-12-01",\n "Steps": [}')
    head = forge.scratch.commit("broken")
    done = forge.pull_request(head)
    assert done.code == 2
    [run] = forge.github.checks(head)
    assert run["conclusion"] == "failure"
    assert run["title"].startswith("Not started: ")
    [remark] = run["annotations"]
    assert (remark["path"], remark["start_line"]) == ("definition.json", 2)

    fixed = forge.commit(1.03)
    assert forge.pull_request(fixed).code == 0
    assert [run["conclusion"] for run in forge.github.checks(fixed)] == ["success"]


def test_two_projects_of_one_repository(forge: Forge) -> None:
    forge.project(below="teams/a/")
    forge.scratch.write("teams/a/definition.json", json.dumps(quality_definition(1.02)))
    head = forge.commit(1.02)
    for below in ("", "teams/a"):
        assert forge.pull_request(head, below=below).code == 0
    assert len(forge.github.bodies(NUMBER)) == 2
    assert [run["name"] for run in forge.github.checks(head)] == [
        "sagemaker-gitops/quality/pull_request",
        "sagemaker-gitops/teams/a/sagemaker-gitops.yaml/quality/pull_request",
    ]


def test_every_commit_keeps_its_comment_where_that_is_wanted(forge: Forge) -> None:
    forge.project(report="report: {comment: hide-and-new}")
    first = forge.commit(1.01)
    assert forge.pull_request(first).code == 0
    second = forge.commit(1.0)
    forge.github.commits[NUMBER] = [first, second]
    done = forge._run(forge._environ(second))
    assert done.code == 0, done.err
    older, newer = forge.github.bodies(NUMBER)
    assert f"Superseded: commit `{second[:12]}`" in older
    assert second in newer.splitlines()[0]
    assert len(forge.github.minimised) == 1
