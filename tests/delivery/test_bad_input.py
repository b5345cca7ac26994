"""Every kind of bad input ends `deploy` with an error that names the place and the way out, the
right code, no traceback, and nothing lost."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.scratch import PROJECT, Result, Scratch, new_scratch, quality_definition

from ci.local.lifecycle import down

pytestmark = pytest.mark.endpoint

MODULE = "definition: definition.json", "source: pipeline.py:get_pipeline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`change` spoils a good repository. `says` must all stand in what is told."""

    name: str
    change: Callable[[Scratch], None]
    says: tuple[str, ...]
    code: int = 2


def project(*edits: tuple[str, str]) -> Callable[[Scratch], None]:
    def change(scratch: Scratch) -> None:
        text = PROJECT
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        scratch.write("sagemaker-gitops.yaml", text)

    return change


def module(code: str) -> Callable[[Scratch], None]:
    def change(scratch: Scratch) -> None:
        project(MODULE)(scratch)
        scratch.write("pipeline.py", code)

    return change


def definition(spoil: Callable[[dict[str, Any]], object]) -> Callable[[Scratch], None]:
    def change(scratch: Scratch) -> None:
        document = quality_definition(1.5)
        spoil(document)
        scratch.define(document)

    return change


def argument(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["Steps"][0]["Arguments"].update({name: value})


def environment(value: object) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["Steps"][0]["Arguments"]["Environment"].update(X=value)


def raw(text: str) -> Callable[[Scratch], None]:
    def change(scratch: Scratch) -> None:
        (scratch.root / "definition.json").write_bytes(text.encode())

    return change


def cycle(document: dict[str, Any]) -> None:
    document["Steps"][0]["DependsOn"] = ["Check"]


CASES = [
    Case(
        name="project file that is no YAML",
        change=lambda s: s.write("sagemaker-gitops.yaml", "pipelines: [\n"),
        says=("sagemaker-gitops.yaml:",),
    ),
    Case(
        name="project file with a misspelt key",
        change=project(("model_package_group:", "model_packge_group:")),
        says=("sagemaker-gitops.yaml:7", "model_package_group"),
    ),
    Case(
        name="project file that is gone",
        change=lambda s: (s.root / "sagemaker-gitops.yaml").unlink(),
        says=("sagemaker-gitops.yaml", "sagemaker-gitops init"),
    ),
    Case(
        name="definition that is not there",
        change=project(("definition: definition.json", "definition: defintion.json")),
        says=("defintion.json",),
    ),
    Case(name="definition that is no JSON", change=raw("{"), says=("definition.json",)),
    Case(name="definition that is empty", change=raw(""), says=("definition.json",)),
    Case(name="module that is not there", change=project(MODULE), says=("pipeline.py",)),
    Case(
        name="module that raises",
        change=module("import os\nraise RuntimeError('no such table: rings')\n"),
        says=("pipeline.py:2", "no such table: rings"),
    ),
    Case(
        name="module with a syntax error",
        change=module("def get_pipeline(:\n"),
        says=("pipeline.py:1",),
    ),
    Case(
        name="module without the function",
        change=module("def make_pipeline():\n    pass\n"),
        says=("get_pipeline", "make_pipeline"),
    ),
    Case(
        name="module that ends the process",
        change=module("import os\nos._exit(7)\n"),
        says=("pipeline.py", "7"),
    ),
    Case(
        name="unknown step",
        change=definition(environment({"Get": "Steps.Evalute.ProcessingJobArn"})),
        says=("Evalute", "Evaluate"),
    ),
    Case(
        name="unknown parameter",
        change=definition(environment({"Get": "Parameters.Grup"})),
        says=("Grup", "Group"),
    ),
    Case(
        name="unknown property file",
        change=definition(
            lambda d: d["Steps"][1]["Arguments"]["Conditions"][0]["LeftValue"][
                "Std:JsonGet"
            ].update(PropertyFile={"Get": "Steps.Evaluate.PropertyFiles.Reprot"})
        ),
        says=("Reprot",),
    ),
    Case(name="cycle", change=definition(cycle), says=("Evaluate", "Check", "cycle")),
    Case(
        name="step type that is unknown",
        change=definition(lambda d: d["Steps"][0].update(Type="Procesing")),
        says=("Procesing",),
    ),
    Case(
        name="parameter that is not declared",
        change=project(("{Approval: Approved}", "{Aproval: Approved}")),
        says=("Aproval", "Approval"),
    ),
    Case(
        name="parameter of the wrong type",
        change=lambda s: (
            definition(
                lambda d: d["Parameters"].append(
                    {"Name": "Threshold", "Type": "Float", "DefaultValue": 1.0}
                )
            )(s),
            project(("{Approval: Approved}", "{Threshold: high}"))(s),
        )[0],
        says=("Threshold", "high", "Float"),
    ),
    Case(
        name="gate on a property file that no step writes",
        change=project(("property_file: Report", "property_file: Reprt")),
        says=("a gate needs rmse", "no property file Reprt", "property_file: Report"),
    ),
    Case(
        name="gate on a training step that is not there",
        change=project(("property_file: Report", "training_step: Train")),
        says=("a gate needs rmse", "no training step"),
    ),
]


@pytest.fixture
def good(scratch: Scratch) -> Scratch:
    """The shared repository, made good again."""
    scratch.write("sagemaker-gitops.yaml", PROJECT)
    scratch.define(quality_definition(1.5))
    (scratch.root / "pipeline.py").unlink(missing_ok=True)
    return scratch


def check_told(done: Result, code: int, says: tuple[str, ...]) -> None:
    assert done.code == code, done.err
    assert "Traceback (most recent call last)" not in done.err
    told = done.err + done.out
    for words in says:
        assert words in told
    error = json.loads(done.out)["error"]
    assert error["exit_code"] == code


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refused_before_anything_is_started(good: Scratch, case: Case) -> None:
    case.change(good)
    good.commit(case.name)
    done = good.deploy()
    check_told(done, case.code, case.says)
    error = json.loads(done.out)["error"]
    assert error.get("where") or error.get("problems")


def test_validate_tells_what_the_project_file_says_and_no_step_bears_out(good: Scratch) -> None:
    edits = ("{Approval: Approved}", "{Aproval: x}"), ("property_file: Report", "training_step: T")
    project(*edits)(good)
    done = good.run("validate", "--json")
    assert done.code == 2
    (pipeline,) = done.document["pipelines"]
    told = [(problem["rule"], problem["fix"]) for problem in pipeline["problems"]]
    assert told == [
        ("project-file", "write Approval"),
        ("project-file", "add one, or remove the gate on rmse"),
    ]


def test_a_bucket_that_does_not_exist_is_named_with_the_command(good: Scratch) -> None:
    named = "no-such-bucket-anywhere"
    module(
        "import json, os, urllib.request\n"
        f"DOCUMENT = {json.dumps(quality_definition(1.5))!r}\n"
        f"DOCUMENT = DOCUMENT.replace('s3://models/', 's3://{named}/')\n"
        "class Pipeline:\n    def definition(self):\n        return DOCUMENT\n"
        "def get_pipeline():\n    return Pipeline()\n"
    )(good)
    text = (good.root / "sagemaker-gitops.yaml").read_text()
    good.write("sagemaker-gitops.yaml", text + f"artifacts: {{bucket: {named}}}\n")
    good.commit("bucket")
    done = good.deploy()
    check_told(done, 6, (named, f"aws s3 mb s3://{named}", "artifacts"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A step's script that goes wrong while it runs."""

    name: str
    script: str
    says: tuple[str, ...]
    outcome: str = "failed"
    arguments: tuple[tuple[str, Any], ...] = ()


RUNNING = [
    Running(
        name="fails",
        script="import sys\nprint('reading')\nsys.exit('no such column: rings')",
        says=("Evaluate", "no such column: rings", "reading"),
    ),
    Running(
        name="raises",
        script="print('begun')\nraise ValueError('bad value 7')",
        says=("Evaluate", "ValueError: bad value 7"),
    ),
    Running(
        name="hangs",
        script="import time\nprint('waiting', flush=True)\ntime.sleep(120)",
        arguments=(("StoppingCondition", {"MaxRuntimeInSeconds": 1}),),
        says=("Evaluate", "waiting"),
    ),
    Running(
        name="is killed",
        script="import os\nprint('ouch', flush=True)\nos.kill(os.getpid(), 9)",
        says=("Evaluate", "ouch"),
    ),
    Running(
        name="writes no output",
        script="print('nothing to write')\nimport os\nos._exit(0)",
        says=("Check", "evaluation.json"),
    ),
    Running(
        name="writes no JSON",
        script="import os\nos.environ['REPORT'] = '{'",
        says=("evaluation.json",),
    ),
    Running(
        name="fills its log",
        script="import sys\n[print('x' * 1000) for _ in range(5000)]\nsys.exit('full of x')",
        says=("Evaluate", "full of x"),
    ),
]


@pytest.mark.parametrize("case", RUNNING, ids=lambda case: case.name)
def test_a_step_that_goes_wrong_is_told_with_its_log(good: Scratch, case: Running) -> None:
    document = quality_definition(1.5, script=case.script)
    document["Steps"][0]["Arguments"].update(dict(case.arguments))
    good.define(document)
    good.commit(case.name)
    done = good.deploy()
    assert done.code == 1, done.err
    assert "bug in this program" not in done.err
    report = done.report
    assert report["verdict"]["outcome"] == case.outcome
    assert report["model_package"] is None
    told = json.dumps(report)
    for words in case.says:
        assert words in told


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 megabytes, where a repository of this folder keeps the local state."""
    folder = tmp_path / "repository" / ".sagemaker-gitops" / "local"
    folder.mkdir(parents=True)
    if os.getuid() != 0:
        pytest.skip("only root mounts a small file system")
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(folder: Path) -> Path:
    file = folder / "filler"
    with file.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(b"x" * 4096)
        except OSError:
            return file


def test_a_full_disk_for_the_report_loses_no_execution(good: Scratch, tiny: Path) -> None:
    good.commit("full disk for the report")
    filler = fill(tiny)
    done = good.deploy("--report", str(tiny / "report"))
    assert done.code == 2
    assert "Traceback" not in done.err
    assert "No space left" in done.err
    assert str(tiny) in done.err
    assert done.report["verdict"]["outcome"] == "succeeded"
    filler.unlink()
    again = good.deploy("--report", str(tiny / "report"))
    assert again.code == 0, again.err
    assert again.report["execution"]["arn"] == done.report["execution"]["arn"]
    assert (tiny / "report.md").exists()


def test_a_full_disk_under_the_endpoint_is_told_and_got_over(tmp_path: Path, tiny: Path) -> None:
    made = new_scratch(tmp_path / "repository", PROJECT)
    try:
        made.define(quality_definition(1.5))
        made.commit("before the disk is full")
        assert made.deploy().code == 0
        made.define(quality_definition(1.4))
        made.commit("full disk")
        filler = fill(tiny)
        done = made.deploy("--report", str(tmp_path / "report"), "--deadline", "20s")
        assert done.code not in {0, 3}, done.err
        assert "Traceback" not in done.err
        assert "No space left" in done.err + done.out or "disk is full" in done.err + done.out
        filler.unlink()
        again = made.deploy()
        assert again.code == 0, again.err
        assert again.report["verdict"]["metrics"][0]["value"] == 1.4
    finally:
        down(tiny)
