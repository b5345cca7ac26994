"""Memory of the local endpoint: idle, with recorded executions, and after all were listed.

    python benchmarks/local_memory.py                    a Markdown table, 1,000 executions
    python benchmarks/local_memory.py --executions 100

The executions are started over HTTP and run by the engine: five Processing steps each, which run
once and are taken from the step cache from then on. Memory is the proportional set size of each
process of the endpoint (/proc/<pid>/smaps_rollup), in MiB; the state is the size of its SQLite
file, written back.
"""

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from engine import CACHE, chain

from ci.local.lifecycle import down, up
from ci.local.settings import STATE_NAME

ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"
_NAMES = {"emulator_child.py": "emulator", "launcher.py": "step launcher"}


def processes(pid: int) -> dict[str, float]:
    """MiB by the name of each process from `pid` down."""
    found: dict[str, float] = {}
    command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    name = next((n for part in command for end, n in _NAMES.items() if part.endswith(end)), "front")
    found[name] = _size(pid)
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            found |= processes(int(child))
    return found


def _size(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(pid)


def run(sagemaker: Any, count: int) -> None:
    """That many executions, a few at a time, each waited for."""
    left: list[str] = []
    for _ in range(count):
        started = sagemaker.start_pipeline_execution(PipelineName="bench")
        left.append(started["PipelineExecutionArn"])
        if len(left) == 8:
            _wait(sagemaker, left.pop(0))
    for arn in left:
        _wait(sagemaker, arn)


def _wait(sagemaker: Any, arn: str) -> None:
    while True:
        told = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        match told["PipelineExecutionStatus"]:
            case "Succeeded":
                return
            case "Executing":
                time.sleep(0.005)
            case _:
                raise SystemExit(f"{arn}: {told.get('FailureReason')}")


def list_all(sagemaker: Any) -> int:
    pages = sagemaker.get_paginator("list_pipeline_executions").paginate(PipelineName="bench")
    return sum(len(page["PipelineExecutionSummaries"]) for page in pages)


def measure(home: Path, count: int) -> list[tuple[str, dict[str, float], float]]:
    import boto3

    images = (("image", Path(sys.executable).parent.parent),)
    endpoint = up(home, images=images, region="us-east-1")
    rows = []

    def note(name: str) -> None:
        with sqlite3.connect(home / STATE_NAME) as state:
            state.execute("PRAGMA wal_checkpoint(PASSIVE)")
        rows.append((name, processes(endpoint.pid), (home / STATE_NAME).stat().st_size / (1 << 20)))

    try:
        sagemaker = boto3.client(
            "sagemaker",
            endpoint_url=endpoint.address,
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )
        note("idle")
        definition = json.dumps({"Version": "2020-12-01", "Steps": chain(5, **CACHE)})
        sagemaker.create_pipeline(PipelineName="bench", PipelineDefinition=definition, RoleArn=ROLE)
        run(sagemaker, 1)
        note("after one execution")
        run(sagemaker, count - 1)
        note(f"after {count:,} executions")
        if list_all(sagemaker) != count:
            raise SystemExit("executions were lost")
        note("after all were listed")
    finally:
        down(home)
    endpoint = up(home, images=images, region="us-east-1")
    try:
        note("started anew on that state")
    finally:
        down(home)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description="Memory of the local endpoint.")
    parser.add_argument("--executions", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder) / "home", arguments.executions)
    names = ("front", "step launcher", "emulator")
    print(f"| MiB | {' | '.join(names)} | state on disk |")
    print(f"|---|{'---:|' * (len(names) + 1)}")
    for name, sizes, state in rows:
        cells = [f"{sizes[n]:.0f}" if n in sizes else "" for n in names]
        print(f"| {name} | {' | '.join(cells)} | {state:.1f} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
