"""One of each shape in which SDK v2 uploads code."""

import tempfile
from pathlib import Path

from sagemaker.lambda_helper import Lambda
from sagemaker.processing import FrameworkProcessor, ScriptProcessor
from sagemaker.s3 import S3Uploader
from sagemaker.sklearn.estimator import SKLearn
from sagemaker.sklearn.model import SKLearnModel
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionEquals
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.functions import Join
from sagemaker.workflow.lambda_step import LambdaStep
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.parameters import ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.steps import ProcessingStep, TrainingStep

HERE = Path(__file__).parent
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/image:1"


def get_pipeline(role, default_bucket, sagemaker_session):
    session = sagemaker_session
    settings = S3Uploader.upload_string_as_file_body(
        '{"a": 1}', f"s3://{default_bucket}/zoo/2024/settings.json", sagemaker_session=session
    )
    folder = session.upload_data(str(HERE / "code"), default_bucket, "zoo/folder")
    choice = ParameterString(name="Choice", default_value=settings)

    def train(name, script):
        estimator = SKLearn(
            entry_point=script,
            source_dir=str(HERE / "code"),
            framework_version="1.2-1",
            instance_type="ml.m5.large",
            base_job_name="same-base",
            hyperparameters={"settings": settings, "nested": {"uri": [settings, folder]}},
            environment={"SETTINGS": settings, "FOLDER": f"{folder}/"},
            role=role,
            sagemaker_session=session,
        )
        return TrainingStep(name=name, step_args=estimator.fit())

    def process(name, script):
        processor = ScriptProcessor(
            image_uri=IMAGE,
            command=["python3"],
            role=role,
            instance_count=1,
            instance_type="ml.m5.large",
            base_job_name="same-base",
            sagemaker_session=session,
        )
        return ProcessingStep(name=name, step_args=processor.run(code=str(script)))

    second = Path(tempfile.mkdtemp()) / "process.py"
    second.write_text("print('another script of the same name')\n")
    framework = ProcessingStep(
        name="Framework",
        step_args=FrameworkProcessor(
            estimator_cls=SKLearn,
            framework_version="1.2-1",
            role=role,
            instance_count=1,
            instance_type="ml.m5.large",
            sagemaker_session=session,
        ).run(code="train.py", source_dir=str(HERE / "code"), arguments=["--settings", settings]),
    )
    first = train("TrainOne", "package/model.py")
    model = SKLearnModel(
        model_data=first.properties.ModelArtifacts.S3ModelArtifacts,
        entry_point="train.py",
        source_dir=str(HERE / "code"),
        framework_version="1.2-1",
        role=role,
        sagemaker_session=session,
    )
    register = ModelStep(
        name="Register",
        step_args=model.register(
            content_types=["text/csv"], response_types=["text/csv"], model_package_group_name="zoo"
        ),
    )
    function = LambdaStep(
        name="Function",
        lambda_func=Lambda(
            function_name="zoo",
            execution_role_arn=role,
            script=str(HERE / "handler.py"),
            handler="handler.handler",
            session=session,
        ),
        inputs={"settings": settings},
    )
    inner = ConditionStep(
        name="Inner",
        conditions=[ConditionEquals(left=choice, right="b")],
        if_steps=[train("TrainTwo", "train.py"), register],
        else_steps=[FailStep(name="Fail", error_message=Join(on=" ", values=["no", settings]))],
    )
    outer = ConditionStep(
        name="Outer",
        conditions=[ConditionEquals(left=choice, right="a")],
        if_steps=[inner],
        else_steps=[function],
    )
    return Pipeline(
        name="zoo",
        parameters=[choice],
        steps=[
            framework,
            process("One", HERE / "process.py"),
            process("Two", second),
            first,
            outer,
        ],
        sagemaker_session=session,
    )
