"""Executions on real processes: what runs, in which order, and what is left behind."""

import json
import time
from pathlib import Path

from support.engine_lab import Lab, processing, source, target


def test_data_goes_from_step_to_step_through_s3_and_properties(lab: Lab) -> None:
    lab.s3.objects["b/in/deep/a.txt"] = b"one"
    make = "import pathlib as p; t = p.Path('/opt/ml/processing/i/deep/a.txt').read_text()\n"
    make += "p.Path('/opt/ml/processing/o/b.txt').write_text(t + ' two')"
    show = "print(open('/opt/ml/processing/i/b.txt').read())\n"
    show += "print(open('/opt/ml/config/processingjobconfig.json').read())"
    first = processing(
        "First",
        make,
        ProcessingInputs=[source("i", "s3://b/in", "/opt/ml/processing/i")],
        ProcessingOutputConfig={
            "Outputs": [
                target(
                    "o",
                    {
                        "Std:Join": {
                            "On": "/",
                            "Values": ["s3://b", {"Get": "Execution.PipelineExecutionId"}],
                        }
                    },
                    "/opt/ml/processing/o",
                )
            ]
        },
    )
    second = processing(
        "Second",
        show,
        ProcessingInputs=[
            source(
                "i",
                {"Get": "Steps.First.ProcessingOutputConfig.Outputs['o'].S3Output.S3Uri"},
                "/opt/ml/processing/i",
            )
        ],
    )
    ended = lab.run([first, second])
    assert ended.status == "Succeeded", ended.reasons()
    assert lab.s3.objects["b/exec00000001/b.txt"] == b"one two"
    log = next(lab.home.glob("steps/*/Second/1/log")).read_text()
    assert "one two" in log
    job = ended.steps["Second"]["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    assert f'"ProcessingJobName": "{job}"' in log
    record = lab.store.get("processing_job", job)
    assert record is not None
    assert record["ProcessingJobStatus"] == "Completed"
    assert len(job) <= 63


def test_steps_without_a_path_between_them_overlap(lab: Lab) -> None:
    nap = "import time; time.sleep(0.5)"
    ended = lab.run([processing(f"s{n}", nap) for n in range(3)])
    starts = [body["StartTime"] for body in ended.steps.values()]
    ends = [body["EndTime"] for body in ended.steps.values()]
    assert max(starts) < min(ends)


def test_parallelism_is_bounded_by_the_configuration(lab: Lab) -> None:
    nap = "import time; time.sleep(0.1)"
    ended = lab.run([processing(f"s{n}", nap) for n in range(5)], parallel=2)
    marks = [(b["StartTime"], 1) for b in ended.steps.values()]
    marks += [(b["EndTime"], -1) for b in ended.steps.values()]
    running = peak = 0
    for _, change in sorted(marks):
        running += change
        peak = max(peak, running)
    assert peak == 2
    assert ended.status == "Succeeded"


def test_a_failed_step_ends_what_depends_on_it_alone(lab: Lab) -> None:
    ended = lab.run(
        [
            processing("Bad", "raise ValueError('no such column')"),
            processing("After", "pass", "Bad"),
            processing("Beside", "import time; time.sleep(0.3)"),
            processing("AfterBeside", "pass", "Beside"),
        ]
    )
    assert ended.status == "Failed"
    assert ended.body["FailureReason"] == "Step failure: One or multiple steps failed."
    assert ended.statuses() == {"Bad": "Failed", "Beside": "Succeeded", "AfterBeside": "Succeeded"}
    expected = "ClientError: AlgorithmError: ValueError: no such column, exit code: 1"
    assert ended.reason("Bad") == expected


def test_a_failure_file_is_the_reason(lab: Lab) -> None:
    script = "open('/opt/ml/output/failure', 'w').write('the data is empty'); raise SystemExit(3)"
    ended = lab.run([processing("Bad", script)])
    assert ended.reason("Bad") == "ClientError: AlgorithmError: the data is empty, exit code: 3"


def test_a_death_by_signal_shows_the_code_a_container_would(lab: Lab) -> None:
    ended = lab.run([processing("Bad", "import os; os.kill(os.getpid(), 9)")])
    assert ended.reason("Bad").endswith("exit code: 137")


def test_a_hanging_step_is_ended_at_its_limit(lab: Lab) -> None:
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    begun = time.monotonic()
    ended = lab.run([processing("Slow", script, StoppingCondition={"MaxRuntimeInSeconds": 1})])
    assert ended.status == "Failed"
    assert "MaxRuntimeExceeded" in ended.reason("Slow")
    assert time.monotonic() - begun < 10


def test_what_a_step_leaves_running_ends_with_it(lab: Lab) -> None:
    script = (
        "import subprocess, sys\n"
        "p = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        "open('/opt/ml/processing/o/pid', 'w').write(str(p.pid))"
    )
    outputs = {"Outputs": [target("o", "s3://b/o", "/opt/ml/processing/o")]}
    lab.run([processing("Leaves", script, ProcessingOutputConfig=outputs)])
    pid = int(lab.s3.objects["b/o/pid"])
    lab.until(lambda: not _alive(pid))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_stop_ends_running_steps_and_starts_no_more(lab: Lab) -> None:
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('up', flush=True); time.sleep(60)"
    )
    arn = lab.record([processing("Slow", script), processing("Next", "pass", "Slow")])
    lab.engine.submit(arn)
    lab.until(lambda: "up" in "".join(f.read_text() for f in lab.home.glob("steps/*/Slow/1/log")))
    lab.engine.stop(arn)
    assert (lab.store.get("execution", arn) or {})["PipelineExecutionStatus"] == "Stopping"
    ended = lab.finish(arn, 10)
    assert ended.status == "Stopped"
    assert ended.statuses() == {"Slow": "Stopped"}


def test_retry_keeps_what_succeeded(lab: Lab) -> None:
    script = "import sys; sys.exit(0 if open('/opt/ml/processing/i/ok').read() == 'yes' else 1)"
    lab.s3.objects["b/i/ok"] = b"no"
    inputs = [source("i", "s3://b/i", "/opt/ml/processing/i")]
    steps = [
        processing("A", "pass"),
        processing("B", script, "A", ProcessingInputs=inputs),
        processing("C", "pass", "B"),
    ]
    failed = lab.run(steps)
    assert failed.statuses() == {"A": "Succeeded", "B": "Failed"}
    lab.s3.objects["b/i/ok"] = b"yes"
    lab.engine.retry(failed.arn)
    ended = lab.finish(failed.arn)
    assert ended.status == "Succeeded"
    assert "FailureReason" not in ended.body
    assert ended.steps["A"] == failed.steps["A"]
    assert len(list(lab.home.glob("steps/*/A/*"))) == 1
    assert len(list(lab.home.glob("steps/*/B/*"))) == 2


def test_a_signal_to_the_group_reaches_children(lab: Lab) -> None:
    script = (
        "import subprocess, sys; p = subprocess.Popen(['sleep', '60'])\n"
        "print('up', flush=True); sys.exit(p.wait())"
    )
    arn = lab.record([processing("Parent", script)])
    lab.engine.submit(arn)
    lab.until(lambda: any("up" in f.read_text() for f in lab.home.glob("steps/*/Parent/1/log")))
    own = json.loads(next(lab.home.glob("steps/*/Parent/1/process")).read_text())
    lab.engine.stop(arn)
    assert lab.finish(arn, 10).status == "Stopped"
    assert not _alive(own["pid"])
