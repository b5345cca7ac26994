"""What serving processes are given of the endpoint: images, address, S3, and a log stream each."""

import uuid
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from ci.local.context import Context
from ci.local.engine.logs import LogShipper
from ci.local.serving.deployment import Container
from ci.local.serving.launch import launch
from ci.local.serving.process import ServingProcess

_LOGS: dict[Path, LogShipper] = {}


def open_logs(context: Context) -> None:
    """From now on, logs of serving processes go to the Logs API as well."""
    make_client = partial(_client, address=context.address, region=context.region)
    _LOGS[context.home] = LogShipper(context.store, make_client, context.clock)


def close_logs(context: Context) -> None:
    """Put what is left, and end."""
    shipper = _LOGS.pop(context.home, None)
    if shipper is not None:
        shipper.close()


def launcher(context: Context) -> Callable[[Container, Path], ServingProcess]:
    """Starts containers with this context's images, address and S3."""

    def start(container: Container, folder: Path) -> ServingProcess:
        return launch(
            container,
            folder,
            s3=_client("s3", context.address, context.region),
            images=context.images,
            address=context.address,
            region=context.region,
            follow=partial(_follow, _LOGS.get(context.home)),
        )

    return start


@lru_cache(maxsize=8)
def _client(service: str, address: str, region: str) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.session.Session(region_name=region).client(
        service,
        endpoint_url=address,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - nothing checks it on loopback
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 3}),
    )


def _follow(shipper: LogShipper | None, log: Path) -> Callable[[], None]:
    """Put a process's log where the Logs API reads it, under SageMaker's names: the group of the
    endpoint, a stream for each start. `log` is `<endpoint>/<deployment>/<variant>-<n>/log`."""
    if shipper is None:
        return lambda: None
    endpoint, variant = log.parts[-4], log.parts[-2].rsplit("-", 1)[0]
    stream = f"{variant}/i-{uuid.uuid4().hex[:17]}"
    shipper.open(log_group(endpoint), stream, log)

    def end() -> None:
        shipper.end(stream)
        shipper.flush(stream)

    return end


def log_group(endpoint: str) -> str:
    return f"/aws/sagemaker/Endpoints/{endpoint}"
