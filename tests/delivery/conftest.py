"""One scratch repository with its endpoint for each test module; a fresh commit for each test."""

from collections.abc import Iterator

import pytest
from support.forking import warm_process
from support.scratch import Scratch, new_scratch

from ci.local.lifecycle import down


@pytest.fixture(scope="module")
def warm(scratch: Scratch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The module's commands run in processes that are forked: for those that run many."""
    with warm_process(tmp_path_factory.mktemp("warm")) as forks:
        scratch.forks = forks
        yield
        scratch.forks = None


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scratch]:
    root = tmp_path_factory.mktemp("scratch") / "repository"
    made = new_scratch(root)
    yield made
    down(root / ".sagemaker-gitops" / "local")
