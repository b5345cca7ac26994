"""A module's compile at each level of isolation that the system allows."""

from pathlib import Path

import pytest
from support.isolation_lab import Lab

from ci.compile.child import LEVELS


@pytest.fixture(params=LEVELS)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Lab:
    return Lab(tmp_path, request.param)


@pytest.fixture(params=("namespaces", "landlock"))
def closed(request: pytest.FixtureRequest, tmp_path: Path) -> Lab:
    """Where the system itself refuses, also for other programs and native code."""
    return Lab(tmp_path, request.param)


@pytest.fixture
def namespaces(tmp_path: Path) -> Lab:
    return Lab(tmp_path, "namespaces")
