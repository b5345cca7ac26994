"""What the step engine adds to the processes it runs, as ratios to the same processes in a loop.

    python benchmarks/engine.py                 a Markdown table; exits 1 where a bound is missed
    python benchmarks/engine.py --rounds 9      more rounds, for a machine that is not quiet
    python benchmarks/engine.py --peers         and what else one could pick, each installed from
                                                its lock in benchmarks/peers/ into a scratch folder

In each round all contenders take turns, in an order that turns around from round to round, so that
what else the machine does meets all alike. A ratio is the median of the rounds' ratios. Beside the
seconds on the clock stands the processor time of everything involved, which other work on the
machine changes less. The engine is timed inside its endpoint, from the start of an execution to
its end, the tools from the start of their command to its end.

Bounds, on the clock: a chain of 20 steps at most 1.3 times the floor, 2 times with one input and
one output through S3 in every step; ahead of every other tool; a second, cached run ahead of doit's
(0.16 s where doit is not measured).
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine_peers import CACHING, QUICK, TOOLS, Peer

from ci.local.emulator import Emulator, emulator_python
from ci.local.engine.engine import Engine
from ci.local.store import Document, Store

CACHED_SECONDS = 0.16
PYTHON = Path(sys.executable)
NOOP = ["python3", "-c", "pass"]
CACHE = {"CacheConfig": {"Enabled": True, "ExpireAfter": "P30D"}}
COPY = "import shutil; shutil.copy('/opt/ml/processing/i/f', '/opt/ml/processing/o/f')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One way to run a graph. `run` is what is timed, after `prepare`. At most `rounds` times."""

    name: str
    run: Callable[[], object]
    prepare: Callable[[], object] = field(default=lambda: None)
    rounds: int = 1000
    bound: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: seconds, processor seconds, ratio to the group's first contender."""

    group: str
    name: str
    seconds: float
    processor: float
    ratio: float | None
    bound: float | None

    @property
    def missed(self) -> bool:
        return self.bound is not None and self.ratio is not None and self.ratio > self.bound


def step(name: str, needs: list[str], **more: Any) -> Document:
    cluster = {"InstanceType": "ml.t3.medium", "InstanceCount": 1, "VolumeSizeInGB": 1}
    entry = more.pop("entry", NOOP)
    beside = {"CacheConfig": more.pop("CacheConfig")} if "CacheConfig" in more else {}
    return {
        "Name": name,
        "Type": "Processing",
        "DependsOn": needs,
        "Arguments": {
            "ProcessingResources": {"ClusterConfig": cluster},
            "AppSpecification": {"ImageUri": "image", "ContainerEntrypoint": entry},
            "RoleArn": "arn:aws:iam::000000000000:role/local",
            **more,
        },
        **beside,
    }


def chain(count: int, **more: Any) -> list[Document]:
    return [step(f"s{n}", [f"s{n - 1}"] if n else [], **more) for n in range(count)]


def fan_out(count: int) -> list[Document]:
    names = [f"s{n}" for n in range(count)]
    return [*(step(name, []) for name in names), step("join", names)]


def s3_chain(count: int) -> list[Document]:
    """Every step copies one object: its input is the output of the step before."""
    return [
        step(
            f"s{n}",
            [f"s{n - 1}"] if n else [],
            entry=["python3", "-c", COPY],
            ProcessingInputs=[
                {
                    "InputName": "i",
                    "S3Input": {
                        "S3Uri": f"s3://bucket/{n}",
                        "LocalPath": "/opt/ml/processing/i",
                        "S3DataType": "S3Prefix",
                    },
                }
            ],
            ProcessingOutputConfig={
                "Outputs": [
                    {
                        "OutputName": "o",
                        "S3Output": {
                            "S3Uri": f"s3://bucket/{n + 1}",
                            "LocalPath": "/opt/ml/processing/o",
                        },
                    }
                ]
            },
        )
        for n in range(count)
    ]


