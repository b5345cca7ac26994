"""`deploy` killed at every call it makes to AWS and to the forge, and run again: one execution, one
comment, one check run, the right verdict, every time.

A call that writes is a point before it takes effect and another after. One that reads is a single
point: it changes nothing, and what the killed process knew of its answer is gone with it.
"""

import json
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import pytest
from support.endpoint import client
from support.executing import adapter, make_bundle, make_run
from support.faults import Faults, Hook, Phase, faulty_proxy
from support.forking import Forks, warm_process
from support.github import FakeGitHub, serve_github
from support.github_job import pull_request_environ
from support.scratch import BUCKET, PROJECT, Result, Scratch, new_scratch, quality_definition

from ci.execution.follow import follow
from ci.execution.start import ensure_execution
from ci.local.lifecycle import down, up
from ci.report.marker import Marker, parse_marker, render_marker
from ci.report.model import State
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.model import ExecutionStatus

pytestmark = [pytest.mark.endpoint, pytest.mark.slow]

ROLE = "role: arn:aws:iam::000000000000:role/sagemaker-gitops-local\n"
LANES = 2
# How often a poll happens is a matter of time; every other call is made in every run.
POLLS = frozenset({"DescribePipelineExecution", "ListPipelineExecutionSteps"})
READS = ("Describe", "List", "s3:HEAD", "s3:GET", "forge http:GET")

MODULE = '''
"""Uploads a file by plain HTTP, as an SDK does, and names it in the definition."""
import json
import os
import urllib.request
from pathlib import Path

class Pipeline:
    def __init__(self, document):
        self.document = document

    def definition(self):
        return json.dumps(self.document)

def get_pipeline(default_bucket, pipeline_name):
    here = Path(__file__).parent
    address = f"{os.environ['AWS_ENDPOINT_URL']}/{default_bucket}/code/settings.json"
    body = json.dumps({"of": pipeline_name}).encode()  # another artifact for each pull request
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request"}
    urllib.request.urlopen(urllib.request.Request(address, body, signed, method="PUT")).close()
    document = json.loads((here / "definition.json").read_text())
    inputs = [{"InputName": "settings", "S3Input": {
        "S3Uri": f"s3://{default_bucket}/code/settings.json", "S3DataType": "S3Prefix",
        "LocalPath": "/opt/ml/processing/settings", "S3InputMode": "File"}}]
    document["Steps"][0]["Arguments"]["ProcessingInputs"] = inputs
    return Pipeline(document)
'''


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The `occurrence`-th call to `operation`, before or after it takes effect."""

    operation: str
    occurrence: int
    phase: Phase


@dataclass(slots=True, kw_only=True)
class Lane:
    """What one run at a time needs of its own: a process to fork from, and proxies to kill at."""

    forks: Forks
    aws: Faults
    forge: Faults
    pidfd: int = -1

    def run(self, case: "Case", source: Scratch, *, at: Point | None = None) -> Result:
        self.aws.hook = self._hook(self.aws, "", at)
        self.forge.hook = self._hook(self.forge, "forge ", at)
        self.aws.calls.clear()
        self.forge.calls.clear()
        environ = pull_request_environ(
            self.forks.folder,
            number=case.number,
            commit=case.new,
            forge=self.forge.address,
            aws=self.aws.address,
        )
        report = str(self.forks.folder / "report")
        return self.forks.run(
            ["deploy", "--json", "--poll", "0.05", "--report", report],
            cwd=source.root,
            environ={"PATH": os.environ["PATH"], "HOME": str(self.forks.folder), **environ},
            begun=self._begun,
        )

    def calls(self) -> Iterator[tuple[str, int]]:
        """Each call of the last run with its occurrence."""
        for faults, prefix in ((self.aws, ""), (self.forge, "forge ")):
            for number, operation in enumerate(faults.calls, 1):
                yield prefix + operation, faults.calls[:number].count(operation)

    def _begun(self, pid: int) -> None:
        if self.pidfd >= 0:
            os.close(self.pidfd)
        self.pidfd = os.pidfd_open(pid)

    def _hook(self, faults: Faults, prefix: str, at: Point | None) -> Hook:
        def hook(number: int, operation: str, phase: Phase) -> None:
            occurrence = faults.calls[:number].count(operation)
            here = Point(operation=prefix + operation, occurrence=occurrence, phase=phase)
            if here == at:
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
                select.select([self.pidfd], [], [], 10)

        return hook


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A pull request of its own, with two commits."""

    number: int
    old: str
    new: str


