"""`auto` as a job calls it: what is touched, what is only planned, what does nothing."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.acting import pull_request_event, push_event, workflow_run_event
from support.github import REPOSITORY, FakeGitHub, serve_github
from support.scratch import Result, Scratch, new_scratch, quality_definition

PROJECT = """
version: 1
region: us-east-1
role: arn:aws:iam::123456789012:role/sagemaker
pipelines:
  one: {definition: one/definition.json, paths: ["one/**"]}
  two: {definition: two/definition.json, paths: ["two/**", "shared/*.py"]}
environments:
  pull_request: {run: false}
"""


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    made = new_scratch(tmp_path / "repository", PROJECT)
    for name in ("one", "two"):
        made.write(f"{name}/definition.json", json.dumps(quality_definition(1.0)))
    made.commit("first")
    return made


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with serve_github() as served:
        yield served


def job(
    scratch: Scratch, name: str, event: Mapping[str, Any], *, root: Path | None = None
) -> tuple[Result, dict[str, str]]:
    """A job without AWS credentials: the command's result, and its outputs."""
    files = scratch.root.parent
    (files / "event.json").write_text(json.dumps(event))
    (files / "outputs").unlink(missing_ok=True)
    scratch.environ |= {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": name,
        "GITHUB_EVENT_PATH": str(files / "event.json"),
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_SHA": "1" * 40,
        "GITHUB_OUTPUT": str(files / "outputs"),
        "GITHUB_STEP_SUMMARY": str(files / "summary.md"),
        "SAGEMAKER_GITOPS_COMMAND": "auto",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
    done = scratch.run(cwd=root)
    lines = (files / "outputs").read_text().splitlines() if (files / "outputs").exists() else []
    pairs = zip(lines[::3], lines[1::3], strict=False)
    return done, {head.partition("<<")[0]: value for head, value in pairs}


def head(scratch: Scratch) -> str:
    return scratch.git("rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("SAGEMAKER_GITOPS_DEADLINE", "soon", "`soon`"),
        ("SAGEMAKER_GITOPS_PARAMETERS", "Threshold", "the parameter 'Threshold' has no value"),
    ],
)
def test_a_bad_input_is_told_by_a_job_that_has_nothing_to_do(
    scratch: Scratch, setting: str, value: str, told: str
) -> None:
    base = head(scratch)
    scratch.write("notes.txt", "x")
    commit = scratch.commit("notes", branch="topic-1")
    scratch.environ |= {setting: value}
    done, _ = job(scratch, "pull_request", pull_request_event("opened", 1, head=commit, base=base))
    assert done.code == 2, done.out
    assert told in done.err


def test_a_commit_that_touches_nothing_does_nothing(scratch: Scratch) -> None:
    base = head(scratch)
    scratch.write("notes.txt", "x")
    commit = scratch.commit("notes", branch="topic-1")
    event = pull_request_event("opened", 1, head=commit, base=base)
    done, outputs = job(scratch, "pull_request", event)
    assert done.code == 0, done.err
    assert "Of 2 pipelines touched: none" in done.out
    assert outputs == {"changes": "false"}


def test_outputs_that_cannot_be_written_are_no_bug(scratch: Scratch) -> None:
    event = push_event("topic", before=head(scratch), after=head(scratch))
    assert job(scratch, "push", event)[0].code == 0
    scratch.environ["GITHUB_OUTPUT"] = "/dev/full"
    done = scratch.run()
    assert done.code == 2
    assert "the job's files cannot be written: No space left on device" in done.err
    assert "/dev/full" in done.err


def test_only_what_is_touched_is_planned_and_commented_on(
    scratch: Scratch, github: FakeGitHub
) -> None:
    base = head(scratch)
    scratch.write("shared/code.py", "x = 1")
    commit = scratch.commit("shared", branch="topic-2")
    github.commits[2] = [commit]
    scratch.environ |= {"GITHUB_TOKEN": "t0ken", "GITHUB_API_URL": github.address}
    event = pull_request_event("opened", 2, head=commit, base=base)
    done, outputs = job(scratch, "pull_request", event)
    assert done.code == 0, done.err
    assert "Of 2 pipelines touched: two" in done.out
    assert "`run: false` in pull_request: planned and not run" in done.out
    [body] = github.bodies(2)
    assert '"pipeline":"two"' in body.splitlines()[0]
    assert '"state":"planned"' in body.splitlines()[0]
    assert "Not compared with what is deployed" in body
    assert outputs["changes"] == "true"
    assert Path(outputs["report"]).read_text().strip() == body.strip()
    assert "execution-arn" not in outputs


def test_a_merge_that_is_checked_out_in_place_of_the_commit_is_told(
    scratch: Scratch, github: FakeGitHub
) -> None:
    """`refs/pull/2/merge` is what GitHub's checkout takes where it is told nothing."""
    scratch.write("one/code.py", "x = 1")
    commit = scratch.commit("one", branch="topic-2")
    scratch.git("checkout", "-q", "main")
    scratch.write("notes.txt", "x")
    base = scratch.commit("notes")
    github.commits[2] = [commit]
    scratch.environ |= {"GITHUB_TOKEN": "t0ken", "GITHUB_API_URL": github.address}
    event = pull_request_event("opened", 2, head=commit, base=base)
    for checked_out in ("merge", "head"):
        scratch.git("checkout", "-q", "--detach", commit)
        if checked_out == "merge":
            scratch.git("merge", "-q", "--no-ff", "-m", "Merge", base)
        done, _ = job(scratch, "pull_request", event)
        assert done.code == 0, done.err
        [body] = github.bodies(2)
        assert ("What was compiled is" in body) is (checked_out == "merge")


