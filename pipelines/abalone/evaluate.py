"""Evaluate: the challenger and the champion, measured on the same test set.

The champion is the latest Approved package of the model package group. Each model is asked
through the `inference.py` in its own archive, as its endpoint would be, so that a challenger may
use other features than the champion. Without a champion the challenger has to beat the mean of
the training target. Writes SageMaker's model quality report with `champion` and `comparison`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tarfile
import tempfile
from pathlib import Path
from urllib.parse import urlparse

import boto3
import numpy as np
import pandas as pd
from botocore.exceptions import BotoCoreError, ClientError

TARGET = "rings"
RESAMPLES = 200
INPUT = Path("/opt/ml/processing/input")
OUTPUT = Path("/opt/ml/processing/output/evaluation")
MESSAGE = Path("/opt/ml/output/message")


class CannotEvaluate(Exception):
    """No honest report can be written; the text says why."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model-package-group", required=True)
    parser.add_argument("--model", type=Path, default=INPUT / "model")
    parser.add_argument("--test", type=Path, default=INPUT / "test")
    parser.add_argument("--train", type=Path, default=INPUT / "train")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    return parser.parse_args()


def read_rows(folder: Path) -> pd.DataFrame:
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise CannotEvaluate(f"{folder}: no *.csv file")
    frame = pd.concat([pd.read_csv(file) for file in files], ignore_index=True)
    if TARGET not in frame.columns or frame.empty:
        raise CannotEvaluate(f"{folder}: no rows with a column {TARGET}")
    if not np.isfinite(pd.to_numeric(frame[TARGET], errors="coerce")).all():
        raise CannotEvaluate(f"{folder}: {TARGET} is not a finite number in every row")
    return frame


def find_champion(group: str) -> dict | None:
    """DescribeModelPackage of the latest Approved version, or None for a first model."""
    client = boto3.client("sagemaker")
    try:
        approved = client.list_model_packages(
            ModelPackageGroupName=group,
            ModelApprovalStatus="Approved",
            SortBy="CreationTime",
            SortOrder="Descending",
            MaxResults=1,
        )["ModelPackageSummaryList"]
        if not approved:
            return None
        return client.describe_model_package(ModelPackageName=approved[0]["ModelPackageArn"])
    except ClientError as error:
        if "does not exist" in error.response["Error"].get("Message", ""):
            return None
        raise


def download(package: dict, folder: Path) -> Path:
    """The champion's archive, from S3."""
    url = urlparse(package["InferenceSpecification"]["Containers"][0].get("ModelDataUrl", ""))
    if url.scheme != "s3":
        raise CannotEvaluate(f"champion {package['ModelPackageArn']} has no model data in S3")
    archive = folder / "model.tar.gz"
    boto3.client("s3").download_file(url.netloc, url.path.lstrip("/"), str(archive))
    return archive


