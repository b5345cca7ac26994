"""One local endpoint for all tests of the execution core."""

from collections.abc import Iterator

import pytest
from support.endpoint import running_endpoint
from support.executing import BUCKET, adapter

from ci.sagemaker.adapter import SageMaker


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_endpoint(tmp_path_factory.mktemp("endpoint")) as endpoint:
        aws = adapter(endpoint.address)
        aws.clients.call("s3", "CreateBucket", {"Bucket": BUCKET})
        yield endpoint.address


@pytest.fixture
def aws(address: str) -> SageMaker:
    return adapter(address)
