"""Takes apart the ARNs of pipelines, executions and jobs."""

import re

_EXECUTION = re.compile(r"arn:[^:/]+:sagemaker:[^:/]+:[0-9]{12}:pipeline/[^/:]+/execution/[^/:]+")


def is_execution(arn: str) -> bool:
    return _EXECUTION.fullmatch(arn) is not None


def pipeline_of(execution_arn: str) -> str:
    """`…:pipeline/NAME/execution/ID` -> NAME."""
    resource = execution_arn.split(":", 5)[-1]
    parts = resource.split("/")
    return parts[1] if len(parts) > 1 else resource


def resource_name(arn: str) -> str:
    """`…:training-job/NAME` -> NAME; `…:function:NAME[:VERSION]` -> NAME."""
    parts = arn.split(":")
    if len(parts) > 6:
        return parts[6]
    return parts[-1].partition("/")[2] or parts[-1]


def region_of(arn: str) -> str | None:
    parts = arn.split(":")
    return parts[3] if len(parts) > 5 and parts[3] else None
