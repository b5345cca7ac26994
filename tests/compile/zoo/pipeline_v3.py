"""One of each shape in which SDK v3 uploads code."""

import shutil
import tempfile
from pathlib import Path

from sagemaker.core.lambda_helper import Lambda
from sagemaker.core.processing import FrameworkProcessor, ScriptProcessor
from sagemaker.core.s3 import S3Uploader
from sagemaker.core.shapes import ProcessingInput, ProcessingS3Input
from sagemaker.core.training.configs import Compute, SourceCode
from sagemaker.core.workflow.conditions import ConditionEquals
from sagemaker.core.workflow.functions import Join
from sagemaker.core.workflow.parameters import ParameterString
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.lambda_step import LambdaStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import ProcessingStep, TrainingStep
from sagemaker.train import ModelTrainer

HERE = Path(__file__).parent
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/image:1"


def get_pipeline(role, default_bucket, sagemaker_session):
    session = sagemaker_session
    settings = S3Uploader.upload_string_as_file_body(
        '{"a": 1}', f"s3://{default_bucket}/zoo/2024/settings.json", sagemaker_session=session
    )
    folder = session.upload_data(str(HERE / "code"), default_bucket, "zoo/folder")
    choice = ParameterString(name="Choice", default_value=settings)

    def trainer(script, name="same-base"):
        return ModelTrainer(
            training_image=IMAGE,
            source_code=SourceCode(
                source_dir=str(HERE / "code"), entry_script=script, requirements="requirements.txt"
            ),
            compute=Compute(instance_type="ml.m5.large", instance_count=1),
            base_job_name=name,
            hyperparameters={"settings": settings, "nested": {"uri": [settings, folder]}},
            environment={"SETTINGS": settings, "FOLDER": f"{folder}/"},
            role=role,
            sagemaker_session=session,
        ).train()

    def processor(kind, **arguments):
        return kind(
            image_uri=IMAGE,
            role=role,
            instance_count=1,
            instance_type="ml.m5.large",
            base_job_name="same-base",
            sagemaker_session=session,
            **arguments,
        )

    second = Path(tempfile.mkdtemp()) / "process.py"
    second.write_text("print('another script of the same name')\n")
    shutil.copystat(HERE / "process.py", second)
    framework = ProcessingStep(
        name="Framework",
        step_args=processor(FrameworkProcessor, command=["python3"]).run(
            code="train.py", source_dir=str(HERE / "code"), arguments=["--settings", settings]
        ),
    )
    one = ProcessingStep(
        name="One",
        step_args=processor(ScriptProcessor, command=["python3"]).run(
            code=str(HERE / "process.py"),
            inputs=[
                ProcessingInput(
                    input_name="joined",
                    s3_input=ProcessingS3Input(
                        s3_uri=Join(
                            on="/", values=["s3:/", default_bucket, "zoo/2024", "settings.json"]
                        ),
                        local_path="/opt/ml/processing/input/joined",
                        s3_data_type="S3Prefix",
                    ),
                )
            ],
        ),
    )
    two = ProcessingStep(
        name="Two",
        step_args=processor(ScriptProcessor, command=["python3"]).run(code=str(second)),
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
        if_steps=[TrainingStep(name="TrainTwo", step_args=trainer("train.py"))],
        else_steps=[FailStep(name="Fail", error_message=Join(on=" ", values=["no", settings]))],
    )
    outer = ConditionStep(
        name="Outer",
        conditions=[ConditionEquals(left=choice, right="a")],
        if_steps=[inner],
        else_steps=[function],
    )
    train = TrainingStep(name="TrainOne", step_args=trainer("package/model.py"))
    return Pipeline(
        name="zoo",
        parameters=[choice],
        steps=[framework, one, two, train, outer],
        sagemaker_session=session,
    )
