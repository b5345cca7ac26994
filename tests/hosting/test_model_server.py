"""The model server as a process: the container's defaults, odd scripts, and its lifeline."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.model_env import model_environment

from ci.local.serving.process import Answer, NotReady, ServingProcess

Start = Callable[..., ServingProcess]

SUM = """
class Model:
    def predict(self, data):
        return data.sum(axis=-1)
def model_fn(model_dir):
    return Model()
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(script, python=..., **environment)`: a ready process that serves the script."""
    running: list[ServingProcess] = []

    def begin(script: str, *, python: str = sys.executable, **environment: str) -> ServingProcess:
        code = tmp_path / "model" / "code"
        code.mkdir(parents=True)
        program = code / environment.get("SAGEMAKER_PROGRAM", "inference.py")
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(script, encoding="utf-8")
        process = ServingProcess(
            command=[python],
            arguments=[str(tmp_path / "model")],
            environment={"PATH": os.defpath, **environment},
            folder=tmp_path,
        )
        running.append(process)
        process.wait_ready(30)
        return process

    yield begin
    for process in running:
        process.stop()


def ask(process: ServingProcess, body: bytes, **headers: str) -> Answer:
    return process.invoke(
        body, {name.replace("_", "-"): value for name, value in headers.items()}, 20
    )


@pytest.mark.sdk
def test_a_script_with_model_fn_alone_gets_the_containers_defaults(start: Start) -> None:
    import struct

    process = start(SUM, python=str(model_environment() / "bin" / "python"))
    answer = ask(process, b"[[1, 2], [3, 4.5]]", Content_Type="application/json")
    assert (answer.status, json.loads(answer.body)) == (200, [3, 7.5])
    answer = ask(process, b"1,2\n3,4\n", Content_Type="text/csv", Accept="text/csv")
    assert (answer.content_type, answer.body) == ("text/csv", b"3.0\n7.0\n")
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }"
    header = header.ljust(117) + b"\n"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    array += struct.pack("<2d", 1.5, 2)
    answer = ask(process, array, Content_Type="application/x-npy", Accept="*/*")
    assert json.loads(answer.body) == [3.5]
    answer = ask(process, b"[1]", Content_Type="application/json", Accept="application/x-npy")
    assert io.BytesIO(answer.body).read(6) == b"\x93NUMPY"
    assert ask(process, b"<a/>", Content_Type="application/xml").status == 415
    assert ask(process, b"[1]", Content_Type="application/json", Accept="image/png").status == 406


def test_transform_fn_takes_the_place_of_the_three_steps(start: Start) -> None:
    script = """
def model_fn(model_dir): return "çelik"
def transform_fn(model, body, content_type, accept):
    return f"{model} {type(body).__name__} {content_type} {accept}"
"""
    process = start(script, SAGEMAKER_PROGRAM="deep/serve.py")
    answer = ask(process, b"x", Content_Type="text/plain", Accept="text/plain")
    assert answer.body.decode() == "çelik str text/plain text/plain"
    answer = ask(process, b"\xff", Content_Type="application/octet-stream", Accept="a/b")
    assert answer.body.decode() == "çelik bytes application/octet-stream a/b"
    assert ask(process, b"\xff", Content_Type="text/plain").status == 500


def test_answers_of_every_kind(start: Start) -> None:
    script = """
import json
class Response:
    mimetype = "image/x"
    def get_data(self): return b"drawn"
def model_fn(model_dir): return None
def input_fn(body, content_type): return json.loads(body)
def predict_fn(data, model): return data
def output_fn(data, accept):
    return {
        "text": "plain",
        "pair": (b"bytes", "a/b"),
        "response": Response(),
        "split": ("x", "a/b\\r\\nSet-Cookie: x"),
        "number": 7,
        "exit": None,
    }[data]
"""
    process = start(script)
    answers = {
        name: ask(process, json.dumps(name).encode(), Content_Type="application/json")
        for name in ("text", "pair", "response", "split", "number", "nothing")
    }
    assert (answers["text"].body, answers["text"].content_type) == (b"plain", "application/json")
    assert (answers["pair"].body, answers["pair"].content_type) == (b"bytes", "a/b")
    assert (answers["response"].body, answers["response"].content_type) == (b"drawn", "image/x")
    assert answers["split"].content_type == "a/bSet-Cookie: x"
    assert json.loads(answers["number"].body)["error"] == "TypeError"
    assert json.loads(answers["nothing"].body)["error"] == "KeyError"
    assert process.alive()


def test_requests_at_the_same_time_reach_the_script_one_by_one(start: Start) -> None:
    from concurrent.futures import ThreadPoolExecutor

    script = """
import json, time
inside = 0
def model_fn(model_dir): return None
def transform_fn(model, body, content_type, accept):
    global inside
    inside += 1
    seen = inside
    time.sleep(0.05)
    inside -= 1
    return str(seen)
"""
    process = start(script)
    with ThreadPoolExecutor(6) as pool:
        bodies = list(pool.map(lambda _: ask(process, b"x").body, range(6)))
    assert bodies == [b"1"] * 6


def test_a_process_that_does_not_come_up_tells_its_last_lines(start: Start) -> None:
    with pytest.raises(NotReady, match="no such weights: 🐚"):
        start("raise SystemExit('no such weights: 🐚')", LANG="C.UTF-8", PYTHONUTF8="1")


def test_a_serving_process_ends_with_whoever_started_it(tmp_path: Path) -> None:
    code = tmp_path / "model" / "code"
    code.mkdir(parents=True)
    (code / "inference.py").write_text(
        "import subprocess\ndef model_fn(d): return subprocess.Popen(['sleep', '300'])\n"
    )
    starter = f"""
import pathlib, sys, time
from ci.local.serving.process import ServingProcess
folder = pathlib.Path({str(tmp_path)!r})
process = ServingProcess(
    command=[sys.executable], arguments=[str(folder / "model")], environment={{}}, folder=folder
)
process.wait_ready(30)
print(process.pid, flush=True)
time.sleep(300)
"""
    with subprocess.Popen(
        [sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        group = int(parent.stdout.readline())
        assert os.getpgid(group) == group
        parent.send_signal(signal.SIGKILL)
    end = time.monotonic() + 10
    while _members(group) and time.monotonic() < end:
        time.sleep(0.05)
    assert _members(group) == []


def _members(group: int) -> list[str]:
    """Living processes of a process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(stat.parent.name)
    return found
