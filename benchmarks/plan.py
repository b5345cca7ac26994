"""How long the pure part of a plan takes, and how it grows with the number of steps.

    python benchmarks/plan.py            prints a table, exits 1 where a bound is missed

Bounds: 500 steps below 100 ms; ten times the steps take at most 13 times as long (linear, with
room for caches that no longer fit). One change in every ten steps; both definitions are parsed
beforehand, as the commands do when they validate.
"""

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable

from ci.definition.model import Definition
from ci.definition.parse import parse_definition
from ci.definition.validate import find_problems
from ci.plan.diff import plan_changes
from ci.plan.markdown import render_markdown
from ci.plan.model import PipelineState

SIZES = (50, 500, 5_000)
BOUND_500 = 0.100
GROWTH = 13.0


def pipeline(steps: int, *, changed: bool) -> Definition:
    """A chain of cached Processing steps, each of which reads the output of the one before."""
    document = {
        "Version": "2020-12-01",
        "Parameters": [{"Name": "Data", "Type": "String", "DefaultValue": "s3://b/data.csv"}],
        "Steps": [step(n, changed=changed and n % 10 == 5) for n in range(steps)],
    }
    return parse_definition(json.dumps(document))


def step(n: int, *, changed: bool) -> dict[str, object]:
    source = (
        f"Steps.Step{n - 1}.ProcessingOutputConfig.Outputs['out'].S3Output.S3Uri"
        if n
        else "Parameters.Data"
    )
    run = {"Get": "Execution.PipelineExecutionId"}
    output = {"Std:Join": {"On": "/", "Values": ["s3://b/runs", run, f"Step{n}"]}}
    return {
        "Name": f"Step{n}",
        "Type": "Processing",
        "CacheConfig": {"Enabled": True, "ExpireAfter": "P30D"},
        "Arguments": {
            "ProcessingResources": {
                "ClusterConfig": {
                    "InstanceType": "ml.m5.large",
                    "InstanceCount": 1,
                    "VolumeSizeInGB": 30,
                }
            },
            "AppSpecification": {
                "ImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/image:1",
                "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/run.py"],
            },
            "RoleArn": "arn:aws:iam::000000000000:role/pipeline",
            "ProcessingInputs": [
                channel("data", {"Get": source}),
                channel("code", f"s3://b/sagemaker-gitops/{n:064x}/run.py"),
            ],
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": "out",
                        "S3Output": {
                            "S3Uri": output,
                            "LocalPath": "/opt/ml/processing/out",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                ]
            },
            "Environment": {"ROWS": "20" if changed else "10"},
        },
    }


def channel(name: str, uri: object) -> dict[str, object]:
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"/opt/ml/processing/input/{name}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
        },
    }


def main() -> int:
    plans: dict[int, float] = {}
    print(f"{'steps':>6} {'plan':>10} {'markdown':>10} {'validate':>10}   (ms of CPU, median)")
    for size in SIZES:
        old, new = pipeline(size, changed=False), pipeline(size, changed=True)
        runs = 3 if size > 1_000 else 9
        gc.collect()
        gc.freeze()  # the inputs are not part of what is measured
        sides = PipelineState(definition=new), PipelineState(definition=old)
        plan = plan_changes(*sides, pipeline="bench")
        assert len(plan.steps) == size // 10
        plans[size] = timed(runs, lambda: plan_changes(*sides, pipeline="bench"))  # noqa: B023
        shown = timed(runs, lambda: render_markdown(plan))  # noqa: B023
        checked = timed(runs, lambda: find_problems(new))  # noqa: B023
        print(f"{size:>6} {plans[size]:>10.1f} {shown:>10.1f} {checked:>10.1f}")
    growth = plans[5_000] / plans[500]
    met = plans[500] < BOUND_500 * 1000 and growth <= GROWTH
    print(f"500 steps: {plans[500]:.1f} ms (bound {BOUND_500 * 1000:.0f})")
    print(f"500 -> 5,000 steps: {growth:.1f} times (bound {GROWTH})")
    return 0 if met else 1


def timed(runs: int, work: Callable[[], object]) -> float:
    times = []
    for _ in range(runs):
        begin = time.process_time()
        work()
        times.append((time.process_time() - begin) * 1000)
    return statistics.median(times)


if __name__ == "__main__":
    sys.exit(main())
