"""doors/environment.sh where little is as it should be: no uv, no venv, odd paths, few tools."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.acting import copy_action
from uv import find_uv_bin

ROOT = Path(__file__).parents[2]
PROBE = "import ci, json, sys; print(ci.__file__, json.__file__, *sys.path, sep='\\n')"
# What the script may call beside the shell's own: all of it is on a macOS runner too.
TOOLS = ("bash", "git", "ln", "mkdir")
# Newer than bash 3.2, which is what macOS has.
NEWER_BASH = re.compile(
    r"declare -[A-Za-z]*A|local -n|mapfile|readarray|coproc|&>>|\|&|;;&|wait -n|\[\[ -v|"
    r"\$\{[^}]*(\^|,,|@[A-Za-z])\}|printf [^|]*%\([^)]*\)T|read -[a-z]*[Ni]\b"
)
# Flags that GNU's tools have and BSD's have not.
GNU_ONLY = re.compile(
    r"readlink -f|realpath|sed -i |stat -c|date -d|cp --|mktemp --|ln -[a-z]*r|sort -V|grep -P"
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def action(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_action(tmp_path_factory.mktemp("äction with spaces") / "sagemaker gitops")


def make(
    action: Path, folder: Path, cache: Path, environ: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    script = action / "doors" / "environment.sh"
    return subprocess.run(
        ["bash", script, action, folder, cache],
        cwd=folder.parent, env={**os.environ, **(environ or {})},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def tools(folder: Path, *names: str) -> str:
    """A PATH that holds these tools and no others."""
    folder.mkdir(parents=True)
    for name in names:
        # The program itself: what stands on PATH may be a script of a version manager.
        found = find_uv_bin() if name == "uv" else shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    (folder / "python3").symlink_to(sys.executable)
    return str(folder)


def check(made: "subprocess.CompletedProcess[str]", action: Path) -> Path:
    """The environment's Python runs the program of the action, from a folder of hostile names."""
    assert made.returncode == 0, made.stderr
    python = Path(made.stdout.strip())
    place = python.parents[2] / "hostile"
    (place / "ci").mkdir(parents=True)
    for name in ("ci/__init__.py", "json.py"):
        (place / name).write_text("raise SystemExit('from the current folder')\n")
    done = subprocess.run(
        [python, "-I", "-c", PROBE], cwd=place, capture_output=True, text=True, check=True
    )
    program, _, *path = done.stdout.splitlines()
    assert Path(program).resolve() == (action / "ci" / "__init__.py").resolve()
    assert str(action) not in path
    return python


