"""The step of `init`'s workflows that installs the SageMaker SDK: from where, and in which jobs."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.scratch import Scratch

from ci.project.render import REVIEWED_MAIN, WORKFLOWS, render_workflow
from ci.project.requirements import sdk_requirements

SOURCE = "ml/churn/pipeline.py"


def write(root: Path, **files: str) -> Path:
    for name, text in {SOURCE: "", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "'sagemaker>=2,<3'"),
        ({SOURCE: "from sagemaker.workflow import x\n"}, "'sagemaker>=2,<3'"),
        ({SOURCE: "from sagemaker.mlops.workflow import x\n"}, "'sagemaker>=3,<4'"),
        ({"requirements.txt": "boto3\nsagemaker[local] >= 2.2\n"}, "-r requirements.txt"),
        ({"requirements.txt": "sagemaker-training\n# sagemaker\n"}, "'sagemaker>=2,<3'"),
        ({"requirements-dev.txt": "sagemaker"}, "-r requirements-dev.txt"),
        (
            {"requirements.txt": "sagemaker", "ml/churn/requirements.txt": "sagemaker==3.1"},
            "-r ml/churn/requirements.txt",
        ),
        ({"a $(x)/requirements.txt": "sagemaker"}, "'sagemaker>=2,<3'"),
        ({"requirements $(x).txt": "sagemaker"}, "-r 'requirements $(x).txt'"),
        ({"setup.py": 'install_requires=["sagemaker==2.93.0"]'}, "."),
        ({"ml/pyproject.toml": 'dependencies = [\n  "sagemaker>=2"\n]'}, "./ml"),
        ({"pyproject.toml": '[tool.poetry.dependencies]\nsagemaker = "^2"\n'}, "."),
        ({"pyproject.toml": 'name = "sagemaker-things"\n'}, "'sagemaker>=2,<3'"),
    ],
)
def test_from_where_the_sdk_is_installed(tmp_path: Path, files: dict[str, str], said: str) -> None:
    assert sdk_requirements(write(tmp_path, **files), [SOURCE]) == said


@pytest.mark.parametrize("name", [*WORKFLOWS, REVIEWED_MAIN])
def test_jobs_that_compile_have_a_python_with_the_sdk(name: str) -> None:
    text = render_workflow(name, action="./", branch="main", sdk="-r requirements.txt")
    for job in yaml.safe_load(text)["jobs"].values():
        steps = job["steps"]
        used = next(step for step in steps if step.get("uses") == "./")
        installs = [step for step in steps if "pip install" in step.get("run", "")]
        command = used["with"].get("command", "auto")
        compiles = command in {"auto", "drift"} and name not in {"closed", "approvals-sync"}
        assert len(installs) == compiles, (name, command)
        assert ("python" in used["with"]) == compiles
        assert not installs or steps.index(installs[0]) == steps.index(used) - 1
        # pip brings uv, and uv the SDK: pip alone takes minutes.
        assert not installs or 'bin/uv" pip install' in installs[0]["run"].splitlines()[-1]


def test_what_init_writes_passes_the_linters(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "-b", "main", tmp_path], check=True)
    write(tmp_path, **{SOURCE: "def get_pipeline(): ...\n", "requirements.txt": "sagemaker\n"})
    done = Scratch(root=tmp_path).run("init", "--action", f"acme/sagemaker-gitops@{'a' * 40}")
    assert done.code == 0, done.err
    workflows = sorted((tmp_path / ".github" / "workflows").iterdir())
    assert any("-r requirements.txt" in file.read_text() for file in workflows)
    for command in (["actionlint"], ["zizmor", "--offline", "--quiet", "--no-progress"]):
        checked = subprocess.run(
            [Path(sys.executable).parent / command[0], *command[1:], *workflows],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr
