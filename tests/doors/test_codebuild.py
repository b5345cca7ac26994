"""The buildspec under CodeBuild's environment: pull request, push, closing, a stage, a failure."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.building import ROOT, Build, Built
from support.codecommit import REPOSITORY as CODECOMMIT
from support.codecommit import ROLE as CALLER
from support.codecommit import FakeCodeCommit, pull_request
from support.compiling import sdk_python
from support.endpoint import client, running_endpoint
from support.github import REPOSITORY, FakeGitHub, serve_github
from support.loopback_forge import serve_forge
from support.scratch import PROJECT, Scratch, new_scratch, quality_definition

from ci.bootstrap.events import events_template
from ci.bootstrap.scope import plan_setup
from ci.cli.workflow import OUTPUT_FILE, OUTPUTS, variable_of, write_outputs
from ci.project.load import load_project

pytestmark = pytest.mark.slow
BIN = Path(sys.executable).parent
ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"


def test_a_command_is_named_by_the_project(tmp_path: Path, downloads: Path) -> None:
    fail = {"Name": "F", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}
    (tmp_path / "one.json").write_text(json.dumps({"Version": "2020-12-01", "Steps": [fail]}))
    (tmp_path / "sagemaker-gitops.yaml").write_text(
        "version: 1\npipelines:\n  one: {definition: one.json}\n"
    )
    done = Build(source=tmp_path, home=tmp_path / "home", cache=downloads).run(
        {"SAGEMAKER_GITOPS_COMMAND": "validate"}
    )
    assert done.code == 0, done.err
    assert "one: one.json: valid" in done.out
    [report] = done.reports.values()
    assert ET.fromstring(report).find(".//skipped") is not None


def test_later_stages_get_what_there_is_when_the_build_fails(
    tmp_path: Path, downloads: Path
) -> None:
    # In place of the program: leaves an output behind, as the program does, and fails.
    fails = (
        "cd() { printf '%s\\n' \"SAGEMAKER_GITOPS_STATUS='Failed; touch pwned'\""
        ' > "$SAGEMAKER_GITOPS_OUTPUT"; return 1; }'
    )
    done = Build(source=tmp_path, home=tmp_path / "home", cache=downloads).run(
        {}, before_build=fails
    )
    assert done.code == 1
    assert done.exported["SAGEMAKER_GITOPS_STATUS"] == "Failed; touch pwned"
    assert not (tmp_path / "pwned").exists()
    [report] = done.reports.values()
    assert ET.fromstring(report).find(".//failure") is not None


HOSTILE = [
    "$(touch pwned)", "`touch pwned`", "a\nb\n\n", "'; touch pwned; '", '"; touch pwned; "',
    "$HOME", "\\", "a\tb", "é ✅ \u202e", "!history", "# no comment", "", " lead and trail ", "~",
]  # fmt: skip


def test_values_reach_later_stages_as_they_are_and_never_a_shell(tmp_path: Path) -> None:
    spec = yaml.safe_load((ROOT / "buildspec.yml").read_text())
    [command] = [
        each for each in spec["phases"]["post_build"]["commands"] if each.startswith("set")
    ]
    names = list(OUTPUTS)
    for first in range(0, len(HOSTILE), len(names)):
        told = dict(zip(names, HOSTILE[first:], strict=False))
        file = tmp_path / f"output {first} $(touch pwned)"
        write_outputs({OUTPUT_FILE: str(file)}, told)
        shown = [f'printf "%s\\0" "${variable_of(name)}"' for name in told]
        done = subprocess.run(
            ["bash", "-c", "\n".join([command, *shown])],
            cwd=tmp_path, env={**os.environ, OUTPUT_FILE: str(file)},
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        assert done.stdout.split("\0")[:-1] == list(told.values())
        assert done.stderr == ""
    assert not (tmp_path / "pwned").exists()


def write_wheel(folder: Path, *packages: Path) -> str:
    """A package `own` by which the packages of other folders can be imported; its file's name."""
    about = "own-1.dist-info"
    files = {
        "own.pth": "".join(f"{each}\n" for each in packages),
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: own\nVersion: 1\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"])
    wheel = folder / "own-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel.name


# Where pip was told to look counts; its other settings do not.
@pytest.mark.parametrize(
    ("setting", "installer"), [("PIP_PROGRESS_BAR", "uv"), ("PIP_NO_INDEX", "pip")]
)
def test_a_python_with_the_sdk_is_made_of_the_requirements_that_are_named(
    tmp_path: Path, setting: str, installer: str
) -> None:
    source = tmp_path / "src"
    source.mkdir()
    (source / "sdk.txt").write_text(f"./{write_wheel(source)}\n")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    environ = {
        **kept,
        "SAGEMAKER_GITOPS_PYTHON": "python-of-the-image",
        "PIP_CONFIG_FILE": os.devnull,
        setting: "on",
    }

    def made(name: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [ROOT / "doors" / "sdk.sh", source, tmp_path / "tools", name],
            cwd=source, env=environ, capture_output=True, text=True, check=False,
        )  # fmt: skip

    assert made("").stdout == "python-of-the-image\n"
    missing = made("none.txt")
    assert (missing.returncode, "no file of the source" in missing.stderr) == (2, True)
    assert not (tmp_path / "tools").exists()
    done = made("sdk.txt")
    assert done.stdout == f"{tmp_path / 'tools' / 'sdk' / 'bin' / 'python'}\n", done.stderr
    asked = "import importlib.metadata as m; print(m.distribution('own').read_text('INSTALLER'))"
    told = subprocess.run(
        [done.stdout.strip(), "-c", asked], check=True, capture_output=True, text=True
    )
    assert told.stdout.strip() == installer


MODULE = """\
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.pipeline import Pipeline


def get_pipeline(pipeline_name):
    return Pipeline(name=pipeline_name, steps=[FailStep(name="F", error_message="no")])
"""


@pytest.mark.sdk
def test_a_module_is_compiled_by_the_python_that_is_made(tmp_path: Path, downloads: Path) -> None:
    sdk = Path(sdk_python("v2"))
    [packages] = (sdk.parents[1] / "lib").glob("python*/site-packages")
    source = tmp_path / "src"
    source.mkdir()
    (source / "requirements.txt").write_text(f"./{write_wheel(source, packages)}\n")
    (source / "pipeline.py").write_text(MODULE)
    (source / "sagemaker-gitops.yaml").write_text(
        "version: 1\nregion: us-east-1\npipelines:\n  one: {source: 'pipeline.py:get_pipeline'}\n"
    )
    settings = {
        "PATH": f"{sdk.parent}:{os.environ['PATH']}",
        "SAGEMAKER_GITOPS_COMMAND": "validate",
        "SAGEMAKER_GITOPS_ARGS": "--compile",
    }
    build = Build(source=source, home=tmp_path / "home", cache=downloads)
    done = build.run({**settings, "SAGEMAKER_GITOPS_SDK": "requirements.txt"})
    assert done.code == 0, done.err
    assert "one: pipeline.py: valid" in done.out


def test_the_cache_is_where_the_build_puts_it() -> None:
    spec = yaml.safe_load((ROOT / "buildspec.yml").read_text())
    cache = spec["env"]["variables"]["SAGEMAKER_GITOPS_CACHE"]
    assert spec["cache"]["paths"] == [f"{cache}/**/*"]


def test_the_commands_are_clean_shell(tmp_path: Path) -> None:
    spec = yaml.safe_load((ROOT / "buildspec.yml").read_text())
    names = [*spec["env"]["variables"], "CODEBUILD_SRC_DIR"]
    # The file is what the program writes; a command that fails ends the phase.
    allowed = "# shellcheck disable=SC1090,SC2164"
    lines = ["#!/usr/bin/env bash", allowed, *(f': "${{{name}:=}}"' for name in names)]
    for phase in spec["phases"].values():
        lines += phase["commands"]
    script = tmp_path / "buildspec.sh"
    script.write_text("\n".join([*lines, ""]))
    subprocess.run([BIN / "shellcheck", script], check=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """`origin` is the repository that webhooks tell of."""

    origin: Scratch
    folder: Path
    github: FakeGitHub
    address: str
    downloads: Path

    def build(self, source: Path, **variables: str) -> Built:
        return Build(source=source, home=self.folder / "home", cache=self.downloads).run(
            {
                "CODEBUILD_BUILD_ID": "mlops:1",
                "CODEBUILD_BUILD_URL": "https://console.example/build/1",
                "CODEBUILD_SOURCE_REPO_URL": f"https://github.com/{REPOSITORY}.git",
                "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": self.address,
                "AWS_ACCESS_KEY_ID": "AKIATEST",
                "AWS_SECRET_ACCESS_KEY": "test",
                "GITHUB_TOKEN": "t0ken",
                "GITHUB_API_URL": self.github.address,
                **variables,
            }
        )

    def clone(self, name: str, commit: str) -> Path:
        folder = self.folder / name
        subprocess.run(["git", "clone", "-q", self.origin.root, folder], check=True)
        subprocess.run(["git", "-C", folder, "checkout", "-q", commit], check=True)
        return folder

    def pipelines(self) -> set[str]:
        listed = client(self.address, "sagemaker").list_pipelines()["PipelineSummaries"]
        return {each["PipelineName"] for each in listed}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, downloads: Path) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("codebuild")
    project = PROJECT.replace("region: us-east-1", f"region: us-east-1\nrole: {ROLE}")
    origin = new_scratch(folder / "origin", project)
    origin.define(quality_definition(2.5))
    origin.commit("first")
    with running_endpoint(folder / "endpoint") as endpoint, serve_github() as github:
        yield World(
            origin=origin,
            folder=folder,
            github=github,
            address=endpoint.address,
            downloads=downloads,
        )


def webhook(event: str, number: int, commit: str) -> dict[str, str]:
    return {
        "CODEBUILD_WEBHOOK_EVENT": event,
        "CODEBUILD_WEBHOOK_TRIGGER": f"pr/{number}",
        "CODEBUILD_WEBHOOK_HEAD_REF": f"refs/heads/topic-{number}",
        "CODEBUILD_WEBHOOK_BASE_REF": "refs/heads/main",
        "CODEBUILD_SOURCE_VERSION": f"pr/{number}",
        "CODEBUILD_RESOLVED_SOURCE_VERSION": commit,
    }


@pytest.mark.endpoint
def test_a_branch_a_pull_request_and_its_end(world: World) -> None:
    main = world.origin.git("rev-parse", "main")
    pushed = world.build(
        world.clone("pushed", main),
        CODEBUILD_WEBHOOK_EVENT="PUSH",
        CODEBUILD_WEBHOOK_TRIGGER="branch/main",
        CODEBUILD_WEBHOOK_HEAD_REF="refs/heads/main",
        CODEBUILD_SOURCE_VERSION=main,
        CODEBUILD_RESOLVED_SOURCE_VERSION=main,
    )
    assert pushed.code == 0, pushed.err
    assert pushed.exported["SAGEMAKER_GITOPS_VERDICT"] == "succeeded"
    assert pushed.exported["SAGEMAKER_GITOPS_APPROVAL"] == "Approved"
    assert ":pipeline/quality/execution/" in pushed.exported["SAGEMAKER_GITOPS_EXECUTION_ARN"]
    metrics = json.loads(pushed.exported["SAGEMAKER_GITOPS_METRICS"])
    assert metrics["rmse"]["value"] == 2.5
    suite = ET.fromstring(pushed.reports["main-quality.junit.xml"])
    assert suite.attrib["failures"] == "0"
    assert suite.find(".//testcase[@name='Evaluate']") is not None
    told_of(world, main, pushed.exported["SAGEMAKER_GITOPS_MODEL_PACKAGE_ARN"])

    world.origin.define(quality_definition(2.0))
    head = world.origin.commit("better", branch="topic-12")
    world.origin.git("checkout", "-q", "main")
    world.github.commits[12] = [head]
    source = world.clone("pull", head)
    built = world.build(source, **webhook("PULL_REQUEST_CREATED", 12, head))
    assert built.code == 0, built.err
    assert built.exported["SAGEMAKER_GITOPS_VERDICT"] == "approval_pending"
    assert built.exported["SAGEMAKER_GITOPS_CHANGES"] == "true"
    assert ":model-package/quality-pr-12/1" in built.exported["SAGEMAKER_GITOPS_MODEL_PACKAGE_ARN"]
    [body] = world.github.bodies(12)
    assert head in body.splitlines()[0]
    assert world.pipelines() == {"quality", "quality-pr-12"}

    merged = world.build(source, **webhook("PULL_REQUEST_MERGED", 12, head))
    assert merged.code == 0, merged.err
    assert world.pipelines() == {"quality"}
    assert merged.exported["SAGEMAKER_GITOPS_EXECUTION_ARN"] == ""


def told_of(world: World, commit: str, package: str) -> None:
    """A rule starts the project: the package was approved, elsewhere."""
    built = world.build(
        world.clone("approved", commit),
        CODEBUILD_INITIATOR="rule/approvals",
        CODEBUILD_SOURCE_VERSION="main",
        CODEBUILD_RESOLVED_SOURCE_VERSION=commit,
        SAGEMAKER_GITOPS_EVENT_PACKAGE=package,
    )
    assert built.code == 0, built.err
    assert "quality v1 is Approved" in built.out
    assert built.reports


@pytest.mark.endpoint
def test_a_stage_of_codepipeline_has_no_history(world: World) -> None:
    world.origin.define(quality_definition(4.5))
    commit = world.origin.commit("worse")
    source = world.folder / "artifact"
    source.mkdir()
    archived = subprocess.run(
        ["git", "-C", world.origin.root, "archive", commit], check=True, capture_output=True
    )
    subprocess.run(["tar", "-x", "-C", source], input=archived.stdout, check=True)
    staged = world.build(
        source,
        CODEBUILD_INITIATOR="codepipeline/mlops",
        CODEBUILD_RESOLVED_SOURCE_VERSION=commit,
        CODEBUILD_SOURCE_VERSION="arn:aws:s3:::bucket/source.zip",
        SAGEMAKER_GITOPS_BRANCH="main",
        SAGEMAKER_GITOPS_REPOSITORY=REPOSITORY,
    )
    assert staged.code == 1, staged.err
    assert staged.exported["SAGEMAKER_GITOPS_VERDICT"] == "gate_failed"
    assert staged.exported["SAGEMAKER_GITOPS_MODEL_PACKAGE_ARN"] == ""
    arn = staged.exported["SAGEMAKER_GITOPS_EXECUTION_ARN"]
    described = client(world.address, "sagemaker").describe_pipeline_execution(
        PipelineExecutionArn=arn
    )
    assert commit in described["PipelineExecutionDescription"]
    suite = ET.fromstring(staged.reports["main-quality.junit.xml"])
    assert suite.find(".//testcase[@name='gate_failed']/failure") is not None


@pytest.mark.endpoint
def test_a_rule_by_the_clock_runs_the_default_branch(world: World) -> None:
    commit = world.origin.git("rev-parse", "main")
    built = world.build(
        world.clone("nightly", commit),
        CODEBUILD_INITIATOR="rule/nightly",
        CODEBUILD_SOURCE_VERSION="main",
        CODEBUILD_RESOLVED_SOURCE_VERSION=commit,
        SAGEMAKER_GITOPS_ARGS="--detach",
    )
    assert built.code in {0, 1}, built.err
    assert "Schedule, commit" in built.out
    assert ":pipeline/quality/execution/" in built.exported["SAGEMAKER_GITOPS_EXECUTION_ARN"]


@pytest.mark.endpoint
def test_a_pull_request_of_someone_else_is_planned_and_not_run(world: World) -> None:
    world.origin.define(quality_definition(1.9))
    head = world.origin.commit("unknown", branch="theirs")
    world.origin.git("checkout", "-q", "main")
    before = world.pipelines()
    world.github.commits[13] = [head]
    built = world.build(world.clone("theirs", head), **webhook("PULL_REQUEST_UPDATED", 13, head))
    assert built.code == 0, built.err
    assert "fork" in built.out
    assert world.pipelines() == before
    assert built.exported["SAGEMAKER_GITOPS_CHANGES"] == "true"
    assert built.exported["SAGEMAKER_GITOPS_VERDICT"] == ""


def started_by_rule(world: World, event: dict[str, str]) -> dict[str, str]:
    """A build's variables, as the set-up's rule makes them of CodeCommit's event."""
    project = load_project(world.origin.root / "sagemaker-gitops.yaml")
    made = plan_setup(project, repository=REPOSITORY, default_branch="main")
    targets: Any = events_template(made).resources["PullRequestRule"].properties["Targets"]
    [target] = targets
    text = target["InputTransformer"]["InputTemplate"]
    for name, path in target["InputTransformer"]["InputPathsMap"].items():
        text = text.replace(f"<{name}>", json.dumps(event[path.removeprefix("$.detail.")]))
    told = json.loads(text)
    variables = {each["name"]: each["value"] for each in told["environmentVariablesOverride"]}
    return {
        **variables,
        "CODEBUILD_INITIATOR": "rule/mlops-pull-requests",
        "CODEBUILD_SOURCE_REPO_URL": f"https://git-codecommit.us-east-1.amazonaws.com/v1/repos/{CODECOMMIT}",
        "CODEBUILD_SOURCE_VERSION": told["sourceVersion"],
        "CODEBUILD_RESOLVED_SOURCE_VERSION": told["sourceVersion"],
        "GITHUB_TOKEN": "",
    }


@pytest.mark.endpoint
def test_a_pull_request_of_codecommit_and_its_end(world: World) -> None:
    world.origin.define(quality_definition(1.8))
    head = world.origin.commit("deeper", branch="deeper")
    world.origin.git("checkout", "-q", "main")
    base = world.origin.git("rev-parse", "main")
    event = {
        "sourceCommit": head,
        "pullRequestId": "14",
        "pullRequestStatus": "Open",
        "sourceReference": "refs/heads/deeper",
    }
    source = world.clone("deeper", head)
    with serve_forge(FakeCodeCommit()) as forge:
        forge.callers["AKIATEST"] = f"{CALLER}/AWSCodeBuild-1"
        forge.pulls[14] = pull_request(14, head=head, base=base)
        forge.push(14, head)
        asked = {f"AWS_ENDPOINT_URL_{name}": forge.address for name in ("CODECOMMIT", "STS")}
        built = world.build(source, **started_by_rule(world, event), **asked)
        assert built.code == 0, built.err
        [comment] = [each for each in forge.comments.values() if not each["deleted"]]
        assert ":pipeline/quality-pr-14/execution/" in comment["content"]
        assert comment["pull_request"] == 14
        assert "quality-pr-14" in world.pipelines()
        forge.pulls[14] = pull_request(14, "CLOSED", head=head, base=base)
        closed = {**event, "pullRequestStatus": "Closed"}
        ended = world.build(source, **started_by_rule(world, closed), **asked)
    assert ended.code == 0, ended.err
    assert "quality-pr-14" not in world.pipelines()