def predictions(archive: Path, rows: pd.DataFrame) -> np.ndarray:
    """What the model in an archive says about rows, through its own inference code."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        unpack(archive, folder)
        script = folder / "code" / "inference.py"
        if not script.is_file():
            raise CannotEvaluate(f"{archive}: no code/inference.py inside")
        spec = importlib.util.spec_from_file_location("inference", script)
        code = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(code)
        features = rows.drop(columns=TARGET)
        values = np.asarray(code.predict_fn(features, code.model_fn(name)), dtype=float).ravel()
    if len(values) != len(rows):
        raise CannotEvaluate(f"{archive}: {len(values)} predictions for {len(rows)} rows")
    if not np.isfinite(values).all():
        raise CannotEvaluate(f"{archive}: predictions that are not finite numbers")
    return values


def unpack(archive: Path, folder: Path) -> None:
    try:
        with tarfile.open(archive) as tar:
            for member in tar.getmembers():
                inside = (folder / member.name).resolve()
                if folder.resolve() not in (inside, *inside.parents) or not (
                    member.isfile() or member.isdir()
                ):
                    raise CannotEvaluate(f"{archive}: refuses to unpack {member.name!r}")
            tar.extractall(folder)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise CannotEvaluate(f"{archive}: not a model archive: {error}") from error


def measure(truth: np.ndarray, predicted: np.ndarray, samples: np.ndarray) -> dict:
    """Each metric over all rows, and its standard deviation over bootstrap samples of them."""
    errors = predicted - truth
    spread = scores(truth[samples], errors[samples])
    return {
        name: metric(value, np.std(spread[name])) for name, value in scores(truth, errors).items()
    }


def metric(value: float, spread: float) -> dict:
    """Rounded to what six decimals can tell, far below any standard deviation met here."""
    return {"value": round(float(value), 6), "standard_deviation": round(float(spread), 6)}


def scores(truth: np.ndarray, errors: np.ndarray) -> dict:
    """mae and rmse in rings, mse in rings squared, r2 without unit; along the last axis."""
    mse = np.mean(errors**2, axis=-1)
    variance = np.var(truth, axis=-1)
    if not np.all(variance > 0):
        raise CannotEvaluate("the test set holds one target value only: r2 is not defined")
    return {
        "mae": np.mean(np.abs(errors), axis=-1),
        "mse": mse,
        "rmse": np.sqrt(mse),
        "r2": 1 - mse / variance,
    }


def evaluate(arguments: argparse.Namespace) -> dict:
    test = read_rows(arguments.test)
    truth = test[TARGET].to_numpy(dtype=float)
    samples = np.random.default_rng(0).integers(0, len(truth), size=(RESAMPLES, len(truth)))
    challenger = predictions(arguments.model / "model.tar.gz", test)
    report = {"regression_metrics": measure(truth, challenger, samples)}

    champion = find_champion(arguments.model_package_group)
    if champion is None:
        baseline = "mean of the training target"
        mean = read_rows(arguments.train)[TARGET].mean()
        opponent = np.full(len(truth), float(mean))
    else:
        baseline = "champion"
        opponent = champion_predictions(champion, test)
        report["champion"] = {
            "model_package_arn": champion["ModelPackageArn"],
            **measure(truth, opponent, samples),
        }
    report["comparison"] = compare(truth, challenger, opponent, samples)
    report["comparison"]["baseline"] = baseline
    return report


def champion_predictions(champion: dict, test: pd.DataFrame) -> np.ndarray:
    arn = champion["ModelPackageArn"]
    with tempfile.TemporaryDirectory() as name:
        try:
            return predictions(download(champion, Path(name)), test)
        except Exception as error:
            raise CannotEvaluate(
                f"champion {arn} cannot be measured: {type(error).__name__}: {error}. A comparison"
                " without it would be a guess; reject that package if it is beyond use."
            ) from error


def compare(truth: np.ndarray, ours: np.ndarray, theirs: np.ndarray, samples: np.ndarray) -> dict:
    """How much lower our rmse is, in rings; its spread is over samples of the same rows."""

    def rmse(predicted: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return np.sqrt(np.mean((predicted - truth)[rows] ** 2, axis=-1))

    everything = np.arange(len(truth))
    improvement = float(rmse(theirs, everything) - rmse(ours, everything))
    spread = np.std(rmse(theirs, samples) - rmse(ours, samples))
    return {
        "rmse_improvement": metric(improvement, spread),
        "beats_champion": int(improvement > 0),
    }


def main() -> None:
    arguments = parse_arguments()
    report = evaluate(arguments)
    arguments.output.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=2, allow_nan=False)
    (arguments.output / "evaluation.json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    try:
        main()
    except (CannotEvaluate, ClientError, BotoCoreError, ValueError) as error:
        if MESSAGE.parent.is_dir():
            MESSAGE.write_text(str(error), encoding="utf-8")  # SageMaker shows it as ExitMessage
        sys.exit(f"evaluate: {error}")
