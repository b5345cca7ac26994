"""Which files of the repository a pipeline module imports."""

from pathlib import Path

import pytest

from ci.project.discover import discover_pipelines
from ci.project.imports import imported_files


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


SHARED = {"pipelines/__init__.py": "", "pipelines/_utils.py": "import shared.names\n"}


@pytest.mark.parametrize(
    "line",
    [
        "from pipelines._utils import job_name",
        "from pipelines import _utils",
        "import pipelines._utils",
        "import pipelines._utils as tools",
        "from .._utils import job_name",
        "from .. import _utils",
        "def later():\n    from pipelines import _utils",
    ],
)
def test_ways_to_import(tmp_path: Path, line: str) -> None:
    write(tmp_path, {**SHARED, "pipelines/wine/pipeline.py": f"{line}\n", "shared/names.py": ""})
    found = imported_files(tmp_path, "pipelines/wine/pipeline.py")
    assert {"pipelines/_utils.py", "shared/names.py"} <= set(found)


def test_what_is_no_file_of_the_repository_is_left_out(tmp_path: Path) -> None:
    module = "import os, boto3\nfrom sagemaker.workflow import steps\nfrom .... import out\n"
    write(tmp_path, {"a/pipeline.py": module})
    assert imported_files(tmp_path, "a/pipeline.py") == ()


def test_modules_that_import_each_other_end(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "import b", "b.py": "import a, c", "c.py": "this is no Python ("})
    assert imported_files(tmp_path, "a.py") == ("b.py", "c.py")


def test_a_module_beside_the_pipeline_is_found(tmp_path: Path) -> None:
    write(tmp_path, {"a/pipeline.py": "import names", "a/names.py": ""})
    assert imported_files(tmp_path, "a/pipeline.py") == ("a/names.py",)


def test_imports_from_elsewhere_become_paths(tmp_path: Path) -> None:
    module = "import names\nfrom pipelines._utils import x\n\ndef get_pipeline(region): ...\n"
    write(tmp_path, {**SHARED, "pipelines/wine/pipeline.py": module, "pipelines/wine/names.py": ""})
    (found,) = discover_pipelines(tmp_path)
    assert found.imports == ("pipelines/__init__.py", "pipelines/_utils.py")
