"""Real signals to the real `deploy`, in a folder that is hostile to it."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import pytest
from support.faults import Fault, Phase, Rule
from support.github import secondary_limit
from support.jobs import Site, ended, new_site
from support.scratch import quality_definition

pytestmark = pytest.mark.endpoint

HOSTILE = ("ci/__init__.py", "json.py", "boto3.py", "signal.py", "sitecustomize.py")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with new_site(tmp_path_factory.mktemp("signals") / "with space and ünïcode $(x)") as made:
        for name in HOSTILE:
            made.scratch.write(name, "raise SystemExit('imported from the working folder')\n")
        made.scratch.define(quality_definition(1.5, script="import time; time.sleep(30)"))
        yield made


def following(
    site: Site, number: int | None, *arguments: str, cwd: Path | None = None
) -> tuple["subprocess.Popen[str]", str]:
    """A deploy that has begun to follow; the process and the ARN of its execution."""
    commit = site.scratch.commit(f"for {number} at {time.monotonic()}")
    pipeline = "quality" if number is None else f"quality-pr-{number}"
    site.aws.calls.clear()
    child = site.begin(site.job(number, commit), *arguments, cwd=cwd)
    end = time.monotonic() + 60
    while site.aws.count("ListPipelineExecutionSteps") < 4:
        assert child.poll() is None, ended(child).err
        assert time.monotonic() < end
        time.sleep(0.02)
    return child, site.executions(pipeline)[0]["PipelineExecutionArn"]


def stops(site: Site) -> list[float]:
    """Notes when each stop arrives."""
    moments: list[float] = []

    def hook(_number: int, operation: str, phase: Phase) -> None:
        if operation == "StopPipelineExecution" and phase is Phase.BEFORE:
            moments.append(time.monotonic())

    site.aws.hook = hook
    return moments


def until(site: Site, arn: str, status: str) -> None:
    end = time.monotonic() + 20
    while site.status(arn) != status:
        assert time.monotonic() < end, site.status(arn)
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_pull_request_is_stopped_within_a_second(site: Site, number: signal.Signals) -> None:
    pull_request = site.next_number()
    folder = site.scratch.root / "gone before its end"
    folder.mkdir()
    child, arn = following(site, pull_request, cwd=folder)
    folder.rmdir()
    moments = stops(site)
    sent = time.monotonic()
    child.send_signal(number)
    done = ended(child)
    took = time.monotonic() - sent
    assert done.code == 130, done.err
    assert "Traceback" not in done.err
    assert moments[0] - sent < 1.0
    assert took < 7.0
    [body] = site.github.bodies(pull_request)
    assert "cancelled, and asked the execution to stop" in body
    assert json.loads(done.out)["error"]["exit_code"] == 130
    until(site, arn, "Stopped")


def test_a_forge_that_asks_to_wait_does_not_hold_a_job_that_is_ending(site: Site) -> None:
    """A runner that cancels kills after ten seconds: code, stop and report come before that."""
    pull_request = site.next_number()
    child, arn = following(site, pull_request)
    site.github.faults.append(replace(secondary_limit("PATCH", "comments", seconds=60), count=99))
    sent = time.monotonic()
    child.send_signal(signal.SIGINT)
    done = ended(child)
    site.github.faults.clear()
    assert time.monotonic() - sent < 7.0
    assert done.code == 130, done.err
    assert "this job is ending" in done.err
    assert any("cancelled" in told for told in done.report["problems"])
    until(site, arn, "Stopped")


NO_ANSWER = "asked the execution to stop, and had no answer in time: it may run on"


@pytest.mark.parametrize(
    ("silent", "shown"),
    [("Stop*", NO_ANSWER), ("*", NO_ANSWER), ("[!S]*", "asked the execution to stop.")],
)
def test_an_aws_that_does_not_answer_does_not_hold_the_comment(
    site: Site, silent: str, shown: str
) -> None:
    """What is not known is not told as done, and the end comes before the runner's SIGTERM."""
    pull_request = site.next_number()
    child, arn = following(site, pull_request)
    over = threading.Event()
    told: list[float] = []
    site.aws.hook = lambda _number, operation, phase: (
        fnmatch(operation, silent) and phase is Phase.BEFORE and over.wait(60)
    )
    time.sleep(0.5)  # by then the job waits for an answer, where looks have none
    site.forge.hook = lambda _number, _operation, _phase: told.append(time.monotonic())
    try:
        sent = time.monotonic()
        child.send_signal(signal.SIGINT)
        done = ended(child)
        assert time.monotonic() - sent < 7.0
        assert told[0] - sent < 4.0
    finally:
        over.set()
        site.aws.hook = site.forge.hook = None
    assert done.code == 130, done.err
    [body] = site.github.bodies(pull_request)
    assert shown in body.partition("| step |")[0]
    assert f"attach {arn}" in body
    assert "the forge did not answer" not in done.err
    if shown is NO_ANSWER:
        assert site.status(arn) == "Executing"
        site.sagemaker.stop_pipeline_execution(
            PipelineExecutionArn=arn, ClientRequestToken="z" * 40
        )
    until(site, arn, "Stopped")


