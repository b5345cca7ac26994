"""The reference pipeline's scripts, run as the processes they are in their containers."""

import ast
import csv
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.abalone import HEADER, ROW, done, failed, run, train
from support.model_env import PIPELINE, model_environment

pytestmark = pytest.mark.sdk


def rows(folder: Path) -> list[tuple[str, ...]]:
    (file,) = folder.glob("*.csv")
    return [tuple(row) for row in csv.reader(file.read_text().splitlines())][1:]


@pytest.mark.parametrize("script", ["prepare.py", "train.py", "evaluate.py", "inference.py"])
def test_scripts_keep_to_the_python_of_the_prebuilt_container(script: str) -> None:
    tree = ast.parse((PIPELINE / script).read_text(), feature_version=(3, 8))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    # scikit-learn cannot be installed without joblib and threadpoolctl.
    allowed = {"numpy", "pandas", "sklearn", "joblib", "threadpoolctl", "boto3", "botocore"}
    assert imported - allowed <= sys.stdlib_module_names


def test_data_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        done("data.py", tmp_path / name / "abalone.csv")
    first, second = ((tmp_path / name / "abalone.csv").read_bytes() for name in ("a", "b"))
    assert first == second
    assert hashlib.sha256(first).hexdigest().startswith("ffa124af26414bfd")


def test_a_question_for_help_writes_no_data(tmp_path: Path) -> None:
    shutil.copy(PIPELINE / "data.py", tmp_path)
    python = model_environment() / "bin" / "python"
    asked = [str(python), "data.py", "--help"]
    told = subprocess.run(asked, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "FILE.csv" in told.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["data.py"]


def test_a_folder_for_the_data_is_refused_in_words(tmp_path: Path) -> None:
    asked = [str(model_environment() / "bin" / "python"), str(PIPELINE / "data.py"), str(tmp_path)]
    told = subprocess.run(asked, check=False, capture_output=True, text=True)
    assert told.returncode == 2
    assert told.stderr.endswith(f"error: {tmp_path} cannot be written: Is a directory\n")


def test_every_row_is_in_one_set_whatever_the_order(sets: Path, tmp_path: Path) -> None:
    parts = {name: rows(sets / name) for name in ("train", "validation", "test")}
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 2922,
        "validation": 609,
        "test": 644,
    }
    lines = (sets / "raw" / "abalone.csv").read_text().splitlines()
    (tmp_path / "raw").mkdir()
    half = len(lines) // 2
    (tmp_path / "raw" / "a.csv").write_text("\n".join([lines[0], *reversed(lines[half:])]))
    (tmp_path / "raw" / "b.csv").write_text("\n".join(lines[:half]))
    done("prepare.py", "--input", tmp_path / "raw", "--output", tmp_path)
    for name, part in parts.items():
        assert sorted(rows(tmp_path / name)) == sorted(part)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a CSV file"),
        (b"\xff\xfe\x00garbage", "not a CSV file"),
        (b"M,1,2\n", "no column sex, length"),
        (f"{HEADER}\n{ROW}\n{ROW.replace('0.455', 'çok')}\n".encode(), "data.csv:3: length is not"),
        (f"{HEADER}\n{ROW}\n\n{ROW.replace('M', 'X')}\n".encode(), "data.csv:4: sex is one of"),
        (f"{HEADER}\n{ROW.replace('0.15,', 'inf,')}\n".encode(), "data.csv:2: shell_weight"),
        (f"{HEADER}\n{ROW},1,2,3\n{ROW}\n".encode(), "sex is one of"),
        (f"{HEADER}\n{ROW}\n".encode(), "leave the"),
    ],
)
def test_data_that_cannot_be_used_is_refused_by_line(
    tmp_path: Path, content: bytes, says: str
) -> None:
    (tmp_path / "data.csv").write_bytes(content)
    assert says in failed("prepare.py", "--input", tmp_path, "--output", tmp_path / "out")


def test_no_data_is_refused(tmp_path: Path) -> None:
    assert "InputData" in failed("prepare.py", "--input", tmp_path, "--output", tmp_path)


def test_training_is_deterministic_and_prints_its_metrics(sets: Path, tmp_path: Path) -> None:
    arguments = ("--model", "forest", "--trees", 20, "--random-state", 3)
    first, second = (train(sets, tmp_path / name, *arguments) for name in ("a", "b"))
    assert first == second
    assert "validation:rmse=2." in first
    for file in ("model.joblib", "code/inference.py"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_training_refuses_what_it_cannot_use(sets: Path, tmp_path: Path) -> None:
    where = ("--train", sets / "train", "--model-dir", tmp_path / "model")
    assert "no *.csv" in failed("train.py", *where, "--validation", tmp_path)
    (tmp_path / "v.csv").write_text("sex,length\nM,1\n")
    assert "column rings" in failed("train.py", *where, "--validation", tmp_path)
    wrong = run("train.py", *where, "--model", "oracle")
    assert wrong.returncode == 2
    assert "invalid choice" in wrong.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="binding /opt/ml in a mount namespace needs root")
def test_without_arguments_the_scripts_use_the_folders_of_the_container(
    sets: Path, tmp_path: Path
) -> None:
    root = tmp_path / "ml"
    for folder in ("processing/input/raw", "input/data", "output", "model"):
        (root / folder).mkdir(parents=True)
    shutil.copy(sets / "raw" / "abalone.csv", root / "processing" / "input" / "raw")
    bind = f"mkdir -p /opt/ml && mount --bind '{root}' /opt/ml && exec \"$@\""
    # /opt is made this namespace's own first, so that no folder is left on the machine.
    private = ("unshare", "--mount", "sh", "-c", f"mount -t tmpfs tmpfs /opt && {bind}", "sh")
    done("prepare.py", before=private)
    for name in ("train", "validation"):
        shutil.copytree(root / "processing" / "output" / name, root / "input" / "data" / name)
    done("train.py", before=private)
    assert (root / "model" / "model.joblib").exists()
    shutil.rmtree(root / "input" / "data" / "train")
    failed("train.py", before=private)
    assert "no *.csv file" in (root / "output" / "failure").read_text()
