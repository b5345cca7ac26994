"""The compile cache: the same reads start no child, and whatever was read and changed does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.cache_lab import READER, Lab, steps_of, with_reader
from support.compiling import sdk_python


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture
def reader(lab: Lab) -> Lab:
    return with_reader(lab)


def test_unchanged_source_starts_no_child(reader: Lab) -> None:
    first = reader.compile()
    assert reader.children == 1
    again = reader.compile()
    assert reader.children == 1
    assert again == first
    assert again.definition == first.definition


def test_what_changes_and_was_not_read_does_not_matter(reader: Lab) -> None:
    reader.compile()
    reader.write("README.md", "unread")
    reader.write("__pycache__/train.cpython-311.pyc", "byte code")
    os.utime(reader.root / "helper.py", (1, 1))
    reader.compile()
    assert reader.children == 1


def test_what_this_program_writes_beside_a_project_does_not_matter(lab: Lab) -> None:
    """A deploy leaves its reports there: the plan after it is of the same source."""
    lab.module(
        """
        def get_pipeline():
            own = HERE / ".sagemaker-gitops"
            kept = [file.name for file in own.rglob("*")] if own.exists() else []
            return Pipeline(sorted(file.name for file in HERE.iterdir()) + kept)
        """
    )
    assert ".sagemaker-gitops" not in steps_of(lab.compile())
    lab.write(".sagemaker-gitops/reports/main/demo.json", "{}")
    assert ".sagemaker-gitops" not in steps_of(lab.compile())
    assert lab.children == 1
    lab.write("another.txt", "")
    lab.compile()
    lab.write(".sagemaker-gitops/reports/main/demo.json", '{"another": 1}')
    lab.compile()
    assert lab.children == 2


def edit_module(lab: Lab) -> None:
    lab.module(READER.replace("depth=1", "depth=2"))


def edit_imported(lab: Lab) -> None:
    lab.write("helper.py", "VALUE = 2\n")


def edit_data(lab: Lab) -> None:
    lab.write("code/train.py", "other\n")


def add_to_listed(lab: Lab) -> None:
    lab.write("code/new.py", "new\n")


def remove_from_listed(lab: Lab) -> None:
    (lab.root / "code" / "train.py").unlink()


def rename_in_listed(lab: Lab) -> None:
    (lab.root / "code" / "train.py").rename(lab.root / "code" / "fit.py")


def add_what_was_looked_for(lab: Lab) -> None:
    lab.write("extra.txt", "")


def add_what_was_missing(lab: Lab) -> None:
    lab.write("maybe.json", "{}")


def resize_what_was_measured(lab: Lab) -> None:
    lab.write("sized.bin", "123456")


def shadow_a_module(lab: Lab) -> None:
    """A package beside the module comes first in the search, and was not there."""
    lab.write("helper/__init__.py", "VALUE = 3\n")


@pytest.mark.parametrize(
    "change",
    [
        edit_module,
        edit_imported,
        edit_data,
        add_to_listed,
        remove_from_listed,
        rename_in_listed,
        add_what_was_looked_for,
        add_what_was_missing,
        resize_what_was_measured,
        shadow_a_module,
    ],
)
def test_what_was_read_and_changed_compiles_again(reader: Lab, change: object) -> None:
    before = reader.compile()
    change(reader)  # type: ignore[operator]
    after = reader.compile()
    assert reader.children == 2
    assert before.digest != after.digest
    reader.compile()
    assert reader.children == 2


def test_byte_code_does_not_hide_the_source(reader: Lab) -> None:
    command = [sys.executable, "-m", "compileall", "-q", "-l", reader.root]
    subprocess.run(command, check=True)
    assert steps_of(reader.compile())[0] == "1"
    reader.write("helper.py", "VALUE = 22\n")  # of another size: Python tells byte code by it
    assert steps_of(reader.compile())[0] == "22"
    assert reader.children == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"kwargs": {"depth": 2}},
        {"pass_environment": ("TEAM",), "environ": {"TEAM": "ml"}},
        {"environ": {"LANG": "C"}},
        {"function": "other"},
    ],
)
def test_another_request_is_another_compile(reader: Lab, settings: dict[str, object]) -> None:
    reader.module(READER + "\nother = get_pipeline\n")
    reader.compile()
    reader.compile(**dict(settings))
    assert reader.children == 2
    reader.compile(**dict(settings))
    assert reader.children == 2


def test_a_value_that_is_not_passed_does_not_count(reader: Lab) -> None:
    reader.compile(environ={"GITHUB_TOKEN": "one"})
    reader.compile(environ={"GITHUB_TOKEN": "two"})
    assert reader.children == 1


def test_a_passed_value_that_changes_compiles_again(reader: Lab) -> None:
    for team in ("a", "b", "a"):
        bundle = reader.compile(pass_environment=("TEAM",), environ={"TEAM": team})
        assert steps_of(bundle)[2] == team
    assert reader.children == 2
    assert "TEAM" not in "".join(path.name for path in reader.cache.rglob("*"))


@pytest.fixture
def venv(lab: Lab) -> Path:
    folder = lab.folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    packages = next(folder.glob("lib/python3*/site-packages"))
    (packages / "sagemaker-3.0.0.dist-info").mkdir()
    (packages / "sagemaker-3.0.0.dist-info" / "RECORD").write_text("one")
    return folder


def upgrade(packages: Path) -> None:
    (packages / "sagemaker-3.0.0.dist-info").rename(packages / "sagemaker-3.0.1.dist-info")


def reinstall(packages: Path) -> None:
    (packages / "sagemaker-3.0.0.dist-info" / "RECORD").write_text("one, and another file")


def add_package(packages: Path) -> None:
    (packages / "helper.py").write_text("VALUE = 'installed'")


@pytest.mark.parametrize("change", [upgrade, reinstall, add_package])
def test_another_environment_compiles_again(reader: Lab, venv: Path, change: object) -> None:
    python = str(venv / "bin" / "python")
    reader.compile(python=python)
    reader.compile(python=python)
    assert reader.children == 1
    change(next(venv.glob("lib/python3*/site-packages")))  # type: ignore[operator]
    reader.compile(python=python)
    assert reader.children == 2


def test_another_python_compiles_again(reader: Lab, venv: Path) -> None:
    reader.compile()
    reader.compile(python=str(venv / "bin" / "python"))
    assert reader.children == 2


def test_a_command_that_picks_its_python_is_not_cached(reader: Lab) -> None:
    for _ in range(2):
        reader.compile(python=f"env {sys.executable}")
    assert reader.children == 2
    assert reader.entries == []


def test_live_is_never_cached(reader: Lab) -> None:
    for _ in range(2):
        reader.compile(live=True)
    assert reader.children == 2
    assert reader.entries == []


@pytest.mark.parametrize(
    "start",
    ["import subprocess; subprocess.run(['true'])", "os.system('true')", "os.waitpid(fork(), 0)"],
)
def test_a_module_that_starts_processes_is_not_cached(lab: Lab, start: str) -> None:
    lab.module(
        f"""
        def fork():
            return os.fork() or os._exit(0)
        def get_pipeline():
            {start}
            return Pipeline([])
        """
    )
    for _ in range(2):
        lab.compile()
    assert lab.children == 2


@pytest.mark.sdk
@pytest.mark.parametrize("version", ["v2", "v3"])
def test_bundles_of_the_sdk_come_back_whole(lab: Lab, version: str) -> None:
    zoo = lab.root / "zoo"
    shutil.copytree(Path(__file__).parent / "zoo", zoo)
    source, python = zoo / f"pipeline_{version}.py", sdk_python(version)
    first = lab.compile(source=source, python=python)
    again = lab.compile(source=source, python=python)
    assert lab.children == 1
    assert (again.digest, again.definition) == (first.digest, first.definition)
    assert again.artifacts.keys() == first.artifacts.keys()
    (zoo / "code" / "package" / "model.py").write_text("changed = True\n")
    changed = lab.compile(source=source, python=python)
    assert lab.children == 2
    assert changed.digest != first.digest
