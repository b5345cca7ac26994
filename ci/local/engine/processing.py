"""Processing steps: the job's record, its inputs and outputs, and how it fails."""

import json
from collections.abc import Mapping
from typing import Any

from ci.definition.resolve import to_text
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

GROUP = "/aws/sagemaker/ProcessingJobs"
_DEFAULT_LIMIT = 86_400


def describe(arguments: Mapping[str, Any], host: Host, job: str) -> Document:
    """The job's Describe response as it begins. Texts are texts and counts are numbers, whatever
    type of parameter they came from."""
    body = {key: value for key, value in arguments.items() if value is not None}
    app = dict(body.get("AppSpecification") or {})
    if "ImageUri" not in app:
        raise StepFailure("ClientError: AppSpecification has no ImageUri.")
    for name in ("ContainerEntrypoint", "ContainerArguments"):
        if name in app:
            app[name] = [to_text(item) for item in app[name]]
    body["AppSpecification"] = app
    if "Environment" in body:
        body["Environment"] = {k: to_text(v) for k, v in body["Environment"].items()}
    cluster = dict(body.get("ProcessingResources", {}).get("ClusterConfig", {}))
    cluster.setdefault("InstanceType", "ml.m5.large")
    for name, default in (("InstanceCount", 1), ("VolumeSizeInGB", 30)):
        cluster[name] = int(cluster.get(name) or default)
    body["ProcessingResources"] = {"ClusterConfig": cluster}
    now = host.clock()
    return {
        **body,
        "ProcessingJobName": job,
        "ProcessingJobArn": host.arn(f"processing-job/{job}"),
        "ProcessingJobStatus": "InProgress",
        "CreationTime": now,
        "LastModifiedTime": now,
    }


def execute(body: Document, host: Host, attempt: Attempt) -> Document:
    """Run the job; what changes in its record. StepFailure and StepStopped tell the rest."""
    outputs = _outputs(body)
    _prepare(body, host, attempt)
    end = run(host, attempt, _program(body))
    if end.timed_out:
        raise StepFailure(
            "ClientError: MaxRuntimeExceeded: the job ran longer than "
            f"MaxRuntimeInSeconds ({_limit(body)}) and was stopped."
        )
    if end.code != 0:
        raise StepFailure(_reason(end, attempt))
    for name, local, uri in outputs:
        folder = attempt.path(local)
        if not folder.is_dir():
            raise StepFailure(
                f"ClientError: Failed to upload output {name!r}: {local} does not exist when the "
                "container ends. The script removed it, or put a file in its place."
            )
        host.transfer.upload(folder, uri)
    message = read_text(attempt.ml / "output/message")
    return {"ExitMessage": message} if message else {}


def _prepare(body: Document, host: Host, attempt: Attempt) -> None:
    make_folder(attempt, ("config", "output", "processing"))
    cluster = body["ProcessingResources"]["ClusterConfig"]
    _write(attempt, "processingjobconfig.json", _config(body))
    _write(
        attempt,
        "resourceconfig.json",
        {
            "current_host": "algo-1",
            "hosts": ["algo-1"],
            "network_interface_name": "lo",
            "current_instance_type": cluster["InstanceType"],
        },
    )
    for item in body.get("ProcessingInputs") or ():
        _download(item, host, attempt)
    for _, local, _ in _outputs(body):
        attempt.path(local).mkdir(parents=True, exist_ok=True)


def _download(item: Mapping[str, Any], host: Host, attempt: Attempt) -> None:
    source = item.get("S3Input")
    if source is None:
        raise StepFailure(
            f"ClientError: input {item.get('InputName')!r} is no S3Input; the local endpoint "
            "reads inputs from S3 alone."
        )
    if source.get("S3InputMode", "File") != "File":
        raise StepFailure(
            f"ClientError: input {item.get('InputName')!r} has S3InputMode "
            f"{source['S3InputMode']}; the local endpoint knows File."
        )
    folder = attempt.path(source.get("LocalPath") or "/opt/ml/processing/input")
    folder.mkdir(parents=True, exist_ok=True)
    attempt.stop.check()
    host.transfer.download(
        to_text(source["S3Uri"]), folder, manifest=source.get("S3DataType") == "ManifestFile"
    )


def _outputs(body: Document) -> list[tuple[str, str, str]]:
    """Name, container path and S3 URI of each output."""
    found = []
    for item in (body.get("ProcessingOutputConfig") or {}).get("Outputs") or ():
        target = item.get("S3Output")
        if target is None:
            raise StepFailure(
                f"ClientError: output {item.get('OutputName')!r} is no S3Output; the local "
                "endpoint writes outputs to S3 alone."
            )
        local = target.get("LocalPath") or "/opt/ml/processing/output"
        found.append((str(item.get("OutputName")), local, to_text(target["S3Uri"])))
    return found


def _program(body: Document) -> Program:
    app = body["AppSpecification"]
    argv = [*app.get("ContainerEntrypoint", ()), *app.get("ContainerArguments", ())]
    if not app.get("ContainerEntrypoint"):
        raise StepFailure(
            "ClientError: AppSpecification has no ContainerEntrypoint, and the image's own cannot "
            "be known here: give ContainerEntrypoint."
        )
    return Program(
        image=str(app["ImageUri"]),
        argv=argv,
        env={
            "PROCESSING_JOB_ARN": body["ProcessingJobArn"],
            "PROCESSING_JOB_NAME": body["ProcessingJobName"],
            **body.get("Environment", {}),
        },
        group=GROUP,
        limit=_limit(body),
    )


def _limit(body: Document) -> int:
    return int((body.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds") or _DEFAULT_LIMIT)


def _config(body: Document) -> Document:
    """`processingjobconfig.json`: the request, as a container sees it."""
    names = (
        "ProcessingJobArn",
        "ProcessingJobName",
        "AppSpecification",
        "Environment",
        "ProcessingInputs",
        "ProcessingOutputConfig",
        "ProcessingResources",
        "RoleArn",
        "StoppingCondition",
    )
    return {name: body[name] for name in names if name in body}


def _write(attempt: Attempt, name: str, content: Document) -> None:
    (attempt.ml / "config" / name).write_text(json.dumps(content), encoding="utf-8")


def _reason(end: Exit, attempt: Attempt) -> str:
    message = (
        read_text(attempt.ml / "output/message")
        or read_text(attempt.ml / "output/failure")
        or last_words(attempt)
    )
    return (
        f"AlgorithmError: {message or 'See job logs for more information'}, exit code: {end.code}"
    )