@contextmanager
def unanswering(site: Site) -> Iterator[None]:
    """The forge accepts whatever it is asked, and answers nothing until the block ends."""
    over = threading.Event()
    site.forge.hook = lambda _number, _operation, _phase: bool(over.wait(60))
    try:
        yield
    finally:
        site.forge.hook = None
        over.set()


def test_a_forge_that_never_answers_does_not_hold_a_job_that_is_ending(site: Site) -> None:
    """Files and outputs are whole, the code is right, and the next run finds the comment."""
    pull_request = site.next_number()
    child, arn = following(site, pull_request)
    with unanswering(site):
        sent = time.monotonic()
        child.send_signal(signal.SIGINT)
        done = ended(child)
        assert time.monotonic() - sent < 7.0
    assert done.code == 130, done.err
    assert "did not answer before this job had to end" in done.err
    shown = "cancelled, and asked the execution to stop"
    [report] = site.scratch.root.glob(".sagemaker-gitops/reports/*.json")
    home = site.folder / f"job-{pull_request}"
    assert shown in report.read_text()
    assert shown in (home / "summary.md").read_text()
    assert arn in (home / "outputs").read_text()
    until(site, arn, "Stopped")
    [running] = site.github.bodies(pull_request)
    assert "# ⏳" in running
    again = site.deploy(site.job(pull_request, site.scratch.git("rev-parse", "HEAD").strip()))
    assert again.code == 1, again.err
    [body] = site.github.bodies(pull_request)
    assert "# ⏹️" in body


def test_main_is_detached_and_runs_on(site: Site) -> None:
    child, arn = following(site, None, "--environment", "main")
    moments = stops(site)
    child.send_signal(signal.SIGINT)
    done = ended(child)
    assert done.code == 130
    assert moments == []
    assert site.status(arn) == "Executing"
    assert f"sagemaker-gitops attach {arn}" in done.err
    assert any("runs on" in told for told in done.report["problems"])
    site.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken="x" * 40)


def test_a_stop_that_aws_refuses_is_told(site: Site) -> None:
    pull_request = site.next_number()
    site.aws.rules = [Rule(fault=Fault.DENIED, operation="StopPipelineExecution", times=99)]
    child, arn = following(site, pull_request)
    child.send_signal(signal.SIGINT)
    done = ended(child)
    site.aws.rules = []
    assert done.code == 130
    [body] = site.github.bodies(pull_request)
    assert "could not be stopped" in body
    assert f"attach {arn}" in body
    site.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken="y" * 40)


def test_a_second_signal_ends_at_once(site: Site) -> None:
    child, arn = following(site, site.next_number())
    site.aws.rules = [Rule(fault=Fault.SLOW, times=99)]
    child.send_signal(signal.SIGINT)
    time.sleep(0.5)
    pressed = time.monotonic()
    child.send_signal(signal.SIGINT)
    child.wait(timeout=20)
    site.aws.rules = []
    assert time.monotonic() - pressed < 1.0
    assert child.returncode == 130
    until(site, arn, "Stopped")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_compiling_starts_nothing_and_leaves_no_child(
    site: Site, number: signal.Signals
) -> None:
    project = site.scratch.root / "sagemaker-gitops.yaml"
    kept = project.read_text()
    site.scratch.write("slow.py", "import time\ntime.sleep(60)\n")
    project.write_text(kept.replace("definition: definition.json", "source: slow.py:get_pipeline"))
    try:
        pull_request = site.next_number()
        child = site.begin(site.job(pull_request, site.scratch.commit("slow to compile")))
        pids = compiling(child)
        child.send_signal(number)
        sent = time.monotonic()
        done = ended(child)
        assert time.monotonic() - sent < 5.0
    finally:
        project.write_text(kept)
    assert done.code == 130, done.err
    assert "Traceback" not in done.err
    time.sleep(0.2)
    assert not [pid for pid in pids if is_alive(pid)]


def compiling(child: "subprocess.Popen[str]") -> list[int]:
    """The processes that compile, once there are any."""
    end = time.monotonic() + 30
    while True:
        assert child.poll() is None, ended(child).err
        listed = subprocess.run(
            ["ps", "--ppid", str(child.pid), "-o", "pid="],
            capture_output=True,
            text=True,
            check=False,
        )
        if found := [int(pid) for pid in listed.stdout.split()]:
            time.sleep(0.5)
            return found
        assert time.monotonic() < end
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
