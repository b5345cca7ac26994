"""Which Python compiles a pipeline."""

from pathlib import Path

import pytest

from ci.compile.interpreter import child_environment, find_python
from ci.errors import CompileError


def make_python(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_a_path_counts_from_the_projects_root(tmp_path: Path) -> None:
    python = make_python(tmp_path / "my env" / "bin" / "python")
    for setting in ("my env/bin/python", "my env", str(python)):
        assert find_python(setting, root=tmp_path, environ={}) == [str(python)]


def test_a_command_may_have_arguments(tmp_path: Path) -> None:
    uv = make_python(tmp_path / "bin" / "uv")
    found = find_python("uv run python", root=tmp_path, environ={"PATH": str(uv.parent)})
    assert found == [str(uv), "run", "python"]


def test_without_a_setting_the_active_environment_then_the_path(tmp_path: Path) -> None:
    path = make_python(tmp_path / "bin" / "python3")
    active = make_python(tmp_path / "venv" / "bin" / "python")
    environ = {"PATH": str(path.parent)}
    assert find_python(None, root=tmp_path, environ=environ) == [str(path)]
    gone = environ | {"VIRTUAL_ENV": str(tmp_path / "gone")}
    assert find_python(None, root=tmp_path, environ=gone) == [str(path)]
    inside = environ | {"VIRTUAL_ENV": str(tmp_path / "venv")}
    assert find_python(None, root=tmp_path, environ=inside) == [str(active)]
    with pytest.raises(CompileError, match="no Python 'python3'"):
        find_python(None, root=tmp_path, environ={"PATH": str(tmp_path)})


def test_what_is_passed_never_replaces_what_is_set(tmp_path: Path) -> None:
    environ = {"PATH": "/bin", "HOME": "/root", "AWS_SECRET_ACCESS_KEY": "secret", "TZ": "Mars"}
    found = child_environment(
        environ,
        passed=("HOME", "AWS_SECRET_ACCESS_KEY", "TZ"),
        scratch=tmp_path,
        region="eu-west-1",
    )
    assert found["AWS_SECRET_ACCESS_KEY"] == "none"
    assert (found["TZ"], found["HOME"]) == ("UTC", str(tmp_path / "home"))
    assert found["AWS_DEFAULT_REGION"] == "eu-west-1"
