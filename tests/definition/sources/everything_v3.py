"""What SDK v3 writes beyond the reference pipeline: run conditions, ForEach, Cleanup, EMR, ..."""

import sys
from pathlib import Path

from sagemaker.core.lambda_helper import Lambda
from sagemaker.core.processing import ScriptProcessor
from sagemaker.core.shapes import ProcessingOutput, ProcessingS3Output
from sagemaker.core.workflow.conditions import (
    ConditionEquals,
    ConditionGreaterThan,
    ConditionIn,
    ConditionLessThan,
    ConditionNot,
    ConditionOr,
)
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import (
    ParameterBoolean,
    ParameterFloat,
    ParameterInteger,
    ParameterString,
)
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.callback_step import (
    CallbackOutput,
    CallbackOutputTypeEnum,
    CallbackStep,
)
from sagemaker.mlops.workflow.cleanup_step import CleanupStep, S3CleanupSource
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.emr_serverless_step import EMRServerlessJobConfig, EMRServerlessStep
from sagemaker.mlops.workflow.emr_step import EMRStep, EMRStepConfig
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.for_each_step import (
    CurrentItem,
    ForEachSelector,
    ForEachStep,
    IterationOutput,
)
from sagemaker.mlops.workflow.lambda_step import LambdaOutput, LambdaOutputTypeEnum, LambdaStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.step_dependency import StepDependency, TriggerCondition
from sagemaker.mlops.workflow.steps import CacheConfig, ProcessingStep

ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"
BUCKET = "sagemaker-us-east-1-000000000000"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


def build(folder: Path) -> str:
    (folder / "prepare.py").write_text("print('x')\n")
    session = PipelineSession(default_bucket=BUCKET)
    data = ParameterString("InputData", default_value=f"s3://{BUCKET}/abalone.csv")
    count = ParameterInteger("Count", 1)
    bound = ParameterFloat("Bound")
    flag = ParameterBoolean("Register", default_value=True)
    cache = CacheConfig(enable_caching=True, expire_after="P30D")
    processor = ScriptProcessor(
        image_uri=IMAGE,
        command=["python3"],
        role=ROLE,
        instance_count=1,
        instance_type="ml.m5.large",
        sagemaker_session=session,
        base_job_name="prepare",
    )
    report = PropertyFile("Report", "evaluation", "evaluation.json")
    prepare = ProcessingStep(
        "Prepare",
        step_args=processor.run(
            code=str(folder / "prepare.py"),
            outputs=[
                ProcessingOutput(
                    output_name="evaluation",
                    s3_output=ProcessingS3Output(
                        s3_uri=f"s3://{BUCKET}/out",
                        local_path="/opt/ml/processing/evaluation",
                        s3_upload_mode="EndOfJob",
                    ),
                )
            ],
            arguments=["--data", data],
        ),
        property_files=[report],
        cache_config=cache,
    )
    function = Lambda(
        function_arn="arn:aws:lambda:us-east-1:000000000000:function:f", session=session
    )
    item = LambdaStep(
        "One",
        lambda_func=function,
        inputs={"item": CurrentItem(), "name": CurrentItem().name},
        outputs=[LambdaOutput("score", LambdaOutputTypeEnum.Float)],
    )
    each = ForEachStep(
        "Each",
        iterable_items=["a", "b"],
        max_concurrency=2,
        for_each_body=[item],
        selector=ForEachSelector("MaxBy", IterationOutput(item).OutputParameters["score"]),
    )
    listed = LambdaStep(
        "List",
        lambda_func=function,
        inputs={
            "best": each.properties.Selected.OutputParameters["score"],
            "n": each.properties.SucceededStepCount,
            "first": each.properties.IterationOutputs[0].One.OutputParameters["score"],
        },
        outputs=[LambdaOutput("answer", LambdaOutputTypeEnum.String)],
    )
    ask = CallbackStep(
        "Ask",
        sqs_queue_url="https://sqs.us-east-1.amazonaws.com/000000000000/q",
        inputs={"a": data},
        outputs=[CallbackOutput("answer", CallbackOutputTypeEnum.String)],
    )
    alarm = LambdaStep(
        "Alarm",
        lambda_func=function,
        inputs={"x": 1},
        depends_on=[
            StepDependency(prepare, TriggerCondition.FAILED),
            StepDependency("Ask", TriggerCondition.ANY),
        ],
    )
    clean = CleanupStep(
        "Clean",
        s3_sources=[S3CleanupSource(prepare, [f"s3://{BUCKET}/out/evaluation.json"])],
        depends_on=["Each"],
    )
    emr = EMRStep(
        "Spark",
        display_name="Spark",
        description="d",
        cluster_id="j-123",
        step_config=EMRStepConfig(jar="s3://b/j.jar", args=["--a", data]),
        cache_config=cache,
    )
    serverless = EMRServerlessStep(
        "Serverless",
        display_name="S",
        description="d",
        job_config=EMRServerlessJobConfig(
            job_driver={"sparkSubmit": {"entryPoint": "s3://b/x.py"}}, execution_role_arn=ROLE
        ),
        application_id="00f",
    )
    mse = JsonGet(
        step_name="Prepare", property_file=report, json_path="regression_metrics.mse.value"
    )
    condition = ConditionStep(
        "Better",
        conditions=[
            ConditionLessThan(left=mse, right=bound),
            ConditionOr(
                [
                    ConditionNot(ConditionEquals(left=flag, right=False)),
                    ConditionIn(value=data, in_values=["a", "b"]),
                ]
            ),
            ConditionGreaterThan(left=count, right=0),
        ],
        if_steps=[
            ConditionStep(
                "Inner",
                conditions=[ConditionEquals(left=listed.properties.Outputs["answer"], right="x")],
                if_steps=[FailStep("F1", error_message="no")],
                else_steps=[],
            )
        ],
        else_steps=[
            FailStep(
                "F2",
                error_message=Join(on=" ", values=[ExecutionVariables.PIPELINE_NAME, bound, mse]),
            )
        ],
    )
    pipeline = Pipeline(
        name="everything-v3",
        parameters=[data, count, bound, flag],
        steps=[prepare, each, listed, ask, alarm, clean, emr, serverless, condition],
        sagemaker_session=session,
    )
    return pipeline.definition()


if __name__ == "__main__":
    (Path(sys.argv[1]) / "definition.json").write_text(build(Path(sys.argv[1])))
