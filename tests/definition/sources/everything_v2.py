"""One pipeline with every kind of step, condition and expression that SDK v2 can write."""

import sys
from pathlib import Path

from sagemaker import image_uris
from sagemaker.clarify import BiasConfig, DataConfig
from sagemaker.drift_check_baselines import DriftCheckBaselines
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.lambda_helper import Lambda
from sagemaker.model import Model
from sagemaker.model_metrics import MetricsSource, ModelMetrics
from sagemaker.model_monitor import DatasetFormat
from sagemaker.pipeline import PipelineModel
from sagemaker.processing import ProcessingInput, ProcessingOutput, ScriptProcessor
from sagemaker.sklearn.estimator import SKLearn
from sagemaker.transformer import Transformer
from sagemaker.tuner import ContinuousParameter, HyperparameterTuner, IntegerParameter
from sagemaker.workflow.callback_step import CallbackOutput, CallbackOutputTypeEnum, CallbackStep
from sagemaker.workflow.check_job_config import CheckJobConfig
from sagemaker.workflow.clarify_check_step import ClarifyCheckStep, DataBiasCheckConfig
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import (
    ConditionEquals,
    ConditionGreaterThan,
    ConditionGreaterThanOrEqualTo,
    ConditionIn,
    ConditionLessThan,
    ConditionLessThanOrEqualTo,
    ConditionNot,
    ConditionOr,
)
from sagemaker.workflow.emr_step import EMRStep, EMRStepConfig
from sagemaker.workflow.execution_variables import ExecutionVariables
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.functions import Join, JsonGet
from sagemaker.workflow.lambda_step import LambdaOutput, LambdaOutputTypeEnum, LambdaStep
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.parameters import (
    ParameterBoolean,
    ParameterFloat,
    ParameterInteger,
    ParameterString,
)
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.properties import PropertyFile
from sagemaker.workflow.quality_check_step import DataQualityCheckConfig, QualityCheckStep
from sagemaker.workflow.retry import StepExceptionTypeEnum, StepRetryPolicy
from sagemaker.workflow.steps import (
    CacheConfig,
    ProcessingStep,
    TrainingStep,
    TransformStep,
    TuningStep,
)

ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"
BUCKET = "sagemaker-us-east-1-000000000000"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


