"""An endpoint killed in the middle: nothing runs on, nothing is lost, nothing is doubled."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.engine_lab import Lab, processing, source
from support.loopback_s3 import LoopbackS3

from ci.local.engine.isolate import end_leftovers, start_time

_CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from support.engine_lab import Lab
class S3: address = sys.argv[2]
lab = Lab(Path(sys.argv[1]), S3())
lab.engine.resume_all()
time.sleep(60)
"""


def _endpoint(lab: Lab) -> subprocess.Popen[bytes]:
    tests = str(Path(__file__).parent.parent)
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(lab.home), lab.s3.address, tests],
        start_new_session=True,
    )


def _pids(lab: Lab, step: str) -> list[int]:
    found = []
    for file in sorted(lab.home.glob(f"steps/*/{step}/*/process")):
        text = file.read_text()
        if text:
            found.append(int(json.loads(text)["pid"]))
    return found


def _steps() -> list[dict[str, object]]:
    slow = (
        "import os, subprocess, sys, time\n"
        "if os.path.exists('/opt/ml/processing/i/go'): sys.exit(0)\n"
        "subprocess.Popen(['sleep', '60']); print('up', flush=True); time.sleep(60)"
    )
    inputs = [source("i", "s3://b/i", "/opt/ml/processing/i")]
    return [
        processing("Done", "pass"),
        processing("Slow", slow, "Done", ProcessingInputs=inputs),
        processing("Last", "pass", "Slow"),
    ]


@pytest.mark.parametrize("launcher_too", [False, True])
def test_a_kill_in_the_middle_loses_nothing(lab: Lab, launcher_too: bool) -> None:
    lab.s3.objects["b/i/wait"] = b""
    arn = lab.record(_steps())
    child = _endpoint(lab)
    logs = "steps/*/Slow/1/log"
    lab.until(lambda: any("up" in f.read_text() for f in lab.home.glob(logs)), 20)
    done = lab.step(arn, "Done")
    (slow,) = _pids(lab, "Slow")
    group = [p for p in _all_pids() if _group(p) == slow]
    assert len(group) == 2
    if launcher_too:
        os.kill(_parent(slow), signal.SIGSTOP)
    child.send_signal(signal.SIGKILL)
    child.wait()
    if launcher_too:
        os.kill(_parent(slow), signal.SIGKILL)
    else:
        lab.until(lambda: not any(_running(p) for p in group), 5)
    lab.s3.objects["b/i/go"] = b""
    lab.engine.resume_all()
    ended = lab.finish(arn)
    assert ended.status == "Succeeded", ended.reasons()
    assert not any(_running(p) for p in group)
    assert ended.steps["Done"] == done
    assert len(_pids(lab, "Done")) == 1
    assert len(_pids(lab, "Slow")) == 2


def test_an_orderly_end_is_no_failure_either(make_lab: Callable[..., Lab], s3: LoopbackS3) -> None:
    lab = make_lab()
    s3.objects["b/i/wait"] = b""
    arn = lab.record(_steps())
    lab.engine.submit(arn)
    lab.until(lambda: any("up" in f.read_text() for f in lab.home.glob("steps/*/Slow/1/log")))
    begun = time.monotonic()
    lab.engine.close()
    assert time.monotonic() - begun < 5
    assert (lab.store.get("execution", arn) or {})["PipelineExecutionStatus"] == "Executing"
    s3.objects["b/i/go"] = b""
    lab.engine = lab.make_engine()
    lab.engine.resume_all()
    ended = lab.finish(arn)
    assert ended.status == "Succeeded", ended.reasons()


def test_an_execution_that_was_stopping_is_stopped_after_a_restart(lab: Lab) -> None:
    arn = lab.record([processing("A", "pass")], PipelineExecutionStatus="Stopping")
    lab.engine.resume_all()
    ended = lab.finish(arn)
    assert ended.status == "Stopped"
    assert ended.steps == {}


def test_a_pid_that_was_given_to_another_process_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        (tmp_path / "process").write_text(json.dumps({"pid": other.pid, "start": "1"}))
        assert not end_leftovers(tmp_path)
        assert other.poll() is None
        own = {"pid": other.pid, "start": start_time(other.pid)}
        (tmp_path / "process").write_text(json.dumps(own))
        assert end_leftovers(tmp_path)
        assert other.wait(5) == -signal.SIGKILL


def _all_pids() -> list[int]:
    return [int(e.name) for e in Path("/proc").iterdir() if e.name.isdigit()]


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["Z", "0", "0"]


def _running(pid: int) -> bool:
    return _stat(pid)[0] != "Z"


def _parent(pid: int) -> int:
    return int(_stat(pid)[1])


def _group(pid: int) -> int:
    return int(_stat(pid)[2])
