"""Where metrics and their champion come from: every place the project file can name, read back
after a real run."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.endpoint import client
from support.scratch import BUCKET, IMAGE, PROJECT, Scratch, new_scratch, quality_definition

from ci.local.lifecycle import down

pytestmark = pytest.mark.endpoint

OWN = "      - {name: rmse, property_file: Report, path: $.regression_metrics.rmse.value}\n"
SOURCES = f"""\
      - {{name: file, property_file: Report, path: "$..rmse.value"}}
      - {{name: package, model_package: true, path: rmse}}
      - {{name: bucket, s3: "s3://{BUCKET}/nightly/scores.json", path: "$.runs[?@.last].f1"}}
      - {{name: job, training_step: Train, path: "validation:loss", goal: minimize}}
      - {{name: gone, s3: "s3://{BUCKET}/nightly/nowhere.json", path: $.f1}}
      - {{name: nan, training_step: Train, path: "validation:auc", goal: maximize}}
"""


def training() -> dict[str, Any]:
    """A step whose log holds its metrics."""
    told = "print('loss=0.5'); print('loss=0.25')"
    specification = {
        "TrainingImage": IMAGE,
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ["python3", "-c", told],
        "MetricDefinitions": [{"Name": "validation:loss", "Regex": "loss=([0-9.]+)"}],
    }
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
    arguments = {
        "AlgorithmSpecification": specification,
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models"},
        "ResourceConfig": resources,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "RoleArn": "arn:aws:iam::000000000000:role/local",
    }
    return {"Name": "Train", "Type": "Training", "Arguments": arguments}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scratch]:
    made = new_scratch(tmp_path_factory.mktemp("sources") / "repository")
    made.define(quality_definition(2.0))
    yield made
    down(made.root / ".sagemaker-gitops" / "local")


def aws(scratch: Scratch, service: str) -> Any:
    return client(scratch.run("local", "up", "--json").document["address"], service)


def run(scratch: Scratch, rmse: float, project: str, *, train: bool = False) -> Any:
    scratch.write("sagemaker-gitops.yaml", project)
    definition = quality_definition(rmse)
    if train:
        definition["Steps"].insert(0, training())
    scratch.define(definition)
    scratch.commit(f"rmse {rmse}")
    return scratch.deploy()


def test_every_source_is_read(scratch: Scratch) -> None:
    s3 = aws(scratch, "s3")
    s3.create_bucket(Bucket=BUCKET)
    scores = {"runs": [{"f1": 0.1}, {"f1": 0.9, "last": True}]}
    s3.put_object(Bucket=BUCKET, Key="nightly/scores.json", Body=json.dumps(scores).encode())
    project = PROJECT.replace(OWN, SOURCES).replace("metric: rmse", "metric: file")
    done = run(scratch, 2.0, project, train=True)
    assert done.code == 0, done.err
    found = {metric["name"]: metric for metric in done.report["verdict"]["metrics"]}
    values = {name: metric["value"] for name, metric in found.items()}
    assert values == {
        "file": 2.0,
        "package": 2.0,
        "bucket": 0.9,
        "job": 0.25,
        "gone": None,
        "nan": None,
    }
    assert "nowhere.json" in found["gone"]["problem"]
    assert "no metric validation:auc; nearest: validation:loss" in found["nan"]["problem"]


def test_the_champion_that_is_named_is_the_one_compared_with(scratch: Scratch) -> None:
    """Version 1 measured 2.0 and is Approved by now, as is version 2 with 2.5."""
    latest = run(scratch, 2.5, PROJECT.replace("improve_by: 0", "improve_by: -1"))
    assert latest.code == 0, latest.err
    assert latest.report["model_package"]["arn"].endswith("model-package/quality/2")
    worse = run(scratch, 2.4, PROJECT)
    assert worse.report["verdict"]["metrics"][0]["champion"] == 2.5
    assert worse.code == 0
    line = "    model_package_group: quality\n"
    done = run(scratch, 2.3, PROJECT.replace(line, f"{line}    champion: quality/1\n"))
    assert done.report["verdict"]["metrics"][0]["champion"] == 2.0
    assert done.report["champion"]["version"] == 1
    assert done.report["verdict"]["outcome"] == "gate_failed"
    assert done.code == 1


def test_a_named_champion_that_is_not_there_is_no_first_model(scratch: Scratch) -> None:
    line = "    model_package_group: quality\n"
    name = "arn:aws:sagemaker:us-east-1:000000000000:model-package/quality/99"
    done = run(scratch, 1.5, PROJECT.replace(line, f"{line}    champion: {name}\n"))
    assert done.code == 1
    assert done.report["verdict"]["outcome"] == "unverified"
    assert f"the champion {name} of the project file is not there" in json.dumps(done.report)
    broken = run(scratch, 1.5, PROJECT.replace(line, f"{line}    champion: quality\n"))
    assert broken.code == 2
    assert "champion: abalone/12" in broken.err
