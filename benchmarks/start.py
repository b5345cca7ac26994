"""Cold starts of the command line, beside a bare boto3 client.

    .venv/bin/python benchmarks/start.py [--runs 9]

Prints a Markdown table: medians in milliseconds, and the median of the ratios of paired runs (each
command right after a bare client), which holds when the machine's speed drifts. `deploy` is of an
unchanged commit on the local endpoint: its execution is found, not started, and read back whole.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.scratch import Scratch, new_scratch, quality_definition  # noqa: E402

CLIENT = [sys.executable, "-c", "import boto3; boto3.client('sagemaker', region_name='us-east-1')"]
COMMAND = str(Path(sys.executable).with_name("sagemaker-gitops"))
ROWS = (
    ("`--help`", ["--help"], 0.5),
    ("`validate`, a module source", ["validate", "module"], 0.8),
    ("`validate`, a definition file", ["validate", "quality"], 0.8),
    ("`deploy` of an unchanged commit", ["deploy", "--local", "--poll", "0.1", "quality"], None),
)
MODULE = """
  module:
    source: pipeline.py:get_pipeline
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    folder = Path(tempfile.mkdtemp())
    scratch = prepare(folder / "repository")
    try:
        print("| command | ms | bare client, ms | ratio | bound |\n|---|---|---|---|---|")
        for title, arguments, bound in ROWS:
            print(row(title, [COMMAND, *arguments], bound, runs, scratch), flush=True)
    finally:
        scratch.run("local", "down")
        shutil.rmtree(folder)


def prepare(root: Path) -> Scratch:
    """A repository with a definition, a module that nobody compiles, and one finished deploy."""
    scratch = new_scratch(root)
    project = scratch.root / "sagemaker-gitops.yaml"
    project.write_text(
        project.read_text().replace("environments:", f"{MODULE.strip(chr(10))}\nenvironments:")
    )
    scratch.write("pipeline.py", "def get_pipeline(): ...\n")
    scratch.define(quality_definition(2.0))
    scratch.commit()
    done = scratch.run(*ROWS[-1][1], "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["reports"][0]["state"] == "final"
    return scratch


def row(
    title: str, command: Sequence[str], bound: float | None, runs: int, scratch: Scratch
) -> str:
    measured = [(timed(CLIENT, scratch), timed(command, scratch)) for _ in range(runs + 1)][1:]
    client, own = (statistics.median(column) for column in zip(*measured, strict=True))
    ratio = statistics.median(mine / bare for bare, mine in measured)
    return f"| {title} | {own * 1000:.0f} | {client * 1000:.0f} | {ratio:.2f} | {bound or ''} |"


def timed(command: Sequence[str], scratch: Scratch) -> float:
    environ = {**os.environ, **scratch.environment(), "AWS_EC2_METADATA_DISABLED": "true"}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # it would time Python's compiler
    begun = time.perf_counter()
    subprocess.run(command, cwd=scratch.root, env=environ, check=True, capture_output=True)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
