"""Options and fixtures that every test may use."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write golden files instead of comparing"
    )


def pytest_configure() -> None:
    # A test that compiles must not be answered by an earlier run, nor leave anything in $HOME.
    os.environ["SAGEMAKER_GITOPS_COMPILE_CACHE"] = "off"
    # Tests start interpreters by the hundred: the first to compile a module keeps it for the rest.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # How long an example takes tells of the machine. Speed is measured in benchmarks/.
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(name, text)` compares with `golden/<name>` beside the test, or rewrites it."""
    folder = Path(request.path).parent / "golden"

    def compare(name: str, text: str) -> None:
        file = folder / name
        if request.config.getoption("--update-golden"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        expected = file.read_text(encoding="utf-8") if file.exists() else None
        assert expected is not None, f"{file} is missing: run pytest with --update-golden"
        assert text == expected

    return compare
