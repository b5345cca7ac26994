"""Stop and retry against the endpoint, as the adapter and as a user meets them."""

import json
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.engine_lab import processing
from support.executing import adapter
from support.scratch import COMMAND, Scratch, new_scratch, quality_definition

from ci.execution.retry import retry_failed, retry_token
from ci.local.lifecycle import down
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.model import ExecutionSnapshot, ExecutionStatus

pytestmark = pytest.mark.endpoint

FAILS_FIRST = (
    "import os, sys\n"
    "print('trying')\n"
    "mark = {mark!r}\n"
    "if not os.path.exists(mark):\n"
    "    open(mark, 'w').close()\n"
    "    sys.exit('not this time')"
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scratch]:
    made = new_scratch(tmp_path_factory.mktemp("retried") / "repository")
    yield made
    down(made.root / ".sagemaker-gitops" / "local")


@pytest.fixture
def aws(scratch: Scratch) -> SageMaker:
    scratch.define(quality_definition(1.0))
    assert scratch.run("local", "up").code == 0
    return adapter(scratch.run("local", "status", "--json").document["address"])


def snapshot(**changes: object) -> ExecutionSnapshot:
    base = {
        "arn": "arn:aws:sagemaker:us-east-1:000000000000:pipeline/p/execution/1",
        "pipeline_name": "p",
        "status": ExecutionStatus.FAILED,
        "raw_status": "Failed",
        "modified": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return ExecutionSnapshot(**{**base, **changes})  # type: ignore[arg-type]  # as above


def test_one_failure_is_one_token_and_the_next_one_another() -> None:
    assert retry_token(snapshot()) == retry_token(snapshot())
    later = snapshot(modified=datetime(2026, 1, 2, tzinfo=UTC))
    assert retry_token(snapshot()) != retry_token(later)
    assert len(retry_token(later)) == 64


def test_retry_goes_on_from_the_failed_step_of_the_same_execution(
    scratch: Scratch, tmp_path: Path
) -> None:
    script = FAILS_FIRST.format(mark=str(tmp_path / "mark"))
    definition = quality_definition(1.0, script=script)
    counted = tmp_path / "counted"
    first = processing("Prepare", f"open({str(counted)!r}, 'a').write('x')")
    definition["Steps"].insert(0, first)
    definition["Steps"][1]["DependsOn"] = ["Prepare"]
    scratch.define(definition)
    scratch.commit("fails the first time")
    failed = scratch.deploy()
    assert failed.code == 1, failed.err
    again = scratch.deploy()
    assert again.code == 1
    assert "It ended as Failed: `--again` runs this commit anew, `--retry-failed`" in again.err
    assert again.report["execution"]["arn"] == failed.report["execution"]["arn"]
    retried = scratch.deploy("--retry-failed")
    assert retried.code == 0, retried.err
    assert retried.report["execution"]["arn"] == failed.report["execution"]["arn"]
    assert retried.report["verdict"]["outcome"] == "succeeded"
    assert "from Evaluate" in retried.err
    assert counted.read_text() == "x"
    # What succeeded is not run again.
    once_more = scratch.deploy("--retry-failed")
    assert once_more.code == 0
    assert once_more.report["execution"]["arn"] == failed.report["execution"]["arn"]
    assert counted.read_text() == "x"


def test_retry_takes_the_newest_of_deliberate_reruns(scratch: Scratch, tmp_path: Path) -> None:
    script = FAILS_FIRST.format(mark=str(tmp_path / "never" / "mark"))
    scratch.define(quality_definition(1.1, script=script))
    scratch.commit("always fails")
    first = scratch.deploy().report["execution"]["arn"]
    second = scratch.deploy("--again").report["execution"]["arn"]
    assert first != second
    retried = scratch.deploy("--retry-failed")
    assert retried.code == 1
    assert retried.report["execution"]["arn"] == second


def test_what_never_ran_is_started(scratch: Scratch) -> None:
    scratch.define(quality_definition(0.9))
    scratch.commit("new")
    done = scratch.deploy("--retry-failed")
    assert done.code == 0, done.err


def test_again_and_retry_exclude_each_other(scratch: Scratch) -> None:
    done = scratch.run("deploy", "--again", "--retry-failed")
    assert done.code == 2
    assert "not allowed with" in done.err


def test_two_jobs_that_see_one_failure_ask_for_one_retry(
    scratch: Scratch, aws: SageMaker, tmp_path: Path
) -> None:
    counted = tmp_path / "tries"
    script = f"open({str(counted)!r}, 'a').write('x')\nimport sys, time\ntime.sleep(1)\nsys.exit(1)"
    scratch.define(quality_definition(1.3, script=script))
    scratch.commit("counts its tries")
    arn = scratch.deploy().report["execution"]["arn"]
    before = aws.executions.snapshot(arn)
    assert before.status is ExecutionStatus.FAILED
    tries = len(counted.read_text())
    told: list[str] = []
    assert retry_failed(aws.executions, arn, tell=told.append, sleep=time.sleep)
    # The other job read the same failure before: its request is the same one.
    aws.executions.retry(arn, token=retry_token(before))
    assert not retry_failed(aws.executions, arn, tell=told.append, sleep=time.sleep)
    ended = wait_ended(aws, arn)
    assert ended.status is ExecutionStatus.FAILED
    assert len(counted.read_text()) == tries + 1
    assert len(told) == 1


@pytest.mark.parametrize("now", [True, False])
def test_stopping_twice_and_after_the_end_is_stopping_once(
    scratch: Scratch, aws: SageMaker, now: bool
) -> None:
    script = "import time\ntime.sleep(60)"
    scratch.define(quality_definition(1.4 + now, script=script))
    scratch.commit("sleeps")
    started = scratch.deploy("--detach")
    arn = started.report["execution"]["arn"]
    stop = aws.executions.stop_now if now else aws.executions.stop
    first = uuid.uuid4().hex
    stop(arn, token=first)
    stop(arn, token=uuid.uuid4().hex)
    assert wait_ended(aws, arn).status is ExecutionStatus.STOPPED
    stop(arn, token=uuid.uuid4().hex)
    stop(arn, token=first)
    assert aws.executions.snapshot(arn).status is ExecutionStatus.STOPPED


def test_what_was_stopped_goes_on_and_can_be_stopped_again(
    scratch: Scratch, aws: SageMaker
) -> None:
    scratch.define(quality_definition(1.6, script="import time\ntime.sleep(60)"))
    scratch.commit("stopped twice")
    arn = scratch.deploy("--detach").report["execution"]["arn"]
    for _ in range(2):
        done = scratch.run("stop", arn, "--local", "--json", "--poll", "0.2")
        assert done.code == 0, done.err
        assert "had ended before" not in done.err
        assert aws.executions.snapshot(arn).status is ExecutionStatus.STOPPED
        assert retry_failed(aws.executions, arn, tell=lambda _line: None, sleep=time.sleep)
    aws.executions.stop(arn, token=uuid.uuid4().hex)
    assert wait_ended(aws, arn).status is ExecutionStatus.STOPPED
    late = scratch.run("stop", arn, "--local", "--json", "--poll", "0.2")
    assert late.code == 0, late.err
    assert "The execution had ended before: Stopped" in late.err
    after = scratch.run("attach", arn, "--local", "--poll", "0.2")
    assert "The execution had ended before: Stopped" in after.out.splitlines()[0]


def test_logs_are_shown_while_it_runs(scratch: Scratch) -> None:
    script = "import time\nfor n in range(3):\n    print('epoch', n, flush=True)\n    time.sleep(1)"
    scratch.define(quality_definition(0.8, script=script))
    scratch.commit("talks")
    done = scratch.run("deploy", "--local", "--poll", "0.5", "--logs")
    assert done.code == 0, done.err
    lines = [line for line in done.out.splitlines() if "| epoch" in line]
    assert lines == [f"Evaluate | epoch {number}" for number in range(3)]
    quiet = scratch.run("deploy", "--local", "--again", "--poll", "0.5")
    assert "epoch" not in quiet.out


def test_a_deployment_is_followed_by_a_queue(scratch: Scratch, aws: SageMaker) -> None:
    sqs = aws.clients.client("sqs")
    url = sqs.create_queue(QueueName="events")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"order": 1}))
    scratch.define(quality_definition(0.5))
    scratch.commit("by queue")
    done = scratch.deploy("--queue", url)
    assert done.code == 0, done.err
    refused = scratch.deploy("--queue", "orders")
    assert refused.code == 2
    assert "no URL of a queue" in refused.err


def test_a_signal_ends_a_long_poll_at_once(scratch: Scratch, aws: SageMaker) -> None:
    url = aws.clients.client("sqs").create_queue(QueueName="silent")["QueueUrl"]
    scratch.define(quality_definition(0.4, script="import time\ntime.sleep(60)"))
    scratch.commit("interrupted")
    process = subprocess.Popen(
        [COMMAND, "deploy", "--local", "--queue", url, "--logs", "--on-cancel", "stop"],
        cwd=scratch.root,
        env=scratch.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    while not lines or "Executing" not in lines[-1]:
        lines.append(process.stdout.readline())
        assert lines[-1], "".join(lines)
    time.sleep(2)
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert time.monotonic() - sent < 6
    assert process.returncode == 130, out
    (arn,) = {line.split()[1] for line in lines if line.startswith("Started ")}
    assert wait_ended(aws, arn).status is ExecutionStatus.STOPPED


def wait_ended(aws: SageMaker, arn: str) -> ExecutionSnapshot:
    until = time.monotonic() + 30
    while not (found := aws.executions.snapshot(arn)).status.terminal:
        assert time.monotonic() < until
        time.sleep(0.1)
    return found
