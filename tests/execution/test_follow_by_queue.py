"""Following by a real rule and a real queue: what it costs while nothing changes, and after."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest
from support.endpoint import running_endpoint
from support.engine_lab import processing
from support.executing import BUCKET, adapter, make_bundle, make_run
from support.faults import Faults, faulty_proxy
from support.rules import OF_PIPELINES, RuledQueue
from support.scratch import new_scratch, quality_definition

from ci.execution.events import EventStream
from ci.execution.follow import Means, follow
from ci.execution.model import Change, ChangeKind
from ci.execution.start import deploy, start
from ci.local.lifecycle import down
from ci.sagemaker.model import ExecutionSnapshot, ExecutionStatus
from ci.sagemaker.queue import Queue

pytestmark = pytest.mark.endpoint

MANY = 100
LONG_POLL = 4  # seconds; commands poll five times as long
QUIET = 8.5


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    address: str
    faults: Faults
    queue: RuledQueue


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    images = (("image", Path(sys.executable).parent.parent),)
    with (
        running_endpoint(tmp_path_factory.mktemp("endpoint"), images=images) as endpoint,
        faulty_proxy(endpoint.address) as faults,
    ):
        aws = adapter(endpoint.address)
        aws.clients.call("s3", "CreateBucket", {"Bucket": BUCKET})
        queue = RuledQueue(endpoint.address, "followed", OF_PIPELINES)
        yield World(address=endpoint.address, faults=faults, queue=queue)


def held_definition(gate: Path) -> bytes:
    """Steps that run until the file at `gate` is gone."""
    wait = f"import os, time\nwhile os.path.exists({str(gate)!r}): time.sleep(0.05)"
    return json.dumps({"Version": "2020-12-01", "Steps": [processing("Held", wait)]}).encode()


@pytest.mark.slow
def test_a_hundred_executions_cost_a_call_per_long_poll_and_one_look_per_change(
    world: World, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    aws = adapter(world.address)
    bundle = make_bundle(held_definition(gate), tmp_path)
    version = deploy(aws, bundle, make_run(bundle, name="held")).version_id
    runs = [make_run(bundle, name="held", commit=f"{number:040x}") for number in range(MANY)]
    arns = [start(aws.executions, run, version_id=version) for run in runs]
    watcher = adapter(world.faults.address)
    ends: list[float] = []
    found: dict[str, ExecutionSnapshot] = {}

    def emit(change: Change) -> None:
        if change.kind is ChangeKind.STATUS and change.step is None and change.seconds is not None:
            ends.append(time.time())

    def watch() -> None:
        queue = Queue(watcher.clients, world.queue.url, long_poll=LONG_POLL)
        with EventStream(queue, arns) as stream:
            means = Means(events=stream)
            found.update(follow(watcher.executions, arns, emit=emit, deadline=300, means=means))

    thread = Thread(target=watch)
    thread.start()
    try:
        wait_until_quiet(world.faults)
        before = len(world.faults.calls)
        time.sleep(QUIET)
        idle = world.faults.calls[before:]
    finally:
        gate.unlink()
        began = len(world.faults.calls)
        thread.join(120)
    assert set(idle) <= {"ReceiveMessage"}
    assert len(idle) <= QUIET // LONG_POLL + 1
    assert {item.status for item in found.values()} == {ExecutionStatus.SUCCEEDED}
    assert len(found) == MANY
    finished = [item.modified.timestamp() for item in found.values() if item.modified]
    late = [seen - over for seen, over in zip(sorted(ends), sorted(finished), strict=True)]
    busy = world.faults.calls[began:]
    looks = sum(1 for call in busy if call.endswith(("PipelineExecution", "ExecutionSteps")))
    print(
        f"{MANY} by queue: {len(idle)} calls in {QUIET:.0f} s of quiet, {looks} looks at the end,"
        f" told after {sum(late) / len(late):.1f} s on average, {max(late):.1f} s at most"
    )
    assert sum(late) / len(late) < 10
    # Three changes at most (the step's start and end, the execution's end), two calls a look.
    assert looks <= 2 * 3 * MANY + 20


def test_deploy_follows_by_the_queue(tmp_path: Path) -> None:
    scratch = new_scratch(tmp_path / "repository")
    try:
        scratch.define(quality_definition(1.5, script="import time; time.sleep(3)"))
        scratch.commit("by queue")
        address = scratch.run("local", "up", "--json").document["address"]
        queue = RuledQueue(address, "deploys", OF_PIPELINES)
        for _ in range(80 // 10):
            queue.send([of_another_run()] * 10)
        began = time.monotonic()
        done = scratch.run("deploy", "--local", "--json", "--queue", queue.url)
        took = time.monotonic() - began
        assert done.code == 0, done.err
        assert done.report["verdict"]["outcome"] == "succeeded"
        # Looks that only make sure are a minute apart until the first event has come, which the
        # events of other runs hold up no more than they are taken away.
        assert took < 30
        assert queue.left() == 80
    finally:
        down(tmp_path / "repository" / ".sagemaker-gitops" / "local")


def of_another_run() -> str:
    arn = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/other/execution/x"
    detail = {"pipelineExecutionArn": arn, "currentPipelineExecutionStatus": "Succeeded"}
    kind = "SageMaker Model Building Pipeline Execution Status Change"
    return json.dumps({"source": "aws.sagemaker", "detail-type": kind, "detail": detail})


def wait_until_quiet(faults: Faults) -> None:
    """Until no call has come for three seconds."""
    end = time.monotonic() + 90
    count, since = -1, time.monotonic()
    while time.monotonic() - since < 3:
        assert time.monotonic() < end
        if len(faults.calls) != count:
            count, since = len(faults.calls), time.monotonic()
        time.sleep(0.1)
