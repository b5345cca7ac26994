"""What the step engine adds to the processes it runs, as ratios to the same processes in a loop.

    python benchmarks/engine.py                 a Markdown table; exits 1 where a bound is missed
    python benchmarks/engine.py --rounds 9      more rounds, for a machine that is not quiet
    python benchmarks/engine.py --peers         and what else one could pick, each installed from
                                                its lock in benchmarks/peers/ into a scratch folder

Each round measures floor and engine one after the other; the ratio is the median over the rounds.
Bounds: a chain of 20 steps at most 1.3 times the floor, 2 times with one input and one output
through S3 in every step; a second, cached run below 0.16 s.
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
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.local.emulator import Emulator, emulator_python
from ci.local.engine.engine import Engine
from ci.local.store import Document, Store

PYTHON = Path(sys.executable)
NOOP = ["python3", "-c", "pass"]
CACHE = {"CacheConfig": {"Enabled": True, "ExpireAfter": "P30D"}}
COPY = "import shutil; shutil.copy('/opt/ml/processing/i/f', '/opt/ml/processing/o/f')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: seconds, the ratio to the floor, and the bound on it."""

    name: str
    seconds: float
    ratio: float | None = None
    bound: float | None = None
    missed: bool = False


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


def compare(
    name: str,
    floor: Callable[[], float],
    engine: Callable[[], float],
    *,
    rounds: int,
    bound: float | None,
) -> list[Row]:
    pairs = [(floor(), engine()) for _ in range(rounds)]
    ratio = statistics.median(ours / bare for bare, ours in pairs)
    return [
        Row(name=f"{name}: bare loop", seconds=statistics.median(bare for bare, _ in pairs)),
        Row(
            name=f"{name}: engine",
            seconds=statistics.median(ours for _, ours in pairs),
            ratio=ratio,
            bound=bound,
            missed=bound is not None and ratio > bound,
        ),
    ]


def measure(bench: Bench, rounds: int, home: Path) -> list[Row]:
    bench.run(chain(2))
    bench.run(s3_chain(1))
    rows = compare(
        "chain of 20", lambda: loop(20), lambda: bench.run(chain(20)), rounds=rounds, bound=1.3
    )
    rows += compare(
        "chain of 20, an object in and out of S3 each",
        lambda: loop_copies(home),
        lambda: bench.run(s3_chain(20)),
        rounds=rounds,
        bound=2.0,
    )
    rows += compare(
        "fan-out of 50 and a join, 2 at a time",
        lambda: loop(51, parallel=2),
        lambda: bench.run(fan_out(50), parallel=2),
        rounds=rounds,
        bound=None,
    )
    bench.run(chain(20, **CACHE))
    again = statistics.median(bench.run(chain(20, **CACHE)) for _ in range(rounds))
    rows.append(Row(name="chain of 20, cached: engine", seconds=again, missed=again >= 0.16))
    return rows


def render(rows: list[Row]) -> str:
    lines = ["| | seconds | times the floor | bound |", "|---|---:|---:|---:|"]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        bound = "" if row.bound is None else f"{row.bound:.1f}"
        mark = " (missed)" if row.missed else ""
        lines.append(f"| {row.name} | {row.seconds:.3f} | {ratio} | {bound}{mark} |")
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
    parser.add_argument("--peers", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with running_emulator(home / "emulator") as address:
            bench = Bench(home, address)
            try:
                _put_first_object(address)
                rows = measure(bench, arguments.rounds, home)
            finally:
                bench.engine.close()
        if arguments.peers:
            from engine_peers import measure_peers

            rows += [
                Row(name=name, seconds=seconds)
                for name, seconds in measure_peers(home, python=PYTHON)
            ]
    print(render(rows))
    return 1 if any(row.missed for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
