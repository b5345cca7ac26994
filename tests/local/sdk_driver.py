"""Runs in the SDK's own Python: the SDK's Pipeline against whatever AWS_ENDPOINT_URL names.

    python sdk_driver.py <pipeline.py> <name> <parameters of a start as JSON>...

Upserts twice, starts once for each set of parameters, waits, and prints what the SDK tells as one
line of JSON: the executions, each with its steps in the order of their start.
"""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/sagemaker-gitops-local"


def load(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location("pipeline", file)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{file} is not a module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def follow(pipeline: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    from botocore.exceptions import WaiterError

    execution = pipeline.start(parameters=parameters, execution_display_name="by-the-sdk")
    try:
        execution.wait(delay=1, max_attempts=120)
    except WaiterError as error:
        if "terminal failure state" not in str(error):
            raise
    return {"described": execution.describe(), "steps": execution.list_steps()[::-1]}


def main(file: str, name: str, *starts: str) -> None:
    pipeline = load(Path(file)).get_pipeline(
        region="us-east-1",
        role=ROLE,
        default_bucket=f"sagemaker-us-east-1-{ACCOUNT}",
        pipeline_name=name,
        model_package_group=name,
        endpoint_name=name,
    )
    created = pipeline.upsert(role_arn=ROLE, tags=[{"Key": "made-by", "Value": "the sdk"}])
    updated = pipeline.upsert(role_arn=ROLE, description="again")
    told = {
        "arns": [created["PipelineArn"], updated["PipelineArn"]],
        "described": pipeline.describe(),
        "executions": [follow(pipeline, json.loads(start)) for start in starts],
        "listed": pipeline.list_executions()["PipelineExecutionSummaries"],
    }
    pipeline.delete()
    print(json.dumps(told, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
