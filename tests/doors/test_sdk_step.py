"""The step that `init` writes before the action, run as a runner does: with a tiny package that
stands for the SDK, and all else as it is."""

import io
import os
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml

from ci.cli.main import main

pytestmark = pytest.mark.slow
VERSION = "3.99"
MODULE = """\
from sagemaker.mlops.pipeline import Pipeline


def get_pipeline():
    return Pipeline()
"""


def wheel(folder: Path) -> Path:
    """A package called like the SDK, with a pipeline in it."""
    fail = {"Name": "F", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}
    definition = {"Version": "2020-12-01", "Parameters": [], "Steps": [fail]}
    about = f"sagemaker-{VERSION}.dist-info"
    files = {
        "sagemaker/__init__.py": "",
        "sagemaker/mlops/__init__.py": "",
        "sagemaker/mlops/pipeline.py": "import json\n"
        "class Pipeline:\n"
        "    name = 'one'\n"
        f"    def definition(self): return json.dumps({definition!r})\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: sagemaker\nVersion: {VERSION}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/RECORD": "",
    }
    file = folder / f"sagemaker-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return file


def run(argv: list[str], cwd: Path) -> tuple[int, str]:
    out = io.StringIO()
    return main(argv, os.environ, stdout=out, stderr=out, cwd=cwd), out.getvalue()


def test_the_step_makes_the_python_that_the_action_compiles_with(tmp_path: Path) -> None:
    repository, runner = tmp_path / "repository", tmp_path / "runner's temp"
    repository.mkdir()
    runner.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main", repository], check=True)
    (repository / "pipeline.py").write_text(MODULE)
    (repository / "requirements.txt").write_text(f"sagemaker @ {wheel(tmp_path).as_uri()}\n")
    code, told = run(["init", "--region", "us-east-1"], repository)
    assert code == 0, told
    text = (repository / ".github" / "workflows" / "sagemaker-pull-request.yml").read_text()
    steps = yaml.safe_load(text)["jobs"]["plan-and-run"]["steps"]
    [step] = [each for each in steps if "SDK" in each.get("name", "")]
    script = tmp_path / "step.sh"
    script.write_text(step["run"])
    made = subprocess.run(
        ["bash", "-e", script],
        cwd=repository,
        env={**os.environ, "RUNNER_TEMP": str(runner)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    [given] = [each["with"]["python"] for each in steps if "python" in each.get("with", {})]
    python = given.replace("${{ runner.temp }}", str(runner))
    code, told = run(["validate", "--compile", "--python", python], repository)
    assert code == 0, told
    assert told == "repository: pipeline.py: valid\n"
