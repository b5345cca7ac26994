"""Real signals to real processes: ask to end, send the stop at once, end at once when pressed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

_CHILD = """
import json, socket, sys, time
from ci.errors import Interrupted
from ci.execution.cancel import Cancellation
from ci.project.model import OnCancel

mode, policy, out = sys.argv[1:4]
failures = int(sys.argv[4]) if len(sys.argv) > 4 else 0
told = []

def stop(arn, token):
    global failures
    if failures:
        failures -= 1
        raise OSError("no route")
    if arn == "arn:silent":
        time.sleep(60)
    assert len(token) >= 32
    told.append([arn, time.time()])
    open(out, "w").write(json.dumps(told))

with Cancellation(OnCancel(policy), stop) as cancellation:
    if mode != "late":
        if mode == "silent":
            cancellation.watch("arn:silent")
        cancellation.watch("arn:one")
    print("ready", flush=True)
    if mode == "blocked":
        ours, theirs = socket.socketpair()
        ours.settimeout(2.0)
        try:
            ours.recv(1)
        except TimeoutError:
            pass
    elif mode == "stuck":
        while True:
            time.sleep(60)
    while not cancellation.requested():
        cancellation.sleep(60)
    if mode == "late":
        cancellation.watch("arn:late")
    cancellation.wait_sent()
    if mode == "silent":
        assert cancellation.unanswered("arn:silent")
print(json.dumps({"stopped": cancellation.stopped, "problems": len(cancellation.problems)}))
sys.exit(130)
"""


def _start(folder: Path, mode: str, policy: str, *more: str) -> subprocess.Popen[str]:
    folder.mkdir(parents=True, exist_ok=True)
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", _CHILD, mode, policy, str(folder / "stops.json"), *more],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _stops(folder: Path) -> list[list[object]]:
    file = folder / "stops.json"
    return json.loads(file.read_text()) if file.exists() else []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("mode", ["sleeping", "blocked"])
def test_the_stop_is_sent_within_a_second(
    tmp_path: Path, number: signal.Signals, mode: str
) -> None:
    folder = tmp_path / "with space" / "ünïcode\n$(x)"
    process = _start(folder, mode, "stop")
    sent = time.time()
    process.send_signal(number)
    out, _ = process.communicate(timeout=90)
    assert process.returncode == 130
    assert json.loads(out) == {"stopped": ["arn:one"], "problems": 0}
    [[arn, moment]] = _stops(folder)
    assert arn == "arn:one"
    assert isinstance(moment, float)
    assert moment - sent < 1.0


def test_detach_sends_nothing(tmp_path: Path) -> None:
    process = _start(tmp_path, "sleeping", "detach")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=90)
    assert process.returncode == 130
    assert json.loads(out)["stopped"] == []
    assert _stops(tmp_path) == []


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    process = _start(tmp_path, "stuck", "stop")
    process.send_signal(signal.SIGINT)
    time.sleep(0.6)
    assert process.poll() is None
    pressed = time.time()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=90)
    assert time.time() - pressed < 1.0
    assert process.returncode == 130
    assert len(_stops(tmp_path)) == 1


def test_one_key_press_that_arrives_twice_is_one(tmp_path: Path) -> None:
    process = _start(tmp_path, "blocked", "stop")
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=90)
    assert json.loads(out)["stopped"] == ["arn:one"]


def test_an_execution_that_was_being_started_is_stopped_too(tmp_path: Path) -> None:
    process = _start(tmp_path, "late", "stop")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=90)
    assert json.loads(out)["stopped"] == ["arn:late"]
    assert [arn for arn, _ in _stops(tmp_path)] == ["arn:late"]


def test_a_stop_that_fails_is_tried_again_and_then_told(tmp_path: Path) -> None:
    process = _start(tmp_path / "passing", "sleeping", "stop", "2")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=90)
    assert json.loads(out) == {"stopped": ["arn:one"], "problems": 0}
    process = _start(tmp_path / "lasting", "sleeping", "stop", "99")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=90)
    assert json.loads(out) == {"stopped": [], "problems": 1}


def test_one_stop_without_an_answer_holds_neither_the_others_nor_the_end(tmp_path: Path) -> None:
    process = _start(tmp_path, "silent", "stop")
    sent = time.time()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=90)
    assert time.time() - sent < 7.0
    assert process.returncode == 130
    assert json.loads(out) == {"stopped": ["arn:one"], "problems": 0}
    [[arn, moment]] = _stops(tmp_path)
    assert arn == "arn:one"
    assert isinstance(moment, float)
    assert moment - sent < 1.0