def test_a_shallow_clone_takes_all_and_says_what_to_fetch(scratch: Scratch) -> None:
    base = head(scratch)
    scratch.write("one/code.py", "x = 1")
    commit = scratch.commit("one", branch="topic-3")
    clone = scratch.root.parent / "shallow"
    source = f"file://{scratch.root}"
    command = ["git", "clone", "-q", "--depth", "1", "--branch", "topic-3", source, str(clone)]
    subprocess.run(command, check=True)
    event = pull_request_event("opened", 3, head=commit, base=base)
    done, _ = job(scratch, "pull_request", event, root=clone)
    assert done.code == 0, done.err
    assert "All pipelines count: the history does not reach back" in done.out
    assert "fetch-depth: 0" in done.out
    assert "Planning one, two for pull_request" in done.out


@pytest.mark.parametrize(
    ("name", "event", "said"),
    [
        ("push", push_event("topic", before="a" * 40, after="b" * 40), "no environment follows"),
        (
            "issue_comment",
            {
                "issue": {"number": 5, "pull_request": {}},
                "comment": {"body": "/sagemaker run; $(id)", "user": {"login": "x"}},
                "repository": {"default_branch": "main"},
            },
            "the comment holds no order",
        ),
        ("workflow_run", workflow_run_event(head="c" * 40, branch="x"), "`command: post`"),
        (
            "pull_request",
            pull_request_event("closed", 6, head="c" * 40, base="d" * 40, fork=True),
            "made nothing",
        ),
    ],
)
def test_what_asks_for_nothing_says_so(
    scratch: Scratch, name: str, event: dict[str, Any], said: str
) -> None:
    done, outputs = job(scratch, name, event)
    assert done.code == 0, done.err
    assert said in done.out
    assert outputs == {"changes": "false"}


def test_a_role_without_githubs_door_is_refused_with_the_permission(scratch: Scratch) -> None:
    scratch.environ["SAGEMAKER_GITOPS_ROLE_TO_ASSUME"] = "arn:aws:iam::123456789012:role/ci"
    commit = head(scratch)
    done, _ = job(scratch, "push", push_event("main", before="0" * 40, after=commit))
    assert done.code == 2
    assert "id-token: write" in done.err


def post(scratch: Scratch, folder: Path, commit: str) -> Result:
    scratch.environ |= {
        "SAGEMAKER_GITOPS_COMMAND": "post",
        "SAGEMAKER_GITOPS_ARGS": str(folder),
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "workflow_run",
        "GITHUB_EVENT_PATH": str(scratch.root.parent / "event.json"),
        "GITHUB_REPOSITORY": REPOSITORY,
    }
    event = workflow_run_event(head=commit, branch="topic-9")
    (scratch.root.parent / "event.json").write_text(json.dumps(event))
    return scratch.run()


def comment(state: str, commit: str, *, execution: str | None = None) -> str:
    marker = {
        "v": 1, "pipeline": "one", "environment": "pull_request", "commit": commit,
        "execution": execution, "digest": None, "state": state,
    }  # fmt: skip
    return f"<!-- sagemaker-gitops: {json.dumps(marker)} -->\nHello @everyone and @acme/admins\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (comment("final", "c" * 40), "not a plan"),
        (comment("planned", "c" * 40, execution="arn:x"), "not a plan"),
        (comment("planned", "d" * 40), "another commit"),
        ("All gates passed", "no comment of this program"),
        ("x" * 300_000, "too large"),
    ],
)
def test_only_a_plan_of_the_events_commit_is_posted(
    scratch: Scratch, github: FakeGitHub, tmp_path: Path, text: str, said: str
) -> None:
    scratch.environ |= {"GITHUB_TOKEN": "t0ken", "GITHUB_API_URL": github.address}
    github.pulls["stranger:topic-9"] = [{"number": 9, "head": {"sha": "c" * 40}}]
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "plan.md").write_text(text)
    done = post(scratch, tmp_path / "left", "c" * 40)
    assert done.code != 0
    assert said in done.err
    assert github.comments == {}


def test_a_posted_plan_mentions_nobody(
    scratch: Scratch, github: FakeGitHub, tmp_path: Path
) -> None:
    scratch.environ |= {"GITHUB_TOKEN": "t0ken", "GITHUB_API_URL": github.address}
    github.pulls["stranger:topic-9"] = [
        {"number": 8, "head": {"sha": "b" * 40}},
        {"number": 9, "head": {"sha": "c" * 40}},
    ]
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "plan.md").write_text(comment("planned", "c" * 40))
    assert post(scratch, tmp_path / "left", "c" * 40).code == 0
    assert post(scratch, tmp_path / "left", "c" * 40).code == 0
    [body] = github.bodies(9)
    assert "@everyone" not in body
    assert "@acme" not in body
    assert github.bodies(8) == []


def test_a_fork_that_moved_on_gets_no_comment(
    scratch: Scratch, github: FakeGitHub, tmp_path: Path
) -> None:
    scratch.environ |= {"GITHUB_TOKEN": "t0ken", "GITHUB_API_URL": github.address}
    github.pulls["stranger:topic-9"] = [{"number": 9, "head": {"sha": "e" * 40}}]
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "plan.md").write_text(comment("planned", "c" * 40))
    done = post(scratch, tmp_path / "left", "c" * 40)
    assert done.code == 0
    assert "no open pull request has its head at cccccccccccc" in done.out
    assert github.comments == {}
    assert post(scratch, tmp_path / "nowhere", "c" * 40).code == 0
