"""`init` where there is no `get_pipeline`: what gives a pipeline back, and what does not."""

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.cli.commands.init import _nothing
from ci.project.builders import find_builders
from ci.project.discover import discover_pipelines

SDK = "from sagemaker.workflow.pipeline import Pipeline\n"
V3 = "from sagemaker.mlops.workflow.pipeline import Pipeline as Flow\n"


def write(root: Path, file: str, text: str) -> Path:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(text)
    return root


def found(root: Path) -> list[tuple[str, str, str]]:
    return [(each.name, each.file, each.function) for each in discover_pipelines(root)]


RETURNING = [
    SDK + "def create(role):\n    return Pipeline(name='x')\n",
    SDK + "def create(role):\n    made = Pipeline(name='x')\n    made.name\n    return made\n",
    V3 + "def create(role):\n    if role:\n        return Flow(name='x')\n",
]


@pytest.mark.parametrize("text", RETURNING)
def test_a_function_that_gives_a_pipeline_back_is_taken(tmp_path: Path, text: str) -> None:
    write(tmp_path, "src/churn/training.py", text)
    assert found(tmp_path) == [("training", "src/churn/training.py", "create")]


def test_functions_of_one_file_are_told_apart_by_their_names(tmp_path: Path) -> None:
    text = SDK + "".join(f"def {name}(x):\n    return Pipeline(name=x)\n" for name in ("a", "b_c"))
    assert [name for name, _, _ in found(write(tmp_path, "pipelines.py", text))] == ["a", "b_c"]


def test_where_there_is_a_get_pipeline_no_other_function_counts(tmp_path: Path) -> None:
    write(tmp_path, "helpers.py", RETURNING[0])
    write(tmp_path, "churn/pipeline.py", "def get_pipeline(): ...\n")
    assert found(tmp_path) == [("churn", "churn/pipeline.py", "get_pipeline")]


NOT_GIVEN = [
    (SDK + "def main():\n    Pipeline(name='x').upsert(role_arn='r')\n", "x.py:3, in main"),
    (SDK + "Pipeline(name='x')\n", "x.py:2"),
    (
        SDK + "class Steps:\n    def build(self):\n        return Pipeline(name='x')\n",
        "x.py:4, in Steps.build",
    ),
    (
        SDK + "def outer():\n    def inner():\n        return Pipeline(name='x')\n",
        "x.py:4, in outer.inner",
    ),
]


@pytest.mark.parametrize(("text", "where"), NOT_GIVEN)
def test_what_is_built_and_not_given_back_is_named(tmp_path: Path, text: str, where: str) -> None:
    write(tmp_path, "x.py", text)
    assert found(tmp_path) == []
    error = _nothing(tmp_path)
    assert error.where == where
    assert "return pipeline" in str(error.fix)


def test_notebooks_are_named_and_a_pipeline_of_another_library_is_none(tmp_path: Path) -> None:
    cell = {"cell_type": "code", "source": [SDK, "pipeline = Pipeline(name='x')"]}
    write(tmp_path, "training.ipynb", json.dumps({"cells": [{"cell_type": "markdown"}, cell]}))
    write(tmp_path, "broken.ipynb", "{")
    text = "from sklearn.pipeline import Pipeline\ndef make():\n    return Pipeline([])\n"
    write(tmp_path, "features.py", text)
    assert found(tmp_path) == []
    assert _nothing(tmp_path).where == "training.ipynb"
    (tmp_path / "training.ipynb").unlink()
    assert "get_pipeline was found" in _nothing(tmp_path).what


def test_many_places_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "x.py", SDK + "Pipeline()\n" * 7)
    assert str(_nothing(tmp_path).where).splitlines()[-1] == "and 2 more"


def test_code_as_deep_as_a_sum_of_many_terms_is_read(tmp_path: Path) -> None:
    terms = " + ".join(["'x'"] * 1500)
    write(tmp_path, "x.py", SDK + f"def make():\n    name = {terms}\n    return Pipeline(name)\n")
    (found,) = find_builders(tmp_path, ["x.py"])
    assert found.function == "make"


@given(st.sampled_from(["cells", "x"]), st.recursive(st.none() | st.text(), st.lists))
def test_no_notebook_breaks_the_search(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: object
) -> None:
    root = tmp_path_factory.getbasetemp()
    (root / "any.ipynb").write_text(json.dumps({key: value}))
    assert find_builders(root, ["any.ipynb"]) == ()


def test_init_takes_such_a_function(tmp_path: Path) -> None:
    from support.scratch import Scratch

    subprocess.run(["git", "init", "-q", "-b", "main", tmp_path], check=True)
    text = SDK + "def create_pipeline(role_arn, session, region):\n    return Pipeline(name='x')\n"
    write(tmp_path, "src/training.py", text)
    done = Scratch(root=tmp_path).run("init", "--json")
    assert done.code == 0, done.err
    assert done.document["pipelines"] == {"training": "src/training.py:create_pipeline"}
    written = (tmp_path / "sagemaker-gitops.yaml").read_text()
    assert "session" in written
    assert "role_arn" not in written
