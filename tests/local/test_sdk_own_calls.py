"""The SDK's own Pipeline, unmodified, against the endpoint: both versions end alike."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.compiling import ACCOUNT, BUCKET, ROOT, sdk_python
from support.endpoint import client, endpoint_environ, running_endpoint
from support.model_env import PIPELINE, model_environment

from ci.local.lifecycle import Endpoint

pytestmark = [pytest.mark.sdk, pytest.mark.endpoint, pytest.mark.slow]

SOURCES = {
    "v3": PIPELINE / "pipeline.py",
    "v2": ROOT / "tests/abalone/pipeline_v2/pipeline.py",
}
DRIVER = Path(__file__).with_name("sdk_driver.py")
STARTS: tuple[dict[str, object], ...] = (
    {"ModelApprovalStatus": "Approved"},
    {"RmseThreshold": 1.0},
)
Told = Mapping[str, Any]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    folder = tmp_path_factory.mktemp("sdk")
    images = (("*sagemaker-scikit-learn*", model_environment()),)
    with running_endpoint(folder / "home", images=images) as running:
        s3 = client(running, "s3")
        s3.create_bucket(Bucket=BUCKET)
        python = model_environment() / "bin/python"
        data = folder / "abalone.csv"
        subprocess.run([python, PIPELINE / "data.py", data], check=True, capture_output=True)
        s3.upload_file(str(data), BUCKET, "abalone/data/abalone.csv")
        s3.close()
        yield running


@pytest.fixture(scope="module")
def told(endpoint: Endpoint) -> dict[str, Told]:
    """What each SDK said of a run that registers and one that is below the threshold."""
    # Telemetry goes out over HTTPS past AWS_ENDPOINT_URL: this proxy takes it nowhere.
    environ = endpoint_environ(endpoint) | {"HTTPS_PROXY": "http://127.0.0.1:9"}
    found = {}
    for version, source in SOURCES.items():
        starts = [json.dumps(start) for start in STARTS]
        done = subprocess.run(
            [sdk_python(version), str(DRIVER), str(source), f"own-{version}", *starts],
            env=environ,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        found[version] = json.loads(done.stdout.splitlines()[-1])
    return found


def steps(execution: Told) -> dict[str, str]:
    """Statuses by name. SDK v2 adds what a ModelStep does to the step's name."""
    return {
        step["StepName"].removesuffix("-RegisterModel"): step["StepStatus"]
        for step in execution["steps"]
    }


def evaluation(endpoint: Endpoint, execution: Told) -> dict[str, Any]:
    number = execution["described"]["PipelineExecutionArn"].rpartition("/")[2]
    key = f"abalone/runs/{number}/EvaluateAbalone/evaluation/evaluation.json"
    s3 = client(endpoint, "s3")
    document: dict[str, Any] = json.load(s3.get_object(Bucket=BUCKET, Key=key)["Body"])
    s3.close()
    return {name: document[name] for name in ("regression_metrics", "comparison")}


@pytest.mark.parametrize("version", SOURCES)
def test_upsert_makes_one_pipeline_and_then_updates_it(version: str, told: dict[str, Told]) -> None:
    arn = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:pipeline/own-{version}"
    assert told[version]["arns"] == [arn, arn]
    described = told[version]["described"]
    assert (described["PipelineArn"], described["PipelineStatus"]) == (arn, "Active")
    assert described["PipelineDescription"] == "again"


@pytest.mark.parametrize("version", SOURCES)
def test_a_model_that_is_good_enough_is_registered_and_deployed(
    version: str, told: dict[str, Told], endpoint: Endpoint
) -> None:
    first = told[version]["executions"][0]
    assert first["described"]["PipelineExecutionStatus"] == "Succeeded"
    assert steps(first) == dict.fromkeys(
        (
            "PrepareAbalone",
            "TrainAbalone",
            "EvaluateAbalone",
            "CheckQuality",
            "RegisterAbalone",
            "DeployAbalone",
        ),
        "Succeeded",
    )
    sagemaker = client(endpoint, "sagemaker")
    packages = sagemaker.list_model_packages(ModelPackageGroupName=f"own-{version}")
    (package,) = packages["ModelPackageSummaryList"]
    assert package["ModelApprovalStatus"] == "Approved"
    (registered,) = [s for s in first["steps"] if "RegisterModel" in s["Metadata"]]
    assert registered["Metadata"]["RegisterModel"]["Arn"] == package["ModelPackageArn"]
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName=f"own-{version}", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    runtime = client(endpoint, "sagemaker-runtime")
    answer = runtime.invoke_endpoint(
        EndpointName=f"own-{version}",
        ContentType="text/csv",
        Accept="text/csv",
        Body="M,0.455,0.365,0.095,0.514,0.2245,0.101,0.15",
    )
    assert 4 < float(answer["Body"].read()) < 20
    sagemaker.close()
    runtime.close()


def test_both_executions_end_alike(told: dict[str, Told], endpoint: Endpoint) -> None:
    for number in range(len(STARTS)):
        v3, v2 = (told[version]["executions"][number] for version in ("v3", "v2"))
        assert steps(v3) == steps(v2)
        ends = [
            (e["described"]["PipelineExecutionStatus"], e["described"].get("FailureReason"))
            for e in (v3, v2)
        ]
        assert ends[0] == ends[1]
        metrics = evaluation(endpoint, v3)
        assert metrics == evaluation(endpoint, v2)
        assert 2 < metrics["regression_metrics"]["rmse"]["value"] < 2.5


@pytest.mark.parametrize("version", SOURCES)
def test_a_model_below_the_threshold_fails_by_name(version: str, told: dict[str, Told]) -> None:
    second = told[version]["executions"][1]
    assert second["described"]["PipelineExecutionStatus"] == "Failed"
    assert list(steps(second).items())[-1] == ("QualityTooLow", "Failed")
    assert "allowed at most 1.0" in second["steps"][-1]["FailureReason"]
    source = told[version]["executions"][0]["described"]["PipelineExecutionArn"]
    cached = {s["StepName"]: s.get("CacheHitResult") for s in second["steps"]}
    hit = {"SourcePipelineExecutionArn": source}
    assert (cached["PrepareAbalone"], cached["EvaluateAbalone"]) == (hit, None)


@pytest.mark.parametrize("version", SOURCES)
def test_the_sdk_lists_and_deletes(version: str, told: dict[str, Told], endpoint: Endpoint) -> None:
    listed = [item["PipelineExecutionStatus"] for item in told[version]["listed"]]
    assert listed == ["Failed", "Succeeded"]
    assert {item["PipelineExecutionDisplayName"] for item in told[version]["listed"]} == {
        "by-the-sdk"
    }
    sagemaker = client(endpoint, "sagemaker")
    assert not sagemaker.list_pipelines(PipelineNamePrefix=f"own-{version}")["PipelineSummaries"]
    sagemaker.close()
