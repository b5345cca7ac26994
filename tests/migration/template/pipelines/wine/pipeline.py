import os

import boto3
import sagemaker
import sagemaker.session
from pipelines._utils import job_name
from sagemaker.inputs import TrainingInput
from sagemaker.model_metrics import MetricsSource, ModelMetrics
from sagemaker.processing import ProcessingInput, ProcessingOutput, ScriptProcessor
from sagemaker.sklearn.estimator import SKLearn, SKLearnModel
from sagemaker.sklearn.processing import SKLearnProcessor
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionLessThanOrEqualTo
from sagemaker.workflow.functions import JsonGet
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.parameters import ParameterInteger, ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.properties import PropertyFile
from sagemaker.workflow.steps import ProcessingStep, TrainingStep

BASE_DIR = os.path.dirname(os.path.realpath(__file__))


def get_session(region, default_bucket):
    boto_session = boto3.Session(region_name=region)
    return sagemaker.session.Session(
        boto_session=boto_session,
        sagemaker_client=boto_session.client("sagemaker"),
        sagemaker_runtime_client=boto_session.client("sagemaker-runtime"),
        default_bucket=default_bucket,
    )


def get_pipeline_session(region, default_bucket):
    boto_session = boto3.Session(region_name=region)
    return PipelineSession(
        boto_session=boto_session,
        sagemaker_client=boto_session.client("sagemaker"),
        default_bucket=default_bucket,
    )


def get_pipeline(
    region,
    sagemaker_project_arn=None,
    role=None,
    default_bucket=None,
    model_package_group_name="WinePackageGroup",
    pipeline_name="WinePipeline",
    base_job_prefix="Wine",
):
    session = get_session(region, default_bucket)
    if role is None:
        role = sagemaker.session.get_execution_role(session)
    pipeline_session = get_pipeline_session(region, default_bucket)

    instance_count = ParameterInteger(name="ProcessingInstanceCount", default_value=1)
    approval = ParameterString(name="ModelApprovalStatus", default_value="PendingManualApproval")
    input_data = ParameterString(
        name="InputDataUrl", default_value=f"s3://wine-data-{region}/dataset/wine.csv"
    )

    processor = SKLearnProcessor(
        framework_version="1.2-1",
        instance_type="ml.m5.xlarge",
        instance_count=instance_count,
        base_job_name=job_name(base_job_prefix, "preprocess"),
        sagemaker_session=pipeline_session,
        role=role,
    )
    process = ProcessingStep(
        name="PreprocessWine",
        step_args=processor.run(
            outputs=[
                ProcessingOutput(output_name=name, source=f"/opt/ml/processing/{name}")
                for name in ("train", "test")
            ],
            code=os.path.join(BASE_DIR, "preprocess.py"),
            arguments=["--input-data", input_data],
        ),
    )
    outputs = process.properties.ProcessingOutputConfig.Outputs

    estimator = SKLearn(
        entry_point=os.path.join(BASE_DIR, "train.py"),
        framework_version="1.2-1",
        instance_type="ml.m5.xlarge",
        output_path=f"s3://{session.default_bucket()}/{base_job_prefix}/WineTrain",
        base_job_name=job_name(base_job_prefix, "train"),
        sagemaker_session=pipeline_session,
        role=role,
    )
    train = TrainingStep(
        name="TrainWine",
        step_args=estimator.fit(
            inputs={
                "train": TrainingInput(
                    s3_data=outputs["train"].S3Output.S3Uri, content_type="text/csv"
                )
            }
        ),
    )

    report = PropertyFile(
        name="WineEvaluationReport", output_name="evaluation", path="evaluation.json"
    )
    evaluator = ScriptProcessor(
        image_uri=processor.image_uri,
        command=["python3"],
        instance_type="ml.m5.xlarge",
        instance_count=1,
        base_job_name=job_name(base_job_prefix, "evaluate"),
        sagemaker_session=pipeline_session,
        role=role,
    )
    evaluate = ProcessingStep(
        name="EvaluateWine",
        step_args=evaluator.run(
            inputs=[
                ProcessingInput(
                    source=train.properties.ModelArtifacts.S3ModelArtifacts,
                    destination="/opt/ml/processing/model",
                ),
                ProcessingInput(
                    source=outputs["test"].S3Output.S3Uri,
                    destination="/opt/ml/processing/test",
                ),
            ],
            outputs=[
                ProcessingOutput(output_name="evaluation", source="/opt/ml/processing/evaluation")
            ],
            code=os.path.join(BASE_DIR, "evaluate.py"),
        ),
        property_files=[report],
    )

    statistics = "{}/evaluation.json".format(
        evaluate.arguments["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
    )
    model = SKLearnModel(
        entry_point=os.path.join(BASE_DIR, "train.py"),
        framework_version="1.2-1",
        model_data=train.properties.ModelArtifacts.S3ModelArtifacts,
        sagemaker_session=pipeline_session,
        role=role,
    )
    register = ModelStep(
        name="RegisterWine",
        step_args=model.register(
            content_types=["text/csv"],
            response_types=["text/csv"],
            inference_instances=["ml.m5.large"],
            transform_instances=["ml.m5.large"],
            model_package_group_name=model_package_group_name,
            approval_status=approval,
            model_metrics=ModelMetrics(
                model_statistics=MetricsSource(s3_uri=statistics, content_type="application/json")
            ),
        ),
    )

    good_enough = ConditionLessThanOrEqualTo(
        left=JsonGet(
            step_name=evaluate.name,
            property_file=report,
            json_path="regression_metrics.mse.value",
        ),
        right=6.0,
    )
    check = ConditionStep(
        name="CheckMSEWine", conditions=[good_enough], if_steps=[register], else_steps=[]
    )
    return Pipeline(
        name=pipeline_name,
        parameters=[instance_count, approval, input_data],
        steps=[process, train, evaluate, check],
        sagemaker_session=pipeline_session,
    )
