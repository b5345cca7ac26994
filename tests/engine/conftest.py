"""Engines of a test's own, ended with it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.engine_lab import Lab
from support.loopback_s3 import LoopbackS3


@pytest.fixture
def s3() -> Iterator[LoopbackS3]:
    with LoopbackS3() as server:
        yield server


@pytest.fixture
def make_lab(tmp_path: Path, s3: LoopbackS3) -> Iterator[Callable[..., Lab]]:
    made: list[Lab] = []

    def make(**options: Any) -> Lab:
        made.append(Lab(tmp_path / f"home{len(made)}", s3, **options))
        return made[-1]

    yield make
    for lab in made:
        lab.engine.close()
        lab.store.close()


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    return make_lab()
