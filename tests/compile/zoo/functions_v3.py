"""Functions as steps, in SDK v3."""

from sagemaker.mlops.workflow.function_step import step
from sagemaker.mlops.workflow.pipeline import Pipeline

IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/image:1"


@step(name="Double", image_uri=IMAGE, instance_type="ml.m5.large")
def double(value):
    return value * 2


@step(name="Add", image_uri=IMAGE, instance_type="ml.m5.large")
def add(first, second):
    return first + second


def get_pipeline(sagemaker_session):
    total = add(double(1), 3)
    return Pipeline(name="functions", steps=[total], sagemaker_session=sagemaker_session)
