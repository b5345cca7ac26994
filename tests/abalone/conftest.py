"""The data of the reference pipeline, prepared once."""

from pathlib import Path

import pytest
from support.abalone import done


@pytest.fixture(scope="session")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of train, validation and test, from the whole data."""
    folder = tmp_path_factory.mktemp("abalone")
    assert "4177 rows" in done("data.py", folder / "raw" / "abalone.csv")
    done("prepare.py", "--input", folder / "raw", "--output", folder)
    return folder
