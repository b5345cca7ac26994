"""What the endpoint would do less for is refused at CreatePipeline; what it does is not."""

import json
from typing import Any

import pytest

from ci.local.api.definitions import check
from ci.local.context import ApiError


def training(**changes: Any) -> str:
    arguments = {
        "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://b/o", "CompressionType": "GZIP"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30,
        },
        "RoleArn": "arn:aws:iam::000000000000:role/local",
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        **changes,
    }  # fmt: skip
    step = {"Name": "Train", "Type": "Training", "Arguments": arguments}
    return json.dumps({"Version": "2020-12-01", "Steps": [step]})


def test_the_archive_that_a_model_is_always_packed_into_is_no_extra() -> None:
    check(training())


def test_a_scripts_own_settings_may_have_any_name() -> None:
    check(
        training(
            HyperParameters={"CompressionType": "zstd", "InstanceCount": "7"},
            Environment={"S3CompressionType": "Gzip"},
        )
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"OutputDataConfig": {"S3OutputPath": "s3://b/o", "CompressionType": "NONE"}},
            "packs every model",
        ),
        (
            {
                "InputDataConfig": [
                    {
                        "ChannelName": "train",
                        "CompressionType": "Gzip",
                        "DataSource": {
                            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/i"}
                        },
                    }
                ]
            },
            "does not unpack training channels",
        ),
        (
            {
                "ResourceConfig": {
                    "InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 30,
                }
            },
            "one instance",
        ),
    ],
)  # fmt: skip
def test_what_would_run_as_less_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ApiError, match=says) as refused:
        check(training(**changes))
    assert refused.value.code == "ValidationException"
    assert "step 'Train'" in refused.value.message
