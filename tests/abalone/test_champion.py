"""The reference pipeline's scripts at the local endpoint: champion, comparison, deployment."""

import io
import json
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.abalone import HEADER, ROW, archive, done, failed, train
from support.archives import model_archive
from support.endpoint import client, endpoint_environ, running_endpoint
from support.model_env import PIPELINE, model_environment

from ci.local.lifecycle import Endpoint

pytestmark = pytest.mark.sdk

ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    images = (("*sagemaker-scikit-learn*", model_environment()),)
    with running_endpoint(tmp_path_factory.mktemp("endpoint"), images=images) as endpoint:
        client(endpoint, "s3").create_bucket(Bucket="models")
        yield endpoint


def register(endpoint: Endpoint, group: str, data: bytes, status: str, name: str) -> str:
    sagemaker = client(endpoint, "sagemaker")
    if not sagemaker.list_model_package_groups(NameContains=group)["ModelPackageGroupSummaryList"]:
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
    client(endpoint, "s3").put_object(Bucket="models", Key=f"{group}/{name}", Body=data)
    return str(
        sagemaker.create_model_package(
            ModelPackageGroupName=group,
            ModelApprovalStatus=status,
            InferenceSpecification={
                "Containers": [
                    {
                        "Image": IMAGE,
                        "ModelDataUrl": f"s3://models/{group}/{name}",
                        "Environment": {
                            "SAGEMAKER_PROGRAM": "inference.py",
                            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
                        },
                    }
                ],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
        )["ModelPackageArn"]
    )


@pytest.fixture(scope="module")
def models(sets: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("models")
    for name in ("ridge", "boosting", "mean"):
        train(sets, folder / name, "--model", name)
    return {path.name: archive(path) for path in folder.iterdir()}


def evaluate_arguments(sets: Path, challenger: bytes, folder: Path, group: str) -> list[object]:
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "model.tar.gz").write_bytes(challenger)
    return [
        "evaluate.py", "--model-package-group", group, "--model", folder / "model",
        "--test", sets / "test", "--train", sets / "train", "--output", folder / "report",
    ]  # fmt: skip


def evaluate(
    endpoint: Endpoint, sets: Path, challenger: bytes, folder: Path, group: str
) -> dict[str, Any]:
    arguments = evaluate_arguments(sets, challenger, folder, group)
    done(*arguments, environ=endpoint_environ(endpoint))
    report: dict[str, Any] = json.loads((folder / "report" / "evaluation.json").read_text())
    return report


@pytest.mark.endpoint
def test_a_first_model_has_to_beat_the_mean(
    endpoint: Endpoint, sets: Path, models: dict[str, bytes], tmp_path: Path
) -> None:
    report = evaluate(endpoint, sets, models["ridge"], tmp_path, "first")
    assert "champion" not in report
    assert report["comparison"]["baseline"] == "mean of the training target"
    assert report["comparison"]["beats_champion"] == 1
    assert 2.2 < report["regression_metrics"]["rmse"]["value"] < 2.35
    metrics = report["regression_metrics"]
    assert metrics["rmse"]["value"] ** 2 == pytest.approx(metrics["mse"]["value"], abs=1e-5)
    assert 0.05 < metrics["rmse"]["standard_deviation"] < 0.2
    report = evaluate(endpoint, sets, models["mean"], tmp_path, "first")
    assert report["comparison"]["beats_champion"] == 0
    assert report["comparison"]["rmse_improvement"]["value"] == 0


@pytest.mark.endpoint
def test_the_latest_approved_model_is_the_champion(
    endpoint: Endpoint, sets: Path, models: dict[str, bytes], tmp_path: Path
) -> None:
    group = "champions"
    register(endpoint, group, models["mean"], "Approved", "old")
    arn = register(endpoint, group, models["ridge"], "Approved", "new")
    register(endpoint, group, models["boosting"], "PendingManualApproval", "pending")
    register(endpoint, group, models["boosting"], "Rejected", "rejected")
    better = evaluate(endpoint, sets, models["boosting"], tmp_path, group)
    assert better["champion"]["model_package_arn"] == arn
    assert better["comparison"]["baseline"] == "champion"
    assert better["comparison"]["beats_champion"] == 1
    gain = better["champion"]["rmse"]["value"] - better["regression_metrics"]["rmse"]["value"]
    assert better["comparison"]["rmse_improvement"]["value"] == pytest.approx(gain, abs=2e-6)
    assert gain > 0.05
    same = evaluate(endpoint, sets, models["ridge"], tmp_path, group)
    assert same["comparison"]["rmse_improvement"] == {"value": 0.0, "standard_deviation": 0.0}
    assert same["comparison"]["beats_champion"] == 0


NAN_MODEL = (
    "def model_fn(d): pass\ndef predict_fn(rows, model): return [float('nan')] * len(rows)\n"
)


@pytest.mark.endpoint
@pytest.mark.parametrize(
    ("challenger", "says"),
    [
        (b"no archive", "not a model archive"),
        (model_archive({"code/inference.py": NAN_MODEL}), "not finite numbers"),
        (
            model_archive({"code/inference.py": NAN_MODEL.replace("* len(rows)", "")}),
            "1 predictions",
        ),
        (model_archive({"model.joblib": b""}), "no code/inference.py"),
        (model_archive({"../evil.py": b""}), "refuses to unpack"),
    ],
    # An archive holds the time it was made at, which no test's name may.
    ids=("no archive", "not finite", "too few", "no code", "outside"),
)
def test_a_model_that_cannot_be_measured_gets_no_report(
    endpoint: Endpoint, sets: Path, tmp_path: Path, challenger: bytes, says: str
) -> None:
    arguments = evaluate_arguments(sets, challenger, tmp_path, "none")
    assert says in failed(*arguments, environ=endpoint_environ(endpoint))
    assert not (tmp_path / "report").exists()


def test_a_test_set_without_targets_gets_no_report(sets: Path, tmp_path: Path) -> None:
    arguments = evaluate_arguments(sets, b"", tmp_path, "none")
    (tmp_path / "test.csv").write_text(f"{HEADER}\n{ROW}\n{ROW.replace(',15', ',')}\n")
    told = failed(*arguments, "--test", tmp_path)
    assert "rings is not a finite number" in told


@pytest.mark.endpoint
def test_a_champion_that_is_lost_is_no_first_model(
    endpoint: Endpoint, sets: Path, models: dict[str, bytes], tmp_path: Path
) -> None:
    arn = register(endpoint, "lost", models["ridge"], "Approved", "gone")
    client(endpoint, "s3").delete_object(Bucket="models", Key="lost/gone")
    arguments = evaluate_arguments(sets, models["boosting"], tmp_path, "lost")
    told = failed(*arguments, environ=endpoint_environ(endpoint))
    assert f"champion {arn} cannot be measured" in told
    assert not (tmp_path / "report").exists()


def deploy(endpoint: Endpoint, arn: str, name: str) -> dict[str, Any]:
    """Call the Lambda function's handler, as Lambda would: by module, with an event."""
    event = {
        "model_package_arn": arn,
        "endpoint_name": name,
        "role": ROLE,
        "instance_type": "ml.m5.large",
    }
    code = (
        "import json, sys, deploy; print(json.dumps(deploy.handler(json.loads(sys.argv[1]), None)))"
    )
    result = subprocess.run(
        [str(model_environment() / "bin" / "python"), "-c", code, json.dumps(event)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=PIPELINE,
        env={**endpoint_environ(endpoint), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert result.returncode == 0, result.stderr
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def wait_in_service(endpoint: Endpoint, name: str) -> dict[str, Any]:
    sagemaker = client(endpoint, "sagemaker")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        body: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=name)
        if body["EndpointStatus"] not in ("Creating", "Updating"):
            break
        time.sleep(0.2)
    assert body["EndpointStatus"] == "InService", body
    return body


@pytest.mark.endpoint
def test_an_approved_package_answers_predictions_and_the_next_one_takes_over(
    endpoint: Endpoint, models: dict[str, bytes]
) -> None:
    sagemaker, runtime = (client(endpoint, name) for name in ("sagemaker", "sagemaker-runtime"))
    pending = register(endpoint, "serve", models["ridge"], "PendingManualApproval", "1")
    assert deploy(endpoint, pending, "abalone")["status"] == "NotApproved"
    assert sagemaker.list_models()["Models"] == []
    assert sagemaker.list_endpoints()["Endpoints"] == []

    sagemaker.update_model_package(ModelPackageArn=pending, ModelApprovalStatus="Approved")
    assert deploy(endpoint, pending, "abalone")["status"] == "Deploying"
    first = wait_in_service(endpoint, "abalone")
    assert deploy(endpoint, pending, "abalone")["status"] == "Deployed"
    assert len(sagemaker.list_models()["Models"]) == 1

    animal = ROW.rsplit(",", 1)[0]

    def predict(body: str, kind: str, accept: str) -> str:
        answer = runtime.invoke_endpoint(
            EndpointName="abalone", Body=body.encode(), ContentType=kind, Accept=accept
        )
        assert answer["ContentType"] == accept
        return str(answer["Body"].read().decode())

    as_csv = predict(f"{animal}\n{animal}\n", "text/csv", "text/csv").split()
    assert as_csv[0] == as_csv[1]
    assert 5 < float(as_csv[0]) < 15
    named = dict(zip(HEADER.split(","), ["M", *map(float, animal.split(",")[1:])], strict=False))
    as_json = predict(json.dumps({"instances": [named]}), "application/json", "application/json")
    assert json.loads(as_json)["predictions"] == [float(as_csv[0])]
    headed = predict(f"{HEADER.rsplit(',', 1)[0]}\n{animal}\n", "text/csv", "text/csv")
    assert headed.split() == as_csv[:1]

    with pytest.raises(runtime.exceptions.ModelError) as caught:
        predict("M,1,2\n", "text/csv", "text/csv")
    assert "a row has 8 values" in caught.value.response["OriginalMessage"]
    assert caught.value.response["OriginalStatusCode"] == 500

    better = register(endpoint, "serve", models["boosting"], "Approved", "2")
    assert deploy(endpoint, better, "abalone")["status"] == "Deploying"
    second = wait_in_service(endpoint, "abalone")
    assert second["EndpointConfigName"] != first["EndpointConfigName"]
    assert predict(animal, "text/csv", "text/csv").split() != as_csv[:1]


@pytest.mark.endpoint
def test_what_the_function_makes_carries_the_functions_tags(endpoint: Endpoint) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("main.py", "def handler(event, context): return {}")
    tags = {"sagemaker-gitops:pull-request": "12", "team": "rings"}
    arn = client(endpoint, "lambda").create_function(
        FunctionName="tagged-deploy",
        Runtime="python3.12",
        Role=ROLE,
        Handler="main.handler",
        Code={"ZipFile": buffer.getvalue()},
        Tags=tags,
    )["FunctionArn"]
    code = (
        "import json, sys, types, deploy\n"
        "contexts = [types.SimpleNamespace(invoked_function_arn=arn) for arn in sys.argv[1:]]\n"
        "print(json.dumps([deploy.own_tags(context) for context in [*contexts, None]]))"
    )
    result = subprocess.run(
        [str(model_environment() / "bin" / "python"), "-c", code, arn, f"{arn}:7", f"{arn}-none"],
        check=True,
        capture_output=True,
        text=True,
        cwd=PIPELINE,
        env={**endpoint_environ(endpoint), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    listed = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
    *told, answer = result.stdout.splitlines()
    assert json.loads(answer) == [listed, listed, [], []]
    assert "cannot be read" in told[0]