def build(folder: Path) -> str:
    for name in ("prepare.py", "train.py", "infer.py"):
        (folder / name).write_text("print('x')\n")
    session = PipelineSession(default_bucket=BUCKET)
    data = ParameterString("InputData", default_value=f"s3://{BUCKET}/abalone.csv")
    kind = ParameterString(
        "InstanceType", "ml.m5.xlarge", enum_values=["ml.m5.xlarge", "ml.c5.xlarge"]
    )
    count = ParameterInteger("Count", 1)
    bound = ParameterFloat("Bound", 6.0)
    flag = ParameterBoolean("Register", default_value=True)
    approval = ParameterString("Approval", "PendingManualApproval")
    cache = CacheConfig(enable_caching=True, expire_after="P30D")

    processor = ScriptProcessor(
        image_uri=IMAGE,
        command=["python3"],
        role=ROLE,
        instance_count=count,
        instance_type=kind,
        sagemaker_session=session,
        base_job_name="prepare",
        env={"RUN": ExecutionVariables.PIPELINE_EXECUTION_ID},
    )
    report = PropertyFile("EvaluationReport", "evaluation", "evaluation.json")
    prepare = ProcessingStep(
        "Prepare",
        step_args=processor.run(
            code=str(folder / "prepare.py"),
            inputs=[ProcessingInput(source=data, destination="/opt/ml/processing/input")],
            outputs=[
                ProcessingOutput(output_name="train", source="/opt/ml/processing/train"),
                ProcessingOutput(
                    output_name="test",
                    source="/opt/ml/processing/test",
                    destination=Join(
                        on="/",
                        values=["s3:/", BUCKET, ExecutionVariables.PIPELINE_EXECUTION_ID, "test"],
                    ),
                ),
            ],
            arguments=["--data", data, "--count", count.to_string()],
        ),
        cache_config=cache,
        display_name="Prepare the data",
        description="Splits",
        retry_policies=[
            StepRetryPolicy(exception_types=[StepExceptionTypeEnum.THROTTLING], max_attempts=5)
        ],
    )
    train_data = prepare.properties.ProcessingOutputConfig.Outputs["train"].S3Output.S3Uri
    script_mode = SKLearn(
        entry_point="train.py",
        source_dir=str(folder),
        framework_version="1.2-1",
        role=ROLE,
        instance_type=kind,
        instance_count=1,
        sagemaker_session=session,
        hyperparameters={"alpha": bound, "depth": 3},
    )
    train = TrainingStep(
        "Train",
        step_args=script_mode.fit({"train": TrainingInput(train_data, content_type="text/csv")}),
        cache_config=cache,
    )
    xgboost = image_uris.retrieve("xgboost", "us-east-1", version="1.7-1")
    estimator = Estimator(
        image_uri=xgboost,
        role=ROLE,
        instance_count=1,
        instance_type=kind,
        sagemaker_session=session,
        output_path=f"s3://{BUCKET}/models",
    )
    estimator.set_hyperparameters(objective="reg:squarederror", num_round=50)
    tuner = HyperparameterTuner(
        estimator,
        "validation:rmse",
        {"eta": ContinuousParameter(0.1, 0.9), "max_depth": IntegerParameter(3, 8)},
        objective_type="Minimize",
        max_jobs=2,
        max_parallel_jobs=1,
    )
    tune = TuningStep(
        "Tune",
        step_args=tuner.fit(
            {"train": TrainingInput(train_data), "validation": TrainingInput(train_data)}
        ),
        cache_config=cache,
    )
    best = tune.get_top_model_s3_uri(top_k=0, s3_bucket=BUCKET, prefix="models")
    evaluate = ProcessingStep(
        "Evaluate",
        step_args=processor.run(
            code=str(folder / "prepare.py"),
            inputs=[
                ProcessingInput(
                    source=train.properties.ModelArtifacts.S3ModelArtifacts,
                    destination="/opt/ml/processing/model",
                ),
                ProcessingInput(source=best, destination="/opt/ml/processing/best"),
            ],
            outputs=[
                ProcessingOutput(output_name="evaluation", source="/opt/ml/processing/evaluation")
            ],
        ),
        property_files=[report],
    )
    model = Model(
        image_uri=IMAGE,
        model_data=train.properties.ModelArtifacts.S3ModelArtifacts,
        role=ROLE,
        sagemaker_session=session,
        entry_point="infer.py",
        source_dir=str(folder),
    )
    metrics = ModelMetrics(
        model_statistics=MetricsSource(
            s3_uri=Join(
                on="/",
                values=[
                    evaluate.properties.ProcessingOutputConfig.Outputs["evaluation"].S3Output.S3Uri,
                    "evaluation.json",
                ],
            ),
            content_type="application/json",
        )
    )
    create = ModelStep("Create", step_args=model.create(instance_type="ml.m5.large"))
    transformer = Transformer(
        model_name=create.properties.ModelName,
        instance_type="ml.m5.xlarge",
        instance_count=1,
        output_path=f"s3://{BUCKET}/scores",
        sagemaker_session=session,
    )
    transform = TransformStep(
        "Score", step_args=transformer.transform(data, content_type="text/csv", split_type="Line")
    )
    register = ModelStep(
        "Register",
        step_args=model.register(
            content_types=["text/csv"],
            response_types=["text/csv"],
            inference_instances=["ml.m5.large"],
            transform_instances=["ml.m5.xlarge"],
            model_package_group_name="Abalone",
            approval_status=approval,
            model_metrics=metrics,
            drift_check_baselines=DriftCheckBaselines(),
            customer_metadata_properties={"commit": "0"},
        ),
    )
    both = PipelineModel(
        [model, Model(image_uri=IMAGE, model_data=best, role=ROLE, sagemaker_session=session)],
        ROLE,
        sagemaker_session=session,
    )
    register_both = ModelStep(
        "RegisterBoth",
        step_args=both.register(
            content_types=["text/csv"],
            response_types=["text/csv"],
            inference_instances=["ml.m5.large"],
            transform_instances=["ml.m5.xlarge"],
            model_package_group_name="Abalone",
            approval_status="Approved",
        ),
    )
    deploy = LambdaStep(
        "Deploy",
        lambda_func=Lambda(
            function_arn="arn:aws:lambda:us-east-1:000000000000:function:deploy", session=session
        ),
        inputs={"package": register.steps[-1].properties.ModelPackageArn, "n": 1},
        outputs=[LambdaOutput("status", LambdaOutputTypeEnum.String)],
        cache_config=cache,
    )
    callback = CallbackStep(
        "Ask",
        sqs_queue_url="https://sqs.us-east-1.amazonaws.com/000000000000/q",
        inputs={"a": data, "b": deploy.properties.Outputs["status"]},
        outputs=[CallbackOutput("answer", CallbackOutputTypeEnum.String)],
    )
    job = CheckJobConfig(
        role=ROLE, instance_count=1, instance_type="ml.c5.xlarge", sagemaker_session=session
    )
    quality = QualityCheckStep(
        "Quality",
        quality_check_config=DataQualityCheckConfig(
            baseline_dataset=train_data,
            dataset_format=DatasetFormat.csv(header=False),
            output_s3_uri=f"s3://{BUCKET}/q",
        ),
        check_job_config=job,
        skip_check=False,
        register_new_baseline=flag,
        model_package_group_name="Abalone",
    )
    bias = ClarifyCheckStep(
        "Bias",
        clarify_check_config=DataBiasCheckConfig(
            data_config=DataConfig(
                s3_data_input_path=train_data,
                s3_output_path=f"s3://{BUCKET}/b",
                label=0,
                dataset_type="text/csv",
                s3_analysis_config_output_path=f"s3://{BUCKET}/conf",
            ),
            data_bias_config=BiasConfig(
                label_values_or_threshold=[15.0], facet_name=[8], facet_values_or_threshold=[[0.5]]
            ),
            methods="all",
        ),
        check_job_config=job,
        skip_check=flag,
        register_new_baseline=False,
        model_package_group_name="Abalone",
    )
    emr = EMRStep(
        "Spark",
        display_name="Spark",
        description="d",
        cluster_id="j-123",
        step_config=EMRStepConfig(
            jar="s3://b/j.jar",
            args=["--a", data],
            main_class="com.x.Main",
            properties=[{"Key": "k", "Value": "v"}],
        ),
        cache_config=cache,
    )
    emr_cluster = EMRStep(
        "SparkCluster",
        display_name="SparkCluster",
        description="d",
        cluster_id=None,
        step_config=EMRStepConfig(jar="s3://b/j.jar"),
        cluster_config={
            "Applications": [{"Name": "Spark"}],
            "Instances": {
                "InstanceGroups": [
                    {"InstanceRole": "MASTER", "InstanceCount": 1, "InstanceType": "m5.2xlarge"}
                ]
            },
            "ReleaseLabel": "emr-6.6.0",
            "JobFlowRole": "r",
            "ServiceRole": "s",
        },
    )
    mse = JsonGet(
        step_name="Evaluate", property_file=report, json_path="regression_metrics.mse.value"
    )
    fail = FailStep("Worse", error_message=Join(on=" ", values=["mse is above", bound]))
    inner = ConditionStep(
        "Nested",
        conditions=[
            ConditionIn(value=kind, in_values=["ml.m5.xlarge", approval]),
            ConditionOr(
                [
                    ConditionEquals(left=flag, right=True),
                    ConditionNot(ConditionGreaterThan(left=count, right=3)),
                ]
            ),
            ConditionLessThan(left=train.properties.FinalMetricDataList["rmse"].Value, right=9.0),
            ConditionGreaterThanOrEqualTo(
                left=ExecutionVariables.START_DATETIME, right="2026-01-01T00:00:00Z"
            ),
        ],
        if_steps=[register, deploy],
        else_steps=[register_both],
    )
    outer = ConditionStep(
        "Better",
        conditions=[ConditionLessThanOrEqualTo(left=mse, right=bound)],
        if_steps=[inner],
        else_steps=[fail],
        depends_on=[quality],
    )
    transform.add_depends_on([emr])
    pipeline = Pipeline(
        name="everything-v2",
        parameters=[data, kind, count, bound, flag, approval],
        steps=[
            prepare,
            train,
            tune,
            evaluate,
            create,
            transform,
            quality,
            bias,
            emr,
            emr_cluster,
            outer,
            callback,
        ],
        sagemaker_session=session,
    )
    return pipeline.definition()


if __name__ == "__main__":
    (Path(sys.argv[1]) / "definition.json").write_text(build(Path(sys.argv[1])))
