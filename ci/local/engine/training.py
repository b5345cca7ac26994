"""Training steps: the job's record, channels, model and metrics, and how it fails."""

import json
import math
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ci.definition.resolve import to_text
from ci.local.engine import script_mode
from ci.local.engine.containers import (
    Attempt,
    Exit,
    Host,
    Program,
    last_words,
    make_folder,
    read_text,
    run,
)
from ci.local.engine.failure import StepFailure
from ci.local.store import Document

GROUP = "/aws/sagemaker/TrainingJobs"
_DEFAULT_LIMIT = 86_400
_FOLDERS = ("input/config", "input/data", "model", "code", "output/data", "output/intermediate")


def describe(arguments: Mapping[str, Any], host: Host, job: str) -> Document:
    """The job's Describe response as it begins."""
    body = {key: value for key, value in arguments.items() if value is not None}
    algorithm = dict(body.get("AlgorithmSpecification") or {})
    if "TrainingImage" not in algorithm:
        raise StepFailure(
            "ClientError: AlgorithmSpecification has no TrainingImage; the local endpoint does "
            "not run AlgorithmName."
        )
    for name in ("ContainerEntrypoint", "ContainerArguments"):
        if name in algorithm:
            algorithm[name] = [to_text(item) for item in algorithm[name]]
    algorithm.setdefault("TrainingInputMode", "File")
    body["AlgorithmSpecification"] = algorithm
    for name in ("HyperParameters", "Environment"):
        if name in body:
            body[name] = {key: to_text(value) for key, value in body[name].items()}
    resources = dict(body.get("ResourceConfig") or {})
    resources.setdefault("InstanceType", "ml.m5.large")
    for name, default in (("InstanceCount", 1), ("VolumeSizeInGB", 30)):
        resources[name] = int(resources.get(name) or default)
    body["ResourceConfig"] = resources
    body["StoppingCondition"] = {"MaxRuntimeInSeconds": _limit(body)}
    output = str((body.get("OutputDataConfig") or {}).get("S3OutputPath", ""))
    if not output:
        raise StepFailure("ClientError: OutputDataConfig has no S3OutputPath.")
    now = host.clock()
    return {
        **body,
        "TrainingJobName": job,
        "TrainingJobArn": host.arn(f"training-job/{job}"),
        "ModelArtifacts": {"S3ModelArtifacts": f"{output.rstrip('/')}/{job}/output/model.tar.gz"},
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "CreationTime": now,
        "LastModifiedTime": now,
    }


def execute(body: Document, host: Host, attempt: Attempt) -> Document:
    """Run the job; what changes in its record. StepFailure and StepStopped tell the rest."""
    hyperparameters = body.get("HyperParameters") or {}
    decoded = script_mode.decode(hyperparameters)
    make_folder(attempt, _FOLDERS)
    channels = _download(body, host, attempt)
    config = _write_config(body, attempt, hyperparameters)
    program = _program(body, decoded, channels, config)
    _fetch_code(decoded, host, attempt)
    end = run(host, attempt, program)
    metrics = find_metrics(body["AlgorithmSpecification"].get("MetricDefinitions"), attempt.log)
    changes: Document = {"FinalMetricDataList": _stamp(metrics, host)} if metrics else {}
    if end.timed_out:
        _upload(body, host, attempt)
        raise StepFailure(
            "ClientError: MaxRuntimeExceeded: the training job ran longer than "
            f"MaxRuntimeInSeconds ({_limit(body)}) and was stopped."
        )
    if end.code != 0:
        raise StepFailure(_reason(end, attempt, decoded, program))
    _upload(body, host, attempt)
    return changes


def _download(body: Document, host: Host, attempt: Attempt) -> list[str]:
    names = []
    for channel in body.get("InputDataConfig") or ():
        name = str(channel["ChannelName"])
        source = (channel.get("DataSource") or {}).get("S3DataSource")
        mode = channel.get("InputMode") or body["AlgorithmSpecification"]["TrainingInputMode"]
        if source is None or mode == "Pipe" or source.get("S3DataType") == "AugmentedManifestFile":
            raise StepFailure(
                f"ClientError: channel {name!r} is not one the local endpoint can read: it knows "
                "S3DataSource with S3Prefix or ManifestFile, in File and FastFile mode."
            )
        folder = attempt.path(f"/opt/ml/input/data/{name}")
        folder.mkdir(parents=True, exist_ok=True)
        attempt.stop.check()
        manifest = source.get("S3DataType") == "ManifestFile"
        host.transfer.download(to_text(source["S3Uri"]), folder, manifest=manifest)
        names.append(name)
    return names


