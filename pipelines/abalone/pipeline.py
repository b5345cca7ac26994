"""The reference pipeline: the age of abalone from what can be measured without opening them.

    PrepareAbalone -> TrainAbalone -> EvaluateAbalone -> CheckQuality
      better than the threshold and than the champion: RegisterAbalone -> DeployAbalone
      else: QualityTooLow

Written for version 3 of the SageMaker Python SDK. Copy this file and the scripts beside it to
begin a pipeline of your own: `get_pipeline` is all that sagemaker-gitops needs to find.
"""

from pathlib import Path

from sagemaker.core import image_uris
from sagemaker.core.lambda_helper import Lambda
from sagemaker.core.model_metrics import MetricsSource, ModelMetrics
from sagemaker.core.processing import ScriptProcessor
from sagemaker.core.shapes import (
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
)
from sagemaker.core.training.configs import Compute, InputData, SourceCode
from sagemaker.core.workflow.conditions import ConditionGreaterThan, ConditionLessThanOrEqualTo
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterFloat, ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.lambda_step import LambdaOutput, LambdaOutputTypeEnum, LambdaStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import CacheConfig, ProcessingStep, TrainingStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train import ModelTrainer

HERE = Path(__file__).resolve().parent

# The training container gets train.py and inference.py; a change to any other file of this folder
# leaves the step's cache valid.
NOT_FOR_TRAINING = [
    ".*", "__pycache__", "*.md", "data.py", "deploy.py", "evaluate.py", "pipeline.py",
    "prepare.py", "requirements.*", "__init__.py",
]  # fmt: skip


