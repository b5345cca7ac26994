"""The reference pipeline's scripts, run as the processes they are in their containers."""

import ast
import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.archives import model_archive
from support.endpoint import client, endpoint_environ, running_endpoint
from support.model_env import PIPELINE, model_environment

from ci.local.lifecycle import Endpoint

pytestmark = pytest.mark.sdk

ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
HEADER = "sex,length,diameter,height,whole_weight,shucked_weight,viscera_weight,shell_weight,rings"
ROW = "M,0.455,0.365,0.095,0.514,0.2245,0.101,0.15,15"


def run(
    script: str,
    *arguments: object,
    environ: dict[str, str] | None = None,
    before: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    python = model_environment() / "bin" / "python"
    return subprocess.run(
        [*before, str(python), str(PIPELINE / script), *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1", **(environ or {})},
    )


def done(*arguments: Any, **more: Any) -> str:
    result = run(*arguments, **more)
    assert result.returncode == 0, result.stderr
    return result.stdout


def failed(*arguments: Any, **more: Any) -> str:
    result = run(*arguments, **more)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of train, validation and test, from the whole data."""
    folder = tmp_path_factory.mktemp("abalone")
    assert "4177 rows" in done("data.py", folder / "raw" / "abalone.csv")
    done("prepare.py", "--input", folder / "raw", "--output", folder)
    return folder


def train(sets: Path, into: Path, *arguments: object) -> str:
    return done(
        "train.py", "--train", sets / "train", "--validation", sets / "validation",
        "--model-dir", into, *arguments,
    )  # fmt: skip


def archive(model: Path) -> bytes:
    return model_archive(
        {
            str(file.relative_to(model)): file.read_bytes()
            for file in sorted(model.rglob("*"))
            if file.is_file()
        }
    )


def rows(folder: Path) -> list[tuple[str, ...]]:
    (file,) = folder.glob("*.csv")
    return [tuple(row) for row in csv.reader(file.read_text().splitlines())][1:]


@pytest.mark.parametrize("script", ["prepare.py", "train.py", "evaluate.py", "inference.py"])
def test_scripts_keep_to_the_python_of_the_prebuilt_container(script: str) -> None:
    tree = ast.parse((PIPELINE / script).read_text(), feature_version=(3, 8))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    # scikit-learn cannot be installed without joblib and threadpoolctl.
    allowed = {"numpy", "pandas", "sklearn", "joblib", "threadpoolctl", "boto3", "botocore"}
    assert imported - allowed <= sys.stdlib_module_names


def test_data_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        done("data.py", tmp_path / name / "abalone.csv")
    first, second = ((tmp_path / name / "abalone.csv").read_bytes() for name in ("a", "b"))
    assert first == second
    assert hashlib.sha256(first).hexdigest().startswith("ffa124af26414bfd")


def test_every_row_is_in_one_set_whatever_the_order(sets: Path, tmp_path: Path) -> None:
    parts = {name: rows(sets / name) for name in ("train", "validation", "test")}
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 2922,
        "validation": 609,
        "test": 644,
    }
    lines = (sets / "raw" / "abalone.csv").read_text().splitlines()
    (tmp_path / "raw").mkdir()
    half = len(lines) // 2
    (tmp_path / "raw" / "a.csv").write_text("\n".join([lines[0], *reversed(lines[half:])]))
    (tmp_path / "raw" / "b.csv").write_text("\n".join(lines[:half]))
    done("prepare.py", "--input", tmp_path / "raw", "--output", tmp_path)
    for name, part in parts.items():
        assert sorted(rows(tmp_path / name)) == sorted(part)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a CSV file"),
        (b"\xff\xfe\x00garbage", "not a CSV file"),
        (b"M,1,2\n", "no column sex, length"),
        (f"{HEADER}\n{ROW}\n{ROW.replace('0.455', 'çok')}\n".encode(), "data.csv:3: length is not"),
        (f"{HEADER}\n{ROW}\n\n{ROW.replace('M', 'X')}\n".encode(), "data.csv:4: sex is one of"),
        (f"{HEADER}\n{ROW.replace('0.15,', 'inf,')}\n".encode(), "data.csv:2: shell_weight"),
        (f"{HEADER}\n{ROW},1,2,3\n{ROW}\n".encode(), "sex is one of"),
        (f"{HEADER}\n{ROW}\n".encode(), "leave the"),
    ],
)
def test_data_that_cannot_be_used_is_refused_by_line(
    tmp_path: Path, content: bytes, says: str
) -> None:
    (tmp_path / "data.csv").write_bytes(content)
    assert says in failed("prepare.py", "--input", tmp_path, "--output", tmp_path / "out")


def test_no_data_is_refused(tmp_path: Path) -> None:
    assert "InputData" in failed("prepare.py", "--input", tmp_path, "--output", tmp_path)


def test_training_is_deterministic_and_prints_its_metrics(sets: Path, tmp_path: Path) -> None:
    arguments = ("--model", "forest", "--trees", 20, "--random-state", 3)
    first, second = (train(sets, tmp_path / name, *arguments) for name in ("a", "b"))
    assert first == second
    assert "validation:rmse=2." in first
    for file in ("model.joblib", "code/inference.py"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_training_refuses_what_it_cannot_use(sets: Path, tmp_path: Path) -> None:
    where = ("--train", sets / "train", "--model-dir", tmp_path / "model")
    assert "no *.csv" in failed("train.py", *where, "--validation", tmp_path)
    (tmp_path / "v.csv").write_text("sex,length\nM,1\n")
    assert "column rings" in failed("train.py", *where, "--validation", tmp_path)
    wrong = run("train.py", *where, "--model", "oracle")
    assert wrong.returncode == 2
    assert "invalid choice" in wrong.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="binding /opt/ml in a mount namespace needs root")
def test_without_arguments_the_scripts_use_the_folders_of_the_container(
    sets: Path, tmp_path: Path
) -> None:
    root = tmp_path / "ml"
    for folder in ("processing/input/raw", "input/data", "output", "model"):
        (root / folder).mkdir(parents=True)
    shutil.copy(sets / "raw" / "abalone.csv", root / "processing" / "input" / "raw")
    bind = f"mkdir -p /opt/ml && mount --bind '{root}' /opt/ml && exec \"$@\""
    # /opt is made this namespace's own first, so that no folder is left on the machine.
    private = ("unshare", "--mount", "sh", "-c", f"mount -t tmpfs tmpfs /opt && {bind}", "sh")
    done("prepare.py", before=private)
    for name in ("train", "validation"):
        shutil.copytree(root / "processing" / "output" / name, root / "input" / "data" / name)
    done("train.py", before=private)
    assert (root / "model" / "model.joblib").exists()
    shutil.rmtree(root / "input" / "data" / "train")
    failed("train.py", before=private)
    assert "no *.csv file" in (root / "output" / "failure").read_text()


# --- with the local endpoint: the champion, the comparison, the deployment --------------------


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
