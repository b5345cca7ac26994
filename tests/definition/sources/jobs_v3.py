"""Training, tuning and the check steps as SDK v3 writes them."""

import sys
from pathlib import Path

from sagemaker.core.parameter import ContinuousParameter, IntegerParameter
from sagemaker.core.training.configs import Compute, InputData, SourceCode
from sagemaker.core.workflow.parameters import ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import CacheConfig, TrainingStep, TuningStep
from sagemaker.train import ModelTrainer
from sagemaker.train.tuner import HyperparameterTuner

ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"
BUCKET = "sagemaker-us-east-1-000000000000"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"


def build(folder: Path) -> str:
    (folder / "src").mkdir(exist_ok=True)
    (folder / "src" / "train.py").write_text("print('x')\n")
    session = PipelineSession(default_bucket=BUCKET)
    kind = ParameterString("InstanceType", "ml.m5.xlarge")
    trainer = ModelTrainer(
        training_image=IMAGE,
        source_code=SourceCode(source_dir=str(folder / "src"), entry_script="train.py"),
        compute=Compute(instance_type=kind, instance_count=1),
        hyperparameters={"objective": "reg:squarederror", "num_round": 50},
        environment={"LEVEL": kind},
        base_job_name="train",
        role=ROLE,
        sagemaker_session=session,
    )
    channels = [InputData(channel_name="train", data_source=f"s3://{BUCKET}/train.csv")]
    train = TrainingStep(
        "Train",
        step_args=trainer.train(input_data_config=channels),
        cache_config=CacheConfig(enable_caching=True, expire_after="P30D"),
    )
    built_in = ModelTrainer(
        training_image=IMAGE,
        compute=Compute(instance_type="ml.m5.xlarge", instance_count=1),
        hyperparameters={"objective": "reg:squarederror", "num_round": 50},
        base_job_name="tune",
        role=ROLE,
        sagemaker_session=session,
    )
    tuner = HyperparameterTuner(
        model_trainer=built_in,
        objective_metric_name="validation:rmse",
        objective_type="Minimize",
        hyperparameter_ranges={
            "eta": ContinuousParameter(0.1, 0.9),
            "max_depth": IntegerParameter(3, 8),
        },
        max_jobs=2,
        max_parallel_jobs=1,
    )
    tune = TuningStep("Tune", step_args=tuner.tune(inputs=channels), depends_on=[train])
    pipeline = Pipeline(
        name="jobs-v3", parameters=[kind], steps=[train, tune], sagemaker_session=session
    )
    return pipeline.definition()


if __name__ == "__main__":
    (Path(sys.argv[1]) / "definition.json").write_text(build(Path(sys.argv[1])))
