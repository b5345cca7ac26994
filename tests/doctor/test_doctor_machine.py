"""Checks of the project and of this machine, where each passes and where it finds fault."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from support import seccomp
from support.doctoring import PROJECT, findings, only, repository, site

from ci.compile.isolation import IsolationLevel, isolation_level
from ci.doctor.machine import judge_aliases, judge_isolation, judge_local
from ci.doctor.model import State
from ci.errors import ProjectError


def test_project_file(tmp_path: Path) -> None:
    good = site(repository(tmp_path))
    assert only("project-file", good).state is State.OK
    (good.root / "definition.json").unlink()
    assert [each.state for each in findings("project-file", good)] == [State.OK, State.FAIL]
    broken = replace(good, project=None, problem=ProjectError("no good", fix="do this"))
    found = only("project-file", broken)
    assert (found.state, found.what, found.fix) == (State.FAIL, "no good", "do this")


@pytest.mark.parametrize(
    ("python", "state", "said"),
    [
        (sys.executable, State.WARN, "has no SageMaker SDK"),
        ("no/such/python", State.FAIL, "There is no Python"),
        ("/bin/false", State.FAIL, "does not run"),
        ("/bin/echo not json", State.FAIL, "does not run"),
    ],
)
def test_python(tmp_path: Path, python: str, state: State, said: str) -> None:
    scratch = repository(tmp_path)
    (scratch.root / "pipeline.py").write_text("")
    text = PROJECT.replace(
        "definition: definition.json", f"source: pipeline.py:f, python: {python}"
    )
    scratch.write("sagemaker-gitops.yaml", text)
    found = only("python", site(scratch))
    assert (found.state, said in found.what) == (state, True), found.what
    assert found.fix


def test_python_with_an_sdk(tmp_path: Path) -> None:
    """A Python whose packages hold one called sagemaker, and a project that compiles nothing."""
    packages = tmp_path / "packages" / "sagemaker-9.8.7.dist-info"
    packages.mkdir(parents=True)
    (packages / "METADATA").write_text("Metadata-Version: 2.1\nName: sagemaker\nVersion: 9.8.7\n")
    scratch = repository(tmp_path)
    assert only("python", site(scratch)).state is State.OK
    (scratch.root / "pipeline.py").write_text("")
    text = PROJECT.replace(
        "definition: definition.json", f"source: pipeline.py:f, python: {sys.executable}"
    )
    scratch.write("sagemaker-gitops.yaml", text)
    # Its packages stand in its environment, and nothing of the job's reaches it.
    wrapper = tmp_path / "python"
    wrapper.write_text(
        f"#!/bin/sh\nenv > {tmp_path}/seen\n"
        f'PYTHONPATH={packages.parent} exec {sys.executable} "$@"\n'
    )
    wrapper.chmod(0o755)
    scratch.write("sagemaker-gitops.yaml", text.replace(sys.executable, str(wrapper)))
    scratch.environ["GITHUB_TOKEN"] = "t0ken"
    found = only("python", site(scratch))
    assert "t0ken" not in (tmp_path / "seen").read_text()
    assert (found.state, "SageMaker SDK 9.8.7" in found.what) == (State.OK, True)


def test_history(tmp_path: Path) -> None:
    scratch = repository(tmp_path)
    scratch.commit("second")
    assert only("history", site(scratch)).state is State.OK
    shallow = tmp_path / "shallow"
    subprocess.run(
        ["git", "clone", "-q", "--depth", "1", f"file://{scratch.root}", shallow], check=True
    )
    found = only("history", replace(site(scratch), root=shallow))
    assert (found.state, "fetch-depth: 0" in (found.fix or "")) == (State.WARN, True)
    assert only("history", replace(site(scratch), root=tmp_path)).state is State.FAIL


@pytest.mark.skipif(os.getuid() != 0, reason="only root can hand a folder to another user")
def test_a_history_of_another_user(tmp_path: Path) -> None:
    scratch = repository(tmp_path)
    here = site(scratch)
    for path in (scratch.root, scratch.root / ".git"):
        os.chown(path, 12345, 12345)
    assert "safe.directory" in (only("history", here).fix or "")
    in_a_job = replace(here, environ={**here.environ, "GITHUB_ACTIONS": "true"})
    assert only("history", in_a_job).state is State.OK


def test_isolation_aliases_and_the_local_endpoint(tmp_path: Path) -> None:
    here = site(repository(tmp_path))
    assert only("isolation", here).state in {State.OK, State.WARN}
    assert only("aliases", here).state is State.OK
    assert only("local-endpoint", here).state is State.OK


@pytest.mark.parametrize("level", list(IsolationLevel)[1:])
def test_isolation_that_is_less_than_it_could_be(tmp_path: Path, level: IsolationLevel) -> None:
    environ = repository(tmp_path).environment()
    found = isolation_level(environ, levels=(level.value,))
    judged = judge_isolation(found)
    assert found.level is level
    assert (judged.state, judged.what) == (State.WARN, found.told)
    assert judged.fix


def test_a_botocore_that_knows_no_aliases() -> None:
    known = Loader().load_service_model("sagemaker", "service-2")
    assert judge_aliases(ServiceModel(known), "1").state is State.OK
    shapes, operations = known["shapes"], known["operations"]
    request = operations["UpdatePipelineVersion"]["input"]["shape"]
    members = dict(shapes[request]["members"])
    del members["PipelineVersionAliasOperations"]
    older = {**known, "shapes": {**shapes, request: {**shapes[request], "members": members}}}
    oldest = {
        **known,
        "operations": {
            name: each for name, each in operations.items() if name != "UpdatePipelineVersion"
        },
    }
    for model in (older, oldest):
        found = judge_aliases(ServiceModel(model), "1.2.3")
        assert (found.state, found.fix) == (State.WARN, "pip install --upgrade boto3")
        assert "botocore 1.2.3 knows no aliases" in found.what


@pytest.mark.parametrize(
    ("platform", "missing", "namespaces", "said"),
    [
        ("darwin", [], True, "this is darwin"),
        ("linux", ["aiohttp", "uv"], True, "needs aiohttp and uv"),
        ("linux", [], False, "no mount namespace"),
    ],
)
def test_a_machine_that_cannot_hold_the_local_endpoint(
    platform: str, missing: list[str], namespaces: bool, said: str
) -> None:
    found = judge_local(platform=platform, missing=missing, namespaces=namespaces)
    assert found.state is State.WARN
    assert said in found.what


@pytest.mark.skipif(not seccomp.is_known(), reason="filters of calls are Linux's")
def test_where_no_process_can_be_started_nothing_compiles(tmp_path: Path) -> None:
    scratch = repository(tmp_path)
    command = [sys.executable, "-m", "support.seccomp", sys.executable, "-I", "-m", "ci"]
    done = subprocess.run(
        [*command, "doctor", "--json"],
        cwd=scratch.root,
        env={**scratch.environment(), "PYTHONPATH": str(Path(seccomp.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    checks = {each["name"]: each for each in json.loads(done.stdout)["checks"]}
    told = checks["isolation"]
    assert told["state"] == "fail"
    assert "no child can be started, and nothing compiles here" in told["what"]
    assert "seccomp" in told["fix"]
    assert (checks["history"]["state"], checks["local-endpoint"]["state"]) == ("fail", "warn")
    assert "git does not run" in checks["history"]["what"]
