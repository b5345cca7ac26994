"""What a step's process is given and what it is not, and what becomes of it when its launcher
dies."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from support.engine_lab import Lab, processing


def _log(lab: Lab, step: str) -> str:
    return "".join(f.read_text() for f in sorted(lab.home.glob(f"steps/*/{step}/*/log")))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("mode", ["root", "user"])
def test_a_process_begins_as_in_a_container(make_lab: Callable[..., Lab], mode: str) -> None:
    script = (
        "import os, signal, sys\n"
        "numbers = ('SIGTERM', 'SIGHUP', 'SIGINT', 'SIGCHLD')\n"
        "print([n for n in numbers if signal.getsignal(getattr(signal, n)) == signal.SIG_IGN])\n"
        "print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1], sys.stdin.read() == '')\n"
        "print(oct(os.umask(0)), os.getsid(0) == os.getpid(), os.getcwd())\n"
        "print(os.listdir('/opt/ml'))"
    )
    lab = make_lab(isolation=mode)
    ended = lab.run([processing(f"S{n}", script, *([f"S{n - 1}"] if n else [])) for n in range(3)])
    assert ended.status == "Succeeded", ended.reasons()
    for number in range(3):
        signals, files, rest, folders = _log(lab, f"S{number}").splitlines()
        assert (signals, files, rest) == ("[]", "[0, 1, 2] True", "0o22 True /")
        assert sorted(folders[2:-2].split("', '")) == ["config", "output", "processing"]


def test_an_environment_larger_than_a_packet_arrives_whole(lab: Lab) -> None:
    environment = {f"NAME{n}": "ä" * 1000 for n in range(100)}
    script = "import os; print(sum(len(v) for k, v in os.environ.items() if k[:4] == 'NAME'))"
    ended = lab.run([processing("Large", script, Environment=environment)])
    assert ended.status == "Succeeded", ended.reasons()
    assert _log(lab, "Large").strip() == "100000"


def test_a_step_whose_launcher_is_killed_ends_and_fails(lab: Lab) -> None:
    script = (
        "import os, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        "print(os.getpid(), child.pid, os.getppid(), flush=True); time.sleep(60)"
    )
    arn = lab.record([processing("Long", script), processing("After", "pass")])
    lab.engine.submit(arn)
    lab.until(lambda: _log(lab, "Long").endswith("\n"))
    step, child, launcher = map(int, _log(lab, "Long").split())
    lab.until(lambda: lab.step(arn, "After").get("StepStatus") == "Succeeded")
    os.kill(launcher, signal.SIGKILL)
    ended = lab.finish(arn)
    assert ended.statuses() == {"Long": "Failed", "After": "Succeeded"}
    assert "The step launcher ended" in ended.reason("Long")
    lab.until(lambda: not _alive(step) and not _alive(child))
    assert lab.run([processing("Again", "pass")]).status == "Succeeded"


@pytest.mark.parametrize("beside", [False, True])
def test_what_leaves_its_session_and_its_environment_ends_with_its_step(
    make_lab: Callable[..., Lab], tmp_path: Path, beside: bool
) -> None:
    """A daemon with an empty environment, its marked child, and that one's child."""
    lab = make_lab(isolation="root")
    go = tmp_path / "go"
    grandchild = "import time; time.sleep(60)"
    child = (
        "import os, subprocess, sys, time\n"
        f"one = subprocess.Popen([sys.executable, '-c', {grandchild!r}], start_new_session=True)\n"
        "print(os.getpid(), one.pid, flush=True); time.sleep(60)"
    )
    script = (
        "import os, subprocess, sys\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True, env={{}})\n"
        f"while not os.path.exists({str(go)!r}): pass"
    )
    steps = [processing("Leaves", script)]
    if beside:
        steps.append(
            processing(
                "Beside",
                f"import time, os\nwhile not os.path.exists({str(go)!r} + '2'): time.sleep(0.01)",
            )
        )
    arn = lab.record(steps)
    lab.engine.submit(arn)
    lab.until(lambda: _log(lab, "Leaves").endswith("\n"))
    left = list(map(int, _log(lab, "Leaves").split()))
    assert all(map(_alive, left))
    go.touch()
    lab.until(lambda: lab.step(arn, "Leaves").get("StepStatus") == "Succeeded")
    lab.until(lambda: not any(map(_alive, left)))
    (tmp_path / "go2").touch()
    assert lab.finish(arn).status == "Succeeded"


def test_a_retry_may_come_as_soon_as_the_end_is_told(lab: Lab) -> None:
    arn = lab.record([processing("Bad", "raise SystemExit(1)")])
    lab.engine.submit(arn)
    for attempt in range(1, 9):
        while (lab.store.get("execution", arn) or {})["PipelineExecutionStatus"] != "Failed":
            time.sleep(0.0005)
        assert len(list(lab.home.glob("steps/*/Bad/*"))) == attempt
        lab.engine.retry(arn)
        assert (lab.store.get("execution", arn) or {}).get("FailureReason") is None
    assert lab.finish(arn).status == "Failed"


def test_steps_side_by_side_and_one_after_another_all_run_once(lab: Lab) -> None:
    steps = [processing(f"A{n}", "pass") for n in range(4)]
    steps += [processing(f"B{n}", "pass", *(f"A{m}" for m in range(4))) for n in range(4)]
    steps += [processing("C", "pass", *(f"B{n}" for n in range(4)))]
    ended = lab.run(steps, parallel=3)
    assert ended.status == "Succeeded", ended.reasons()
    assert len(list(lab.home.glob("steps/*/*/*/process"))) == 9
    for name, body in ended.steps.items():
        before = {"A": [], "B": ["A"], "C": ["A", "B"]}[name[0]]
        for other, earlier in ended.steps.items():
            if other[0] in before:
                assert earlier["EndTime"] <= body["StartTime"]


def _fill(lab: Lab, size: int) -> None:
    for number in count():
        lab.store.put("junk", f"{size}-{number}", {"text": "x" * size})


def test_a_full_disk_delays_the_end_of_a_step_and_loses_nothing(lab: Lab, tmp_path: Path) -> None:
    go = tmp_path / "go"
    script = (
        "import os, time; print('up', flush=True)\n"
        f"while not os.path.exists({str(go)!r}): time.sleep(0.01)"
    )
    arn = lab.record([processing("Slow", script), processing("Next", "pass", "Slow")])
    lab.engine.submit(arn)
    lab.until(lambda: _log(lab, "Slow"))
    # SQLite says the same of a file that may grow no more as of a disk that is full.
    limit = "PRAGMA max_page_count = {}"
    lab.store._db.execute(limit.format(1))
    for size in (5_000, 500, 5):
        with pytest.raises(sqlite3.OperationalError, match="full"):
            _fill(lab, size)
    go.touch()
    with pytest.raises(AssertionError, match="come to pass"):
        lab.until(lambda: lab.step(arn, "Slow")["StepStatus"] != "Executing", 1.5)
    lab.store._db.execute(limit.format(1_000_000))
    ended = lab.finish(arn)
    assert ended.status == "Succeeded", ended.reasons()
    assert len(list(lab.home.glob("steps/*/Slow/*"))) == 1
