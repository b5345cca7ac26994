"""The reference pipeline for version 2 of the SageMaker Python SDK, on the same scripts.

Step names, parameters and conditions are those of `pipelines/abalone/pipeline.py`; executions of
the two end alike.
"""

from pathlib import Path

from sagemaker import image_uris
from sagemaker.inputs import TrainingInput
from sagemaker.lambda_helper import Lambda
from sagemaker.model import Model
from sagemaker.model_metrics import MetricsSource, ModelMetrics
from sagemaker.processing import ProcessingInput, ProcessingOutput, ScriptProcessor
from sagemaker.sklearn.estimator import SKLearn
from sagemaker.sklearn.processing import SKLearnProcessor
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionGreaterThan, ConditionLessThanOrEqualTo
from sagemaker.workflow.execution_variables import ExecutionVariables
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.functions import Join, JsonGet
from sagemaker.workflow.lambda_step import LambdaOutput, LambdaOutputTypeEnum, LambdaStep
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.parameters import ParameterFloat, ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.properties import PropertyFile
from sagemaker.workflow.steps import CacheConfig, ProcessingStep, TrainingStep

SCRIPTS = Path(__file__).resolve().parents[3] / "pipelines" / "abalone"


def get_pipeline(
    region: str,
    role: str,
    default_bucket: str,
    pipeline_name: str = "abalone-v2",
    model_package_group: str = "abalone",
    champion_group: str | None = None,
    endpoint_name: str = "abalone",
    hyperparameters: dict[str, object] | None = None,
) -> Pipeline:
    """The pipeline, ready to be compiled."""
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

    processor = SKLearnProcessor(
        framework_version="1.2-1",
        role=role,
        instance_count=1,
        instance_type="ml.m5.large",
        base_job_name="abalone-prepare",
        sagemaker_session=session,
    )
    prepare = ProcessingStep(
        name="PrepareAbalone",
        step_args=processor.run(
            code=str(SCRIPTS / "prepare.py"),
            inputs=[
                ProcessingInput(
                    source=input_data,
                    destination="/opt/ml/processing/input/raw",
                    input_name="raw",
                )
            ],
            outputs=[
                write(name, output, "PrepareAbalone") for name in ("train", "validation", "test")
            ],
        ),
        cache_config=cache,
    )

    estimator = SKLearn(
        entry_point=str(SCRIPTS / "train.py"),
        dependencies=[str(SCRIPTS / "inference.py")],
        framework_version="1.2-1",
        py_version="py3",
        instance_type=training_instance_type,
        instance_count=1,
        hyperparameters=dict(hyperparameters or {}),
        base_job_name="abalone-train",
        role=role,
        sagemaker_session=session,
    )
    train = TrainingStep(
        name="TrainAbalone",
        step_args=estimator.fit(
            {name: TrainingInput(location(prepare, name)) for name in ("train", "validation")}
        ),
        cache_config=cache,
    )
    model_data = train.properties.ModelArtifacts.S3ModelArtifacts

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
            code=str(SCRIPTS / "evaluate.py"),
            inputs=[
                read("model", model_data),
                read("test", location(prepare, "test")),
                read("train", location(prepare, "train")),
            ],
            outputs=[write("evaluation", output, "EvaluateAbalone")],
            arguments=["--model-package-group", champion_group or model_package_group],
        ),
        property_files=[evaluation],
    )

    model = Model(
        image_uri=image,
        model_data=model_data,
        env={
            "SAGEMAKER_PROGRAM": "inference.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        },
        role=role,
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
    deploy = LambdaStep(
        name="DeployAbalone",
        lambda_func=Lambda(
            function_name=f"{endpoint_name}-deploy",
            execution_role_arn=role,
            script=str(SCRIPTS / "deploy.py"),
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


def read(name, uri):
    return ProcessingInput(
        source=uri, destination=f"/opt/ml/processing/input/{name}", input_name=name
    )


def write(name, root, step):
    return ProcessingOutput(
        source=f"/opt/ml/processing/output/{name}",
        destination=Join(
            on="/", values=[root, ExecutionVariables.PIPELINE_EXECUTION_ID, step, name]
        ),
        output_name=name,
    )


def location(step, output):
    return step.properties.ProcessingOutputConfig.Outputs[output].S3Output.S3Uri


def report(step, property_file, path):
    return JsonGet(step_name=step.name, property_file=property_file, json_path=path)