@contextmanager
def running_emulator(home: Path) -> Iterator[str]:
    """The emulator that the endpoint puts behind itself, and its address."""
    turn = asyncio.new_event_loop()
    threading.Thread(target=turn.run_forever, daemon=True).start()
    home.mkdir(parents=True)
    emulator = Emulator(
        python=emulator_python(os.environ), home=home, region="us-east-1", front="http://127.0.0.1"
    )

    async def begin() -> None:
        await emulator.start()
        await emulator.ready.wait()

    asyncio.run_coroutine_threadsafe(begin(), turn).result(120)
    try:
        yield emulator.address
    finally:
        asyncio.run_coroutine_threadsafe(emulator.stop(), turn).result(30)
        turn.call_soon_threadsafe(turn.stop)


class Bench:
    def __init__(self, home: Path, address: str) -> None:
        self._store = Store(home / "bench.db")
        self._number = 0
        self.engine = Engine(
            store=self._store,
            clock=time.time,
            call=lambda *_: {},
            home=home / "bench",
            region="us-east-1",
            address=address,
            images=(("image", PYTHON.parent.parent),),
        )

    def run(self, steps: list[Document], *, parallel: int | None = None) -> float:
        """Seconds from the start of an execution to its end."""
        self._number += 1
        pipeline = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/bench"
        arn = f"{pipeline}/execution/bench{self._number:07d}"
        body: Document = {
            "PipelineArn": pipeline,
            "PipelineName": "bench",
            "PipelineExecutionArn": arn,
            "PipelineExecutionStatus": "Executing",
            "CreationTime": time.time(),
            "Definition": json.dumps({"Version": "2020-12-01", "Steps": steps}),
        }
        if parallel is not None:
            body["ParallelismConfiguration"] = {"MaxParallelExecutionSteps": parallel}
        self._store.put("execution", arn, body, parent="bench")
        begun = time.perf_counter()
        self.engine.submit(arn)
        self.engine.wait(arn, 120)
        seconds = time.perf_counter() - begun
        status = (self._store.get("execution", arn) or {})["PipelineExecutionStatus"]
        if status != "Succeeded":
            raise SystemExit(f"{arn} ended as {status}: {self._store.all('step', parent=arn)}")
        return seconds


def loop(count: int, *, parallel: int = 1, script: str = "pass", folder: str = "/") -> float:
    """The floor: the same processes with nothing around them."""
    command = [str(PYTHON.parent / "python3"), "-c", script]
    begun = time.perf_counter()
    running: list[subprocess.Popen[bytes]] = []
    for _ in range(count):
        if len(running) == parallel:
            running.pop(0).wait()
        running.append(subprocess.Popen(command, cwd=folder))
    for process in running:
        process.wait()
    return time.perf_counter() - begun


def loop_copies(home: Path) -> float:
    """The floor of the chain through S3: its script on files beside it."""
    for name in ("i", "o"):
        (home / name).mkdir(exist_ok=True)
    (home / "i/f").write_bytes(b"x" * 1000)
    return loop(20, script=COPY.replace("/opt/ml/processing/", ""), folder=str(home))


def compare(group: str, contenders: list[Contender], rounds: int) -> list[Row]:
    """Rows in the order of the contenders; the first is what the others are held against."""
    taken: dict[str, list[tuple[int, float, float]]] = {c.name: [] for c in contenders}
    for number in range(rounds):
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            if number >= contender.rounds:
                continue
            contender.prepare()
            processor, begun = processor_seconds(), time.perf_counter()
            contender.run()
            seconds = time.perf_counter() - begun
            taken[contender.name].append((number, seconds, processor_seconds() - processor))
    first = {number: seconds for number, seconds, _ in taken[contenders[0].name]}
    print(f"measured: {group}", file=sys.stderr)
    return [
        Row(
            group=group,
            name=c.name,
            seconds=statistics.median(seconds for _, seconds, _ in taken[c.name]),
            processor=statistics.median(processor for _, _, processor in taken[c.name]),
            ratio=None
            if c is contenders[0]
            else statistics.median(s / first[number] for number, s, _ in taken[c.name]),
            bound=c.bound,
        )
        for c in contenders
    ]