def _write_config(
    body: Document, attempt: Attempt, hyperparameters: Mapping[str, str]
) -> tuple[Document, Document]:
    """`/opt/ml/input/config`: returns the input data's and the resources' documents."""
    inputs = {
        str(channel["ChannelName"]): {
            "TrainingInputMode": channel.get("InputMode") or "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": channel.get("RecordWrapperType") or "None",
            **({"ContentType": channel["ContentType"]} if channel.get("ContentType") else {}),
        }
        for channel in body.get("InputDataConfig") or ()
    }
    instance = body["ResourceConfig"]["InstanceType"]
    group = {
        "instance_group_name": "homogeneousCluster",
        "instance_type": instance,
        "hosts": [script_mode.HOST],
    }
    resources = {
        "current_host": script_mode.HOST,
        "hosts": [script_mode.HOST],
        "network_interface_name": "lo",
        "current_instance_type": instance,
        "current_group_name": "homogeneousCluster",
        "instance_groups": [group],
    }
    folder = attempt.ml / "input/config"
    for name, content in (
        ("hyperparameters", dict(hyperparameters)),
        ("inputdataconfig", inputs),
        ("resourceconfig", resources),
    ):
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return inputs, resources


def _program(
    body: Document,
    decoded: Mapping[str, Any],
    channels: list[str],
    config: tuple[Document, Document],
) -> Program:
    algorithm = body["AlgorithmSpecification"]
    argv = [
        *(algorithm.get("ContainerEntrypoint") or ()),
        *(algorithm.get("ContainerArguments") or ()),
    ]
    directory = "/opt/ml"
    if not algorithm.get("ContainerEntrypoint"):
        if "sagemaker_program" not in decoded:
            raise StepFailure(
                "ClientError: the training image's own entry point cannot be known here: give "
                "AlgorithmSpecification.ContainerEntrypoint, or script mode's sagemaker_program."
            )
        argv, directory = script_mode.command(decoded), "/opt/ml/code"
    variables = script_mode.environment(
        job=body["TrainingJobName"],
        channels=channels,
        hyperparameters=decoded,
        input_config=config[0],
        resource_config=config[1],
        instance=body["ResourceConfig"]["InstanceType"],
    )
    return Program(
        image=str(algorithm["TrainingImage"]),
        argv=argv,
        env={
            **variables,
            "TRAINING_JOB_NAME": body["TrainingJobName"],
            "TRAINING_JOB_ARN": body["TrainingJobArn"],
            **({"PYTHONPATH": "/opt/ml/code"} if directory == "/opt/ml/code" else {}),
            **(body.get("Environment") or {}),
        },
        group=GROUP,
        directory=directory,
        limit=_limit(body),
    )


def _fetch_code(decoded: Mapping[str, Any], host: Host, attempt: Attempt) -> None:
    uri = str(decoded.get("sagemaker_submit_directory", ""))
    if uri.startswith("s3://"):
        script_mode.unpack_code(uri, attempt.ml / "code", host.transfer.fetch, attempt.folder)


def _upload(body: Document, host: Host, attempt: Attempt) -> None:
    """The model, and what is in /opt/ml/output/data, each as the tarball SageMaker makes."""
    model = body["ModelArtifacts"]["S3ModelArtifacts"]
    _pack(attempt.ml / "model", attempt.folder / "model.tar.gz")
    host.transfer.upload_file(attempt.folder / "model.tar.gz", model)
    data = attempt.ml / "output/data"
    if data.is_dir() and any(data.iterdir()):
        _pack(data, attempt.folder / "output.tar.gz")
        target = model.removesuffix("model.tar.gz") + "output.tar.gz"
        host.transfer.upload_file(attempt.folder / "output.tar.gz", target)
    for name in ("model.tar.gz", "output.tar.gz"):
        (attempt.folder / name).unlink(missing_ok=True)


def _pack(folder: Path, archive: Path) -> None:
    if not folder.is_dir():
        raise StepFailure(
            f"ClientError: /opt/ml/{folder.name} does not exist when the container ends."
        )
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for entry in sorted(folder.iterdir()):
            tar.add(entry, entry.name)


def find_metrics(definitions: Any, log: Path) -> dict[str, float]:
    """The last value that each definition's pattern finds in the log, line by line. NaN and
    infinity are no metrics."""
    patterns: list[tuple[str, re.Pattern[str]]] = []
    for item in definitions or ():
        try:
            patterns.append((to_text(item["Name"]), re.compile(to_text(item["Regex"]))))
        except re.error as error:
            raise StepFailure(
                f"ClientError: the Regex of metric {item['Name']!r} is not valid: {error}"
            ) from None
    found: dict[str, float] = {}
    if not patterns or not log.exists():
        return found
    with log.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            for name, pattern in patterns:
                match = pattern.search(line[:10_000])
                value = _number(match[1] if match and pattern.groups else None)
                if value is not None:
                    found[name] = value
    return found


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _stamp(metrics: Mapping[str, float], host: Host) -> list[Document]:
    now = host.clock()
    return [
        {"MetricName": name, "Value": value, "Timestamp": now} for name, value in metrics.items()
    ]


def _limit(body: Document) -> int:
    return int((body.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds") or _DEFAULT_LIMIT)


def _reason(end: Exit, attempt: Attempt, decoded: Mapping[str, Any], program: Program) -> str:
    failure = read_text(attempt.ml / "output/failure")
    words = last_words(attempt)
    if not failure and "sagemaker_program" in decoded:
        failure = (
            f'ExecuteUserScriptError:\nExitCode {end.code}\nErrorMessage "{words}"\n'
            f'Command "{" ".join(program.argv)}"'
        )
    return f"AlgorithmError: {failure or words or 'See job logs'}, exit code: {end.code}"