def get_pipeline(
    region: str,
    role: str,
    default_bucket: str,
    pipeline_name: str = "abalone",
    model_package_group: str = "abalone",
    champion_group: str | None = None,
    endpoint_name: str = "abalone",
    hyperparameters: dict[str, object] | None = None,
) -> Pipeline:
    """The pipeline, ready to be compiled.

    `champion_group` holds the model to beat, where that is not the group to register in: a pull
    request registers apart from production. `hyperparameters` go to `train.py` as they are.
    `default_bucket` holds the data and all that the steps write.
    """
    session = PipelineSession(default_bucket=default_bucket)

    input_data = ParameterString(
        name="InputData", default_value=f"s3://{default_bucket}/abalone/data/abalone.csv"
    )
    training_instance_type = ParameterString(
        name="TrainingInstanceType", default_value="ml.m5.large"
    )
    rmse_threshold = ParameterFloat(name="RmseThreshold", default_value=3.0)
    approval_status = ParameterString(
        name="ModelApprovalStatus",
        default_value="PendingManualApproval",
        enum_values=["PendingManualApproval", "Approved", "Rejected"],
    )

    image = image_uris.retrieve(
        "sklearn", region, version="1.2-1", py_version="py3", instance_type="ml.m5.large"
    )
    output = f"s3://{default_bucket}/abalone/runs"
    cache = CacheConfig(enable_caching=True, expire_after="P30D")

    # Prepare: raw measurements -> train, validation and test sets.
    processor = ScriptProcessor(
        image_uri=image,
        command=["python3"],
        role=role,
        instance_count=1,
        instance_type="ml.m5.large",
        base_job_name="abalone-prepare",
        sagemaker_session=session,
    )
    prepare = ProcessingStep(
        name="PrepareAbalone",
        step_args=processor.run(
            code=str(HERE / "prepare.py"),
            inputs=[read("raw", input_data, "/opt/ml/processing/input/raw")],
            outputs=[
                write("train", output, "PrepareAbalone", "/opt/ml/processing/output/train"),
                write(
                    "validation", output, "PrepareAbalone", "/opt/ml/processing/output/validation"
                ),
                write("test", output, "PrepareAbalone", "/opt/ml/processing/output/test"),
            ],
        ),
        cache_config=cache,
    )

    # Train: the instance type is the caller's choice, for each execution anew.
    trainer = ModelTrainer(
        training_image=image,
        source_code=SourceCode(
            source_dir=str(HERE),
            entry_script="train.py",
            ignore_patterns=NOT_FOR_TRAINING,
        ),
        compute=Compute(instance_type=training_instance_type, instance_count=1),
        hyperparameters=dict(hyperparameters or {}),
        base_job_name="abalone-train",
        role=role,
        sagemaker_session=session,
    )
    train = TrainingStep(
        name="TrainAbalone",
        step_args=trainer.train(
            input_data_config=[
                InputData(channel_name="train", data_source=location(prepare, "train")),
                InputData(channel_name="validation", data_source=location(prepare, "validation")),
            ]
        ),
        cache_config=cache,
    )
    model_data = train.properties.ModelArtifacts.S3ModelArtifacts

    # Evaluate: challenger and champion on the same test set. Never cached: the champion is
    # whatever is approved when the step runs, which no argument of the step tells.
    evaluator = ScriptProcessor(
        image_uri=image,
        command=["python3"],
        role=role,
        instance_count=1,
        instance_type="ml.m5.large",
        base_job_name="abalone-evaluate",
        sagemaker_session=session,
        env={"AWS_DEFAULT_REGION": region},
    )
    evaluation = PropertyFile(
        name="EvaluationReport", output_name="evaluation", path="evaluation.json"
    )
    evaluate = ProcessingStep(
        name="EvaluateAbalone",
        step_args=evaluator.run(
            code=str(HERE / "evaluate.py"),
            inputs=[
                read("model", model_data, "/opt/ml/processing/input/model"),
                read("test", location(prepare, "test"), "/opt/ml/processing/input/test"),
                read("train", location(prepare, "train"), "/opt/ml/processing/input/train"),
            ],
            outputs=[
                write(
                    "evaluation", output, "EvaluateAbalone", "/opt/ml/processing/output/evaluation"
                )
            ],
            arguments=["--model-package-group", champion_group or model_package_group],
        ),
        property_files=[evaluation],
    )

    # Register: the evaluation goes along as the package's model quality.
    model = ModelBuilder(
        image_uri=image,
        s3_model_data_url=model_data,
        env_vars={
            "SAGEMAKER_PROGRAM": "inference.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        },
        role_arn=role,
        sagemaker_session=session,
    )
    register = ModelStep(
        name="RegisterAbalone",
        step_args=model.register(
            model_package_group_name=model_package_group,
            content_types=["text/csv", "application/json"],
            response_types=["text/csv", "application/json"],
            inference_instances=["ml.t2.medium", "ml.m5.large"],
            transform_instances=["ml.m5.large"],
            approval_status=approval_status,
            model_metrics=ModelMetrics(
                model_statistics=MetricsSource(
                    content_type="application/json",
                    s3_uri=Join(
                        on="/", values=[location(evaluate, "evaluation"), "evaluation.json"]
                    ),
                )
            ),
        ),
    )

    # Deploy: the function looks at the approval status and leaves the endpoint alone without it.
    deploy = LambdaStep(
        name="DeployAbalone",
        lambda_func=Lambda(
            function_name=f"{endpoint_name}-deploy",
            execution_role_arn=role,
            script=str(HERE / "deploy.py"),
            handler="deploy.handler",
            runtime="python3.12",
            timeout=600,
            session=session,
        ),
        inputs={
            "model_package_arn": register.properties.ModelPackageArn,
            "endpoint_name": endpoint_name,
            "role": role,
            "instance_type": "ml.m5.large",
        },
        outputs=[
            LambdaOutput(output_name="status", output_type=LambdaOutputTypeEnum.String),
            LambdaOutput(output_name="endpoint", output_type=LambdaOutputTypeEnum.String),
        ],
    )

    rmse = report(evaluate, evaluation, "regression_metrics.rmse.value")
    fail = FailStep(
        name="QualityTooLow",
        error_message=Join(
            on="",
            values=[
                "The model is not good enough: RMSE ", rmse,
                ", allowed at most ", rmse_threshold,
                "; better than the champion by ",
                report(evaluate, evaluation, "comparison.rmse_improvement.value"), ".",
            ],
        ),
    )  # fmt: skip
    check = ConditionStep(
        name="CheckQuality",
        conditions=[
            ConditionLessThanOrEqualTo(left=rmse, right=rmse_threshold),
            ConditionGreaterThan(
                left=report(evaluate, evaluation, "comparison.beats_champion"), right=0
            ),
        ],
        if_steps=[register, deploy],
        else_steps=[fail],
    )

    return Pipeline(
        name=pipeline_name,
        parameters=[input_data, training_instance_type, rmse_threshold, approval_status],
        steps=[prepare, train, evaluate, check],
        sagemaker_session=session,
    )


def read(name, uri, path):
    """An input that is copied to `path` in the container before the script starts."""
    return ProcessingInput(
        input_name=name,
        s3_input=ProcessingS3Input(
            s3_uri=uri, local_path=path, s3_data_type="S3Prefix", s3_input_mode="File"
        ),
    )


def write(name, root, step, path):
    """An output that is copied from `path` when the script has ended, to a place of its own."""
    return ProcessingOutput(
        output_name=name,
        s3_output=ProcessingS3Output(
            s3_uri=Join(
                on="/", values=[root, ExecutionVariables.PIPELINE_EXECUTION_ID, step, name]
            ),
            local_path=path,
            s3_upload_mode="EndOfJob",
        ),
    )


def location(step, output):
    """Where an output of a processing step ends up."""
    return step.properties.ProcessingOutputConfig.Outputs[output].S3Output.S3Uri


def report(step, property_file, path):
    """A value of the evaluation report, read when the execution gets there."""
    return JsonGet(step_name=step.name, property_file=property_file, json_path=path)