def processor_seconds() -> float:
    """Of this process and its children, those that have ended and those that run."""
    own = os.times()
    total = own.user + own.system + own.children_user + own.children_system
    for thread in Path("/proc/self/task").iterdir():
        # A thread or a child may end while it is looked at.
        with suppress(OSError):
            for child in (thread / "children").read_text().split():
                fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
                total += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return total


def measure(bench: Bench, rounds: int, home: Path, peers: Callable[[str], list[Any]]) -> list[Row]:
    few = max(1, rounds // 3)
    bench.run(chain(2))
    bench.run(s3_chain(1))
    bench.run(chain(20, **CACHE))

    def others(graph: str) -> list[Contender]:
        return [
            Contender(
                name=p.tool,
                prepare=p.prepare,
                run=p.run,
                rounds=rounds if p.tool in QUICK else few,
            )
            for p in peers(graph)
        ]

    def again(peer: Any) -> Contender:
        peer.prepare()
        peer.run()
        return Contender(name=peer.tool, run=peer.run, rounds=few)

    rows = compare(
        "chain of 20",
        [
            Contender(name="bare loop", run=lambda: loop(20)),
            Contender(name="engine", run=lambda: bench.run(chain(20)), bound=1.3),
            *others("chain"),
        ],
        rounds,
    )
    rows += compare(
        "chain of 20, an object in and out of S3 each",
        [
            Contender(name="bare loop", run=lambda: loop_copies(home)),
            Contender(name="engine", run=lambda: bench.run(s3_chain(20)), bound=2.0),
        ],
        rounds,
    )
    rows += compare(
        "fan-out of 50 and a join, 2 at a time",
        [
            Contender(name="bare loop", run=lambda: loop(51, parallel=2)),
            Contender(name="engine", run=lambda: bench.run(fan_out(50), parallel=2)),
            *others("fan-out"),
        ],
        rounds,
    )
    return rows + compare(
        "chain of 20, once more",
        [
            Contender(name="engine", run=lambda: bench.run(chain(20, **CACHE))),
            *(again(peer) for peer in peers("chain") if peer.tool in CACHING),
        ],
        rounds,
    )


def judge(rows: list[Row]) -> list[str]:
    """What is not as it should be."""
    found = [f"{r.group}: {r.ratio:.2f} is above {r.bound}" for r in rows if r.missed]
    for row in rows:
        (ours,) = (r.seconds for r in rows if r.group == row.group and r.name == "engine")
        if row.name not in ("bare loop", "engine") and row.seconds <= ours:
            found.append(f"{row.group}: {row.name} is ahead")
        if row.group.endswith("once more") and row.name == "engine" and ours >= CACHED_SECONDS:
            found.append(f"{row.group}: {ours:.2f} s is not below {CACHED_SECONDS} s")
    return found


def render(rows: list[Row]) -> str:
    lines = [
        "| | | seconds | processor seconds | times the first | bound |",
        "|---|---|---:|---:|---:|---:|",
    ]
    group = ""
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        bound = "" if row.bound is None else f"{row.bound:.1f}"
        head = row.group if row.group != group else ""
        group = row.group
        lines.append(
            f"| {head} | {row.name} | {row.seconds:.3f} | {row.processor:.2f} | {ratio} | {bound} |"
        )
    return "\n".join(lines)


def _put_first_object(address: str) -> None:
    import boto3

    s3 = boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="0/f", Body=b"x" * 1000)


def main() -> int:
    parser = argparse.ArgumentParser(description="Overhead of the step engine.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", nargs="*", choices=TOOLS, help="all where none is named")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)

        def peers(graph: str) -> list[Any]:
            if arguments.peers is None:
                return []
            return [Peer(t, graph, home, PYTHON) for t in arguments.peers or TOOLS]

        with running_emulator(home / "emulator") as address:
            bench = Bench(home, address)
            try:
                _put_first_object(address)
                rows = measure(bench, arguments.rounds, home, peers)
            finally:
                bench.engine.close()
    print(render(rows))
    found = judge(rows)
    print("\n".join(["", *found]) if found else "\nAll bounds are kept.")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
