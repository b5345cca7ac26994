"""Hosting of a test's own, ended with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.hosting import Hosting
from support.loopback_s3 import LoopbackS3

from ci.local.api import hosting


@pytest.fixture
def s3() -> Iterator[LoopbackS3]:
    with LoopbackS3() as server:
        yield server


@pytest.fixture
def api(tmp_path: Path, s3: LoopbackS3) -> Iterator[Hosting]:
    with Hosting(tmp_path, s3) as api:
        yield api
        hosting.close(api.context)
