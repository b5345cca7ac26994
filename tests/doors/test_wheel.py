"""The wheel: exactly `ci` and its data; the program is fooled by nothing in the current folder."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILT_OF = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")
HOSTILE = "raise SystemExit('taken from the current folder')\n"
pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    source: Path
    wheel: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Built by the backend alone, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in ("ci", "requirements"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in BUILT_OF:
        shutil.copy(ROOT / name, source)
    (source / "pipelines").mkdir()
    (source / "pipelines" / "pipeline.py").write_text(HOSTILE)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "dist"],
        cwd=source, check=True, capture_output=True,
    )  # fmt: skip
    [wheel] = (folder / "dist").glob("*.whl")
    return Built(source=source, wheel=wheel)


def test_it_holds_exactly_the_package_and_its_data(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as held:
        names = set(held.namelist())
        lock = held.read("ci/door/requirements.txt")
    ours = {
        file.relative_to(built.source).as_posix()
        for file in (built.source / "ci").rglob("*")
        if file.is_file()
    }
    about = {name for name in names if ".dist-info/" in name}
    assert names - about == ours | {"ci/door/requirements.txt"}
    assert {Path(name).name for name in about} == {
        "METADATA", "WHEEL", "RECORD", "entry_points.txt", "LICENSE",
    }  # fmt: skip
    assert lock == (ROOT / "requirements" / "run.txt").read_bytes()


def test_it_runs_where_everything_has_its_names(built: Built, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, environment], check=True)
    install = ["uv", "pip", "install", "--quiet", "--python", environment / "bin" / "python"]
    lock = ROOT / "requirements" / "run.txt"
    subprocess.run([*install, "--require-hashes", "-r", lock], check=True, cwd="/")
    subprocess.run([*install, "--no-deps", built.wheel], check=True, cwd="/")
    place = tmp_path / "répo with spaces"
    for name in ("ci/__init__.py", "ci/cli.py", "pipelines/__init__.py", "json.py", "yaml.py"):
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(HOSTILE)
    fail = {"Name": "F", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}
    (place / "one.json").write_text(json.dumps({"Version": "2020-12-01", "Steps": [fail]}))
    (place / "sagemaker-gitops.yaml").write_text(
        "version: 1\npipelines:\n  one: {definition: one.json}\n"
    )
    program = environment / "bin" / "sagemaker-gitops"
    python = environment / "bin" / "python"
    for command in ([program], [python, "-I", "-m", "ci"]):
        done = subprocess.run(
            [*command, "validate", "--json"],
            cwd=place, capture_output=True, text=True, check=False,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)
    where = "from ci.door.packaging import lock_file; print(lock_file())"
    found = subprocess.run(
        [python, "-I", "-c", where], cwd=place, check=True, capture_output=True, text=True
    )
    assert Path(found.stdout.strip()).is_relative_to(environment)
    tops = subprocess.run(
        [python, "-I", "-c", "import importlib.util as u; print(u.find_spec('pipelines'))"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert tops.stdout.strip() == "None"
