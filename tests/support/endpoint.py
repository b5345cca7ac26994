"""A local endpoint of one's own for a test: on a free port, in a folder, gone with the test."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ci.local.lifecycle import Endpoint, down, up


@contextmanager
def running_endpoint(
    home: Path, *, images: tuple[tuple[str, Path], ...] | None = None, region: str = "us-east-1"
) -> Iterator[Endpoint]:
    """The endpoint of `home`, ready; ended (its state kept) when the block is left."""
    endpoint = up(home, images=images, region=region)
    try:
        yield endpoint
    finally:
        down(home)


def client(endpoint: Endpoint | str, service: str, **options: Any) -> Any:
    """An ordinary boto3 client that talks to the endpoint, as with AWS_ENDPOINT_URL set."""
    import boto3

    address = endpoint if isinstance(endpoint, str) else endpoint.address
    session = boto3.session.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
    )
    return session.client(service, endpoint_url=address, **options)


def endpoint_environ(endpoint: Endpoint) -> dict[str, str]:
    """The environment in which boto3 and the AWS CLI of a child process find the endpoint."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | {
        "AWS_ENDPOINT_URL": endpoint.address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": endpoint.region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
