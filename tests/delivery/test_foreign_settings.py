"""A pull request on a machine of CI: what its project file may not say of its compile."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from support.acting import pull_request_event
from support.github import REPOSITORY
from support.scratch import Result, Scratch, new_scratch, quality_definition

from ci.session.trusting import foreign_settings, guarded_settings

ROLE = "arn:aws:iam::123456789012:role/sagemaker"
PROJECT = f"""
version: 1
region: us-east-1
role: {ROLE}
pipelines:
  quality:
    source: pipeline.py:get_pipeline
"""
MODULE = """
import pathlib
class Pipeline:
    def definition(self):
        return pathlib.Path(__file__).with_name("definition.json").read_text()
def get_pipeline():
    return Pipeline()
"""
EVIL = '#!/bin/sh\nset > "$(dirname "$0")/stolen"\nexit 1\n'


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    made = new_scratch(tmp_path / "repository", PROJECT)
    made.write("pipeline.py", MODULE)
    made.define(quality_definition(1.0))
    made.commit("first")
    return made


def say(scratch: Scratch, line: str) -> None:
    file = scratch.root / "sagemaker-gitops.yaml"
    file.write_text(file.read_text() + f"    {line}\n")


def plan(scratch: Scratch, base: str, *, fork: bool = True, root: Path | None = None) -> Result:
    """The pull request's plan, in a job that holds a secret."""
    commit = scratch.git("rev-parse", "HEAD")
    event: dict[str, Any] = pull_request_event("opened", 1, head=commit, base=base)
    if fork:
        event["pull_request"]["head"]["repo"] = {"id": 666}
    file = scratch.root.parent / "event.json"
    file.write_text(json.dumps(event))
    scratch.environ |= {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(file),
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_SHA": "1" * 40,
        "DEPLOY_KEY": "s3cret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    return scratch.run("plan", "--json", cwd=root)


def refused(result: Result, *, fork: bool = True) -> str:
    assert result.code == 2, result.out
    error = result.document["error"]
    assert "not compiled for a pull request" in error["what"]
    assert ("from a fork" in error["what"]) is fork
    return str(error["why"])


def test_a_fork_that_leaves_the_settings_is_planned(scratch: Scratch) -> None:
    say(scratch, "pass_environment: [TEAM]")
    base = scratch.commit("settings")
    scratch.define(quality_definition(2.0))
    scratch.commit("better", branch="topic")
    assert plan(scratch, base).code == 0


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("pass_environment: [DEPLOY_KEY]", "pass_environment"),
        ("python: ./evil.sh", "python"),
        ("python: sh -c 'set > stolen'", "python"),
    ],
)
def test_what_a_fork_says_itself_is_refused(scratch: Scratch, line: str, key: str) -> None:
    base = scratch.git("rev-parse", "HEAD")
    scratch.write("evil.sh", EVIL)
    (scratch.root / "evil.sh").chmod(0o755)
    say(scratch, line)
    scratch.commit("steal", branch="topic")
    assert f"`{key}`" in refused(plan(scratch, base))
    assert f"`{key}`" in refused(scratch.run("validate", "--compile", "--json"))
    assert not (scratch.root / "stolen").exists()


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("pass_environment: [DEPLOY_KEY]", "pass_environment"),
        ("python: ./evil.sh", "python"),
        ("compile: live", "compile"),
    ],
)
def test_whoever_may_push_a_branch_may_not_say_it_before_it_is_merged(
    scratch: Scratch, line: str, key: str
) -> None:
    base = scratch.git("rev-parse", "HEAD")
    scratch.write("evil.sh", EVIL)
    (scratch.root / "evil.sh").chmod(0o755)
    say(scratch, line)
    scratch.commit("steal", branch="topic")
    done = plan(scratch, base, fork=False)
    assert f"`{key}`" in refused(done, fork=False)
    assert "Merge the setting by itself first" in done.document["error"]["fix"]
    assert not (scratch.root / "stolen").exists()


@pytest.mark.parametrize("fork", [True, False])
def test_a_python_that_the_job_gives_is_used_where_the_named_one_is_not_there(
    scratch: Scratch, fork: bool
) -> None:
    """As `init` writes it: the virtual environment of a laptop, first named by a pull request."""
    base = scratch.git("rev-parse", "HEAD")
    say(scratch, "python: .venv/bin/python")
    scratch.commit("named", branch="topic")
    refused(plan(scratch, base, fork=fork), fork=fork)
    scratch.environ["SAGEMAKER_GITOPS_PYTHON"] = sys.executable
    assert plan(scratch, base, fork=fork).code == 0
    scratch.write(".venv/bin/python", EVIL)
    (scratch.root / ".venv/bin/python").chmod(0o755)
    scratch.git("add", "--force", ".venv")
    scratch.commit("brought")
    refused(plan(scratch, base, fork=fork), fork=fork)
    assert not (scratch.root / ".venv/bin/stolen").exists()