def test_odd_paths_few_tools_and_settings_of_the_job(action: Path, tmp_path: Path) -> None:
    (tmp_path / "uv.toml").write_text("not = [toml")
    path = tools(tmp_path / "bin", *TOOLS, "uv")
    # A version manager's Python, which fails where the repository asks for one that is not there.
    (tmp_path / ".python-version").write_text("3.99")
    shim = tmp_path / "bin" / "python3"
    shim.unlink()
    shim.write_text(f'#!/bin/bash\n[ ! -e .python-version ] && exec "{sys.executable}" "$@"\n')
    shim.chmod(0o755)
    environ = {
        "PATH": path, "VIRTUAL_ENV": "/nonsense", "UV_EXCLUDE_NEWER": "2001-01-01",
        "UV_MANAGED_PYTHON": "1", "UV_BUILD_CONSTRAINT": "/nonsense", "UV_WORKING_DIR": "/nonsense",
        "UV_NO_VERIFY_HASHES": "1", "UV_NO_BUILD_PACKAGE": "x", "UV_PYTHON_PREFERENCE": "nonsense",
    }  # fmt: skip
    folder = tmp_path / "ordner mit ünïcode $(touch pwned)"
    first = make(action, folder, tmp_path / "cache", environ)
    python = check(first, action)
    (tmp_path / "sagemaker-gitops.yaml").write_text(
        "version: 1\npipelines:\n  a: {source: a.py:a}\n"
    )
    (tmp_path / "a.py").touch()
    local = subprocess.run(
        [python, "-I", "-m", "ci", "local", "up"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert local.returncode == 6
    assert "sagemaker-gitops[local]" in local.stderr
    assert "Traceback" not in local.stderr
    begun = time.monotonic()
    again = make(action, folder, tmp_path / "cache", environ)
    assert again.stdout == first.stdout
    assert time.monotonic() - begun < 10
    assert not list(tmp_path.rglob("pwned"))


def test_without_a_uv_that_runs_it_is_brought_and_work_beside_downloads_is_short(
    action: Path, tmp_path: Path
) -> None:
    path = tools(tmp_path / "bin", *TOOLS)
    # As uv 0.4, which does not know the options.
    old = tmp_path / "bin" / "uv"
    old.write_text('#!/bin/bash\n[ "$1" = --version ] && echo uv 0.4.0 && exit 0\nexit 2\n')
    old.chmod(0o755)
    environ = {"PATH": path, "PIP_USER": "1", "PIP_TARGET": str(tmp_path / "elsewhere")}
    begun = time.monotonic()
    check(make(action, tmp_path / "first", tmp_path / "cache", environ), action)
    cold = time.monotonic() - begun
    # Everything is downloaded by now: what is left is the work.
    begun = time.monotonic()
    made = make(action, tmp_path / "second", tmp_path / "cache", {})
    warm = time.monotonic() - begun
    check(made, action)
    print(f"environment: {cold:.1f} s with downloads and without uv, {warm:.1f} s of work")
    assert warm < 10


def test_a_cache_in_the_way_is_left_alone(action: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.write_text("a file")
    made = make(action, tmp_path / "tools", cache)
    check(made, action)
    assert "is not used" in made.stderr
    assert cache.read_text() == "a file"


@contextmanager
def index() -> Iterator[tuple[str, list[str]]]:
    """An index of packages that has none: its address, and what it was asked for."""
    asked: list[str] = []

    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/company", asked
        server.shutdown()


@pytest.mark.parametrize("told", ["UV_INDEX_URL", "PIP_INDEX_URL", "pip.conf"])
def test_packages_come_from_the_index_that_uv_or_pip_is_told(
    action: Path, tmp_path: Path, told: str
) -> None:
    with index() as (address, asked):
        settings = tmp_path / "pip.conf"
        settings.write_text(f"[global]\nindex-url = {address}\n" if told == "pip.conf" else "")
        # The machine's own Python: an environment may have no pip to ask.
        python = str(Path(sys.executable).resolve())
        environ = {"PIP_CONFIG_FILE": str(settings), "SAGEMAKER_GITOPS_RUNTIME": python}
        if told != "pip.conf":
            environ[told] = address
        made = make(action, tmp_path / "tools", tmp_path / "cache", environ)
    assert made.returncode == 2
    assert "An index of your own is named by UV_INDEX_URL" in made.stderr
    assert asked
    assert all(path.startswith("/company/") for path in asked)


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("git", "apt-get install -y git"),
        ("venv", "apt-get install -y python3-venv"),
        ("python", "Python 3.11 or newer is missing"),
    ],
)
def test_what_is_missing_is_named(action: Path, tmp_path: Path, missing: str, told: str) -> None:
    path = tools(tmp_path / "bin", *(tool for tool in TOOLS if tool != missing))
    python = tmp_path / "bin" / "python3"
    python.unlink()
    if missing == "venv":
        # As Debian's python3 without python3-venv.
        script = f'#!/bin/bash\n[ "$3" = venv ] && exit 1\nexec "{sys.executable}" "$@"\n'
        python.write_text(script)
        python.chmod(0o755)
    elif missing == "git":
        python.symlink_to(sys.executable)
    made = make(action, tmp_path / "tools", tmp_path / "cache", {"PATH": path})
    assert made.returncode == 2
    assert told in made.stderr
    assert "Traceback" not in made.stderr
    assert made.stderr.startswith("::error title=sagemaker-gitops::") or missing == "venv"


@pytest.mark.parametrize(
    "script", sorted((ROOT / "doors").glob("*.sh")), ids=lambda file: file.name
)
def test_it_runs_in_the_bash_and_with_the_tools_of_macos(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert not NEWER_BASH.findall(text)
    assert not GNU_ONLY.findall(text)
    assert text.startswith("#!/usr/bin/env bash\n")
    assert os.access(script, os.X_OK)
