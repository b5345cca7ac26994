"""Fixtures of the tests that install the program as jobs do."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache that jobs share, as those of a runner do: the package index is asked once."""
    return tmp_path_factory.mktemp("downloads")