@dataclass(slots=True, kw_only=True)
class World:
    """One endpoint, one forge and one repository for all lanes."""

    source: Scratch
    commit: str
    github: FakeGitHub
    aws: SageMaker
    sagemaker: Any
    lanes: "SimpleQueue[Lane]"
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def new_case(self) -> Case:
        with self.lock:
            number = next(self.numbers)
        # Marks stand beside commits: each pull request has one of its own.
        case = Case(number=number, old="0" * 40, new=f"{number:08x}{self.commit[8:]}")
        self.github.commits[number] = [case.old, case.new]
        return case

    def executions(self, case: Case) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.sagemaker.list_pipeline_executions(
            PipelineName=f"quality-pr-{case.number}"
        )["PipelineExecutionSummaries"]
        return listed

    def check(self, case: Case, done: Result) -> None:
        """One execution of the new commit, one package, one comment, one check run, all telling
        the same."""
        assert done.code == 0, done.err
        report, commit = done.report, case.new
        assert report["verdict"]["outcome"] == "approval_pending"
        assert report["verdict"]["metrics"][0]["value"] == 1.5
        arn = report["execution"]["arn"]
        of_commit = [
            item["PipelineExecutionArn"]
            for item in self.executions(case)
            if commit in item["PipelineExecutionDescription"]
        ]
        assert of_commit == [arn]
        packages = self.sagemaker.list_model_packages(
            ModelPackageGroupName=f"quality-pr-{case.number}"
        )["ModelPackageSummaryList"]
        assert [item["ModelPackageArn"] for item in packages] == [report["model_package"]["arn"]]
        metadata = self.sagemaker.describe_model_package(
            ModelPackageName=packages[0]["ModelPackageArn"]
        )["CustomerMetadataProperties"]
        assert metadata["sagemaker-gitops:commit"] == commit
        [body] = self.github.bodies(case.number)
        marker = parse_marker(body)
        assert marker is not None
        assert (marker.execution, marker.commit, marker.state) == (arn, commit, "final")
        assert "v1 is awaiting approval" in body
        [run] = self.github.checks(commit)
        assert (run["status"], run["conclusion"]) == ("completed", "success")
        assert "warning" not in done.err

    def sweep(self, prepare: Callable[[Case], None]) -> int:
        """Run once unkilled to learn the calls, then once for each point; their count."""

        def in_lane(work: Callable[[Lane], T]) -> T:
            lane = self.lanes.get()
            try:
                return work(lane)
            finally:
                self.lanes.put(lane)

        def whole(lane: Lane) -> list[tuple[str, int]]:
            case = self.new_case()
            prepare(case)
            self.check(case, lane.run(case, self.source))
            return list(lane.calls())

        def killed(lane: Lane, point: Point) -> bool:
            case = self.new_case()
            prepare(case)
            died = lane.run(case, self.source, at=point).code == -signal.SIGKILL
            assert died or point.operation in POLLS, point
            try:
                self.check(case, lane.run(case, self.source))
            except AssertionError as error:
                raise AssertionError(f"after a kill at {point}") from error
            return died

        calls: list[tuple[str, int]] = in_lane(whole)
        points = [
            Point(operation=operation, occurrence=occurrence, phase=phase)
            for operation, occurrence in calls
            for phase in ([Phase.BEFORE] if operation.startswith(READS) else Phase)
        ]
        with ThreadPoolExecutor(LANES) as pool:
            return sum(pool.map(lambda point: in_lane(lambda lane: killed(lane, point)), points))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("sweep")
    home = folder / "local"
    with ExitStack() as stack:
        endpoint = up(home, images=())
        stack.callback(down, home)
        client(endpoint, "s3").create_bucket(Bucket=BUCKET)
        github = stack.enter_context(serve_github())
        lanes: SimpleQueue[Lane] = SimpleQueue()
        for number in range(LANES):
            lanes.put(
                Lane(
                    forks=stack.enter_context(warm_process(folder / f"lane-{number}")),
                    aws=stack.enter_context(faulty_proxy(endpoint.address)),
                    forge=stack.enter_context(faulty_proxy(github.address)),
                )
            )
        source = new_scratch(
            folder / "repository",
            PROJECT.replace("definition: definition.json", "source: pipeline.py:get_pipeline")
            + ROLE,
        )
        script = "open('/opt/ml/processing/settings/settings.json').read()"
        source.define(quality_definition(1.5, script=script))
        source.write("pipeline.py", MODULE)
        yield World(
            source=source,
            commit=source.commit("new"),
            github=github,
            aws=adapter(endpoint.address),
            sagemaker=client(endpoint, "sagemaker"),
            lanes=lanes,
        )


def test_a_pull_request_killed_anywhere_and_run_again(
    world: World, record_property: Callable[[str, object], None]
) -> None:
    points = world.sweep(lambda _case: None)
    record_property("kill points", points)
    print(f"kill points: {points}")
    assert points >= 50


def test_a_newer_commit_killed_anywhere_and_run_again(
    world: World, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The pipeline is there already, and the older commit's execution is running."""

    prepared = SimpleQueue[str]()
    document = quality_definition(2.0, script="import time; time.sleep(600)")
    bundle = make_bundle(json.dumps(document).encode(), tmp_path)

    def prepare(case: Case) -> None:
        run = make_run(
            bundle,
            name=f"quality-pr-{case.number}",
            commit=case.old,
            pull_request=case.number,
            parameters={"Group": f"quality-pr-{case.number}"},
        )
        arn = ensure_execution(world.aws, bundle, run).arn
        world.github.add_comment(case.number, "github-actions[bot]", older_comment(case, arn))
        prepared.put(arn)

    points = world.sweep(prepare)
    record_property("kill points", points)
    print(f"kill points: {points}")
    assert points >= 50
    older = {prepared.get() for _ in range(prepared.qsize())}
    ended = follow(world.aws.executions, list(older), emit=lambda _change: None, deadline=60)
    assert {item.status for item in ended.values()} == {ExecutionStatus.STOPPED}
    assert len(ended) > points // 2


def older_comment(case: Case, arn: str) -> str:
    marker = Marker(
        pipeline="quality",
        environment="pull_request",
        commit=case.old,
        execution=arn,
        digest=None,
        state=State.RUNNING,
    )
    return f"{render_marker(marker)}\nRunning\n"