def test_another_pipeline_may_have_what_one_of_the_base_has(scratch: Scratch) -> None:
    say(scratch, "python: env python3")
    base = scratch.commit("settings")
    say(scratch, "compile: hermetic")
    file = scratch.root / "sagemaker-gitops.yaml"
    second = "  more:\n    source: pipeline.py:get_pipeline\n    python: env python3\n"
    file.write_text(file.read_text() + second)
    scratch.commit("more", branch="topic")
    done = plan(scratch, base, fork=False)
    assert done.code == 0, done.err


def test_a_program_of_the_repository_may_stay_and_not_change(scratch: Scratch) -> None:
    scratch.write("tools/py", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (scratch.root / "tools" / "py").chmod(0o755)
    (scratch.root / "py").symlink_to("tools/py")
    say(scratch, "python: ./py")
    base = scratch.commit("settings")
    scratch.define(quality_definition(2.0))
    scratch.commit("better", branch="topic")
    assert plan(scratch, base, fork=False).code == 0
    scratch.write("tools/py", EVIL)
    scratch.commit("steal", branch="topic")
    assert "part of what is checked out" in refused(plan(scratch, base, fork=False), fork=False)
    assert not list(scratch.root.rglob("stolen"))


@pytest.mark.parametrize("link", [False, True])
def test_a_python_that_the_fork_brings_under_the_known_name(scratch: Scratch, link: bool) -> None:
    say(scratch, "python: .venv/bin/python")
    base = scratch.commit("settings")
    scratch.write("tools/bin/python" if link else ".venv/bin/python", EVIL)
    (scratch.root / ("tools/bin/python" if link else ".venv/bin/python")).chmod(0o755)
    if link:
        (scratch.root / ".venv").symlink_to("tools")
    scratch.commit("steal", branch="topic")
    assert "part of what is checked out" in refused(plan(scratch, base))
    assert not list(scratch.root.rglob("stolen"))


def test_a_module_that_the_fork_puts_into_the_environment(scratch: Scratch) -> None:
    (scratch.root / ".venv" / "bin").mkdir(parents=True)
    (scratch.root / ".venv" / "bin" / "python").symlink_to(sys.executable)
    scratch.write(".gitignore", ".venv/bin\n")
    say(scratch, "python: .venv/bin/python")
    base = scratch.commit("settings")
    scratch.define(quality_definition(2.0))
    scratch.commit("better", branch="topic")
    assert plan(scratch, base).code == 0
    scratch.write(".venv/lib/python3.11/site-packages/sitecustomize.py", "print('mine')")
    scratch.commit("steal", branch="topic")
    assert "part of what is checked out" in refused(plan(scratch, base))


def test_a_file_called_python3_is_no_python(scratch: Scratch) -> None:
    base = scratch.git("rev-parse", "HEAD")
    scratch.write("python3", EVIL)
    (scratch.root / "python3").chmod(0o755)
    scratch.commit("steal", branch="topic")
    assert plan(scratch, base).code == 0
    assert not (scratch.root / "stolen").exists()


def test_a_command_that_builds_the_repository_first_is_refused(scratch: Scratch) -> None:
    say(scratch, "python: env python3")
    base = scratch.commit("settings")
    scratch.define(quality_definition(2.0))
    scratch.commit("better", branch="topic")
    assert "a command with arguments" in refused(plan(scratch, base))


def test_without_the_base_commit_what_cannot_be_checked_is_refused(
    scratch: Scratch, tmp_path: Path
) -> None:
    say(scratch, "pass_environment: [TEAM]")
    base = scratch.commit("settings")
    scratch.define(quality_definition(2.0))
    scratch.commit("better", branch="topic")
    scratch.git("clone", "-q", "--depth", "1", f"file://{scratch.root}", str(tmp_path / "shallow"))
    done = plan(scratch, base, root=tmp_path / "shallow")
    assert base[:12] in refused(done)
    assert "fetch-depth: 0" in done.document["error"]["fix"]


def test_to_pass_less_than_the_base_is_no_harm() -> None:
    text = "pipelines: {a: {python: x, pass_environment: [B, A]}, b: {compile: hermetic}}"
    base = guarded_settings(text)

    def moved(entry: str) -> tuple[str, ...]:
        return foreign_settings(guarded_settings(f"pipelines: {{c: {entry}}}", "c"), base)

    assert moved("{pass_environment: [A], python: x}") == ()
    assert moved("{pass_environment: [A, C]}") == ("pass_environment",)
    assert moved("{python: y, compile: live}") == ("python", "compile")
    assert guarded_settings(text, "b") == {}
    for broken in ("", "[]", "pipelines: []", "pipelines: {a: 1}", "{", "\0"):
        assert guarded_settings(broken, "a") == guarded_settings(broken) == {}
