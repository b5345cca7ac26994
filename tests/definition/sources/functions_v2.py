"""`@step` functions and the hosting steps of SDK v2."""

import sys
from pathlib import Path

from sagemaker.automl.automl import AutoML, AutoMLInput
from sagemaker.workflow.automl_step import AutoMLStep
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionGreaterThan
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.function_step import step
from sagemaker.workflow.parameters import ParameterInteger
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession

ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"
BUCKET = "sagemaker-us-east-1-000000000000"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
SETTINGS = {"role": ROLE, "instance_type": "ml.m5.large", "image_uri": IMAGE}


@step(name="first", **SETTINGS)
def first(rows: int) -> dict[str, int]:
    return {"rows": rows}


@step(name="second", keep_alive_period_in_seconds=60, **SETTINGS)
def second(found: dict[str, int]) -> int:
    return found["rows"]


def build() -> str:
    session = PipelineSession(default_bucket=BUCKET)
    rows = ParameterInteger("Rows", 10)
    found = first(rows)
    score = second(found)
    check = ConditionStep(
        "Check",
        conditions=[ConditionGreaterThan(left=score, right=3)],
        if_steps=[],
        else_steps=[FailStep("Few", error_message="too few rows")],
    )
    auto = AutoML(
        role=ROLE, target_attribute_name="rings", mode="ENSEMBLING", sagemaker_session=session
    )
    automl = AutoMLStep(
        "Auto", step_args=auto.fit(inputs=[AutoMLInput(f"s3://{BUCKET}/t.csv", "rings")])
    )
    pipeline = Pipeline(
        name="functions-v2", parameters=[rows], steps=[check, automl], sagemaker_session=session
    )
    return pipeline.definition()


if __name__ == "__main__":
    (Path(sys.argv[1]) / "definition.json").write_text(build())
