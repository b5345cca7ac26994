"""From a container of a deployment to a serving process: its model data, Python, environment."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ci.local.engine.images import find_environment, step_environment
from ci.local.engine.isolate import enclosing
from ci.local.serving.archive import unpack
from ci.local.serving.deployment import Container
from ci.local.serving.process import ServingProcess

_MODEL = "/opt/ml/model"
_UNMAPPED = (
    "sagemaker-gitops: no local environment is mapped to the image {image} (local: images: in"
    " sagemaker-gitops.yaml), so the python3 on PATH serves the model.\n"
)
_NOT_INSTALLED = (
    "sagemaker-gitops: code/requirements.txt is not installed here; the environment that is"
    " mapped to the image has to hold what it names.\n"
)


class CannotStart(Exception):
    """A container whose model data or Python cannot be had; the text says which and why."""


def find_python(image: str, environment: Path | None) -> str:
    """The interpreter of the environment that the image is mapped to, else `python3` of PATH."""
    if environment is not None:
        python = environment / "bin" / "python"
        if not python.exists():
            raise CannotStart(
                f"image {image} is mapped to {environment}, which holds no bin/python"
            )
        return str(python)
    found = shutil.which("python3")
    if found is None:
        raise CannotStart(f"image {image} is mapped to no environment and PATH has no python3")
    return found


def launch(
    container: Container,
    folder: Path,
    *,
    s3: Any,
    images: Sequence[tuple[str, Path]],
    address: str,
    region: str,
    follow: Callable[[Path], Callable[[], None]],
) -> ServingProcess:
    """Fetch what is not there yet, and start. The process may not answer yet.

    `follow` is given the log of this start, and gives what is to be called at its end.
    Raises CannotStart, BadArchive, OSError, and botocore's errors for S3.
    """
    environment = find_environment(container.image, images)
    python = find_python(container.image, environment)
    model = fetch_model(container, folder, s3)
    with (folder / "log").open("w", encoding="utf-8") as log:
        if environment is None:
            log.write(_UNMAPPED.format(image=container.image))
        if (model / "code" / "requirements.txt").exists():
            log.write(_NOT_INSTALLED)
    return ServingProcess(
        command=[*enclosing(folder), python],
        arguments=[str(model)],
        environment=serving_environment(container, model, environment, address, region),
        folder=folder,
        on_stop=follow(folder / "log"),
    )


def fetch_model(container: Container, folder: Path, s3: Any) -> Path:
    """The folder of the unpacked model; complete as soon as it has this name."""
    model = folder / "model"
    if model.is_dir():
        return model
    partial = folder / "model.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if container.model_data:
        _fetch(container.model_data, partial, folder, s3)
    source = container.environment.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    if source.startswith("s3://"):
        code = partial / "code"
        code.mkdir(exist_ok=True)
        _fetch(source, code, folder, s3)
    partial.rename(model)
    return model


def _fetch(uri: str, into: Path, folder: Path, s3: Any) -> None:
    # Not as a URL is read: a key may hold `?` and `#`.
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
        raise CannotStart(f"model data {uri!r} is not an object or a prefix in S3")
    if not key.endswith("/"):
        archive = folder / "archive.partial"
        s3.download_file(bucket, key, str(archive))
        unpack(archive, into)
        archive.unlink()
        return
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
    found = [item["Key"] for page in pages for item in page.get("Contents", [])]
    if not found:
        raise CannotStart(f"model data {uri} holds no objects")
    for name in found:
        _download_below(s3, bucket, name, into, name[len(key) :])


def _download_below(s3: Any, bucket: str, key: str, into: Path, relative: str) -> None:
    if not relative or relative.endswith("/"):
        return
    target = into / relative
    if into.resolve() not in target.resolve().parents:
        raise CannotStart(f"object {key!r} would reach out of the model's folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    s3.download_file(bucket, key, str(target))


def serving_environment(
    container: Container, model: Path, environment: Path | None, address: str, region: str
) -> Mapping[str, str]:
    """What a step would see, with the container's own variables and those that SageMaker sets."""
    submit = container.environment.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    if submit.startswith("s3://"):
        submit = f"{_MODEL}/code"
    if submit == _MODEL or submit.startswith(_MODEL + "/"):
        submit = str(model) + submit[len(_MODEL) :]
    for name in ("home", "tmp"):
        (model.parent / name).mkdir(exist_ok=True)
    return step_environment(
        folder=model.parent,
        environment=environment,
        address=address,
        region=region,
        own={
            "PYTHONDONTWRITEBYTECODE": "1",
            **container.environment,
            "SM_MODEL_DIR": str(model),
            "SAGEMAKER_BASE_DIR": str(model.parent),
            "SAGEMAKER_SUBMIT_DIRECTORY": submit,
        },
        host=os.environ,
    )
