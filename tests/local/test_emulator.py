"""The emulator: its environment made once, and its state kept through the worst kill."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest
from support.dispatched import ROLE
from support.endpoint import client, running_endpoint

from ci.errors import LocalError
from ci.local.emulator import PYTHON_VARIABLE, REQUIREMENTS, Emulator, emulator_python
from ci.local.lifecycle import up

pytestmark = pytest.mark.endpoint


def test_every_requirement_is_pinned_by_hash() -> None:
    text = REQUIREMENTS.read_text().replace("\\\n", " ")
    requirements = [
        line for line in text.splitlines() if line and not line.lstrip().startswith("#")
    ]
    assert len(requirements) > 10
    assert all("==" in line and "--hash=sha256:" in line for line in requirements)
    assert not any(word in text for word in ("index-url", "http://", "https://"))


def test_its_environment_is_made_once_also_after_a_half_made_one(tmp_path: Path) -> None:
    uv_cache = subprocess.run(["uv", "cache", "dir"], capture_output=True, text=True, check=True)
    environ = dict(os.environ) | {
        "XDG_CACHE_HOME": str(tmp_path),
        "UV_CACHE_DIR": uv_cache.stdout.strip(),
    }
    environ.pop(PYTHON_VARIABLE, None)
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(emulator_python(environ))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    home = found[0].parents[1]
    made = (home / "ready").stat().st_mtime_ns
    assert emulator_python(environ) == found[0]
    assert (home / "ready").stat().st_mtime_ns == made
    (home / "ready").unlink()
    for package in home.glob("lib/*/site-packages/ministack/app.py"):
        package.unlink()
    assert emulator_python(environ) == found[0]
    check = [str(found[0]), "-I", "-c", "import boto3, ministack.app"]
    subprocess.run(check, check=True, capture_output=True)


def test_a_python_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=PYTHON_VARIABLE):
        emulator_python({PYTHON_VARIABLE: str(tmp_path / "none")})


def test_an_index_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    environ = {
        "XDG_CACHE_HOME": str(tmp_path),
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        "UV_OFFLINE": "1",
        "PATH": os.environ["PATH"],
    }
    with pytest.raises(LocalError) as caught:
        emulator_python(environ)
    assert PYTHON_VARIABLE in str(caught.value)
    assert not list(tmp_path.glob("sagemaker-gitops/*/ready"))


@pytest.mark.parametrize("program", ["import time; time.sleep(60)", "raise SystemExit('no')"])
def test_one_that_hangs_or_ends_at_once_is_given_up_and_told(tmp_path: Path, program: str) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\n{program}\n")
    python.chmod(0o755)

    async def start() -> LocalError:
        emulator = Emulator(
            python=python, home=tmp_path / "home", region="us-east-1", front="", ready_seconds=0.2
        )
        await emulator.start()
        await asyncio.wait_for(emulator.failed.wait(), 20)
        await emulator.stop()
        return emulator.failure()

    told = asyncio.run(start())
    assert "cannot be kept running" in told.what
    assert ("did not answer" in str(told)) == ("sleep" in program)


def test_one_that_cannot_be_started_again_is_told(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nrm -f {python}\n")
    python.chmod(0o755)

    async def start() -> LocalError:
        emulator = Emulator(python=python, home=tmp_path / "home", region="us-east-1", front="")
        await emulator.start()
        await asyncio.wait_for(emulator.failed.wait(), 20)
        await emulator.stop()
        return emulator.failure()

    assert "FileNotFoundError" in str(asyncio.run(start()))


def test_functions_and_parameters_survive_when_all_processes_are_killed(tmp_path: Path) -> None:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", "def handler(event, context):\n    return event['n'] + 1\n")
    with running_endpoint(tmp_path) as endpoint:
        functions, ssm = client(endpoint, "lambda"), client(endpoint, "ssm")
        functions.create_function(
            FunctionName="adds",
            Runtime="python3.11",
            Role=ROLE,
            Handler="index.handler",
            Code={"ZipFile": code.getvalue()},
        )
        ssm.put_parameter(Name="kept", Value="v", Type="String")
        _wait_for_text(tmp_path / "emulator" / "lambda.json", "adds")
        _wait_for_text(tmp_path / "emulator" / "ssm.json", "kept")
        emulator = int((tmp_path / "emulator.pid").read_text())
        os.kill(emulator, signal.SIGKILL)
        os.kill(endpoint.pid, signal.SIGKILL)
        assert up(tmp_path).address == endpoint.address
        answer = functions.invoke(FunctionName="adds", Payload=b'{"n": 1}')
        assert json.loads(answer["Payload"].read()) == 2
        assert ssm.get_parameter(Name="kept")["Parameter"]["Value"] == "v"
        functions.close()
        ssm.close()


def _wait_for_text(file: Path, text: str) -> None:
    deadline = time.monotonic() + 10
    while not (file.exists() and text in file.read_text()):
        assert time.monotonic() < deadline, f"{file.name} was not saved in time"
        time.sleep(0.05)
