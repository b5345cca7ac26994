"""`init`: what it finds, what it writes, and that it can be run again."""

import io
import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.cli.main import main
from ci.errors import ProjectError
from ci.project.discover import Found, FoundMetric, discover_pipelines
from ci.project.document import parse_document
from ci.project.load import find_project, load_project
from ci.project.render import render_project, render_workflow
from ci.project.validate import check_schema

TEMPLATE = '''\
"""The layout of AWS's MLOps templates."""
import boto3_is_never_imported
from sagemaker.workflow.properties import PropertyFile
from sagemaker.workflow.functions import JsonGet

def get_pipeline(region, sagemaker_project_arn=None, role=None, default_bucket=None,
                 model_package_group_name="AbalonePackageGroup", base_job_prefix="Abalone"):
    evaluation_report = PropertyFile(name="AbaloneEvaluationReport", output_name="evaluation",
                                     path="evaluation.json")
    return JsonGet(step_name="Evaluate", property_file=evaluation_report,
                   json_path="regression_metrics.mse.value")
'''


def run(cwd: Path, *argv: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = main(["init", *argv], {}, stdout=out, stderr=err, cwd=cwd)
    return code, out.getvalue(), err.getvalue()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path)], check=True)
    file = tmp_path / "pipelines" / "abalone" / "pipeline.py"
    file.parent.mkdir(parents=True)
    file.write_text(TEMPLATE)
    (tmp_path / "pipelines" / "run_pipeline.py").write_text("def main(): get_pipeline()")
    return tmp_path


def contents(root: Path) -> dict[str, str]:
    return {
        str(file.relative_to(root)): file.read_text()
        for file in root.rglob("*")
        if file.is_file() and ".git/" not in str(file)
    }


def test_the_templates_layout_needs_no_edit(repository: Path) -> None:
    code, out, _ = run(repository / "pipelines", "--region", "eu-west-1")
    assert code == 0
    project = load_project(repository / "sagemaker-gitops.yaml")
    abalone = project.pipelines["abalone"]
    assert abalone.model_package_group == "AbalonePackageGroup"
    assert abalone.paths == ("pipelines/abalone/**",)
    assert [(each.name, each.reference, each.path) for each in abalone.metrics] == [
        ("mse", "AbaloneEvaluationReport", "$.regression_metrics.mse.value")
    ]
    assert project.region == "eu-west-1"
    assert "found      abalone: pipelines/abalone/pipeline.py" in out
    first = (repository / "sagemaker-gitops.yaml").read_text().splitlines()[0]
    schema = first.removeprefix("# yaml-language-server: $schema=")
    assert json.loads((repository / schema).read_text())["title"] == "sagemaker-gitops.yaml"


def test_a_folder_without_git_is_told(repository: Path) -> None:
    assert "git init" not in run(repository, "--no-workflows")[2]
    (repository / ".git").rename(repository / "git")
    code, _, err = run(repository, "--no-workflows")
    assert (code, "is in no git repository" in err, "git init" in err) == (0, True, True)


def test_a_second_run_changes_nothing(repository: Path) -> None:
    assert run(repository)[0] == 0
    before = contents(repository)
    code, out, _ = run(repository)
    assert code == 0
    assert contents(repository) == before
    assert "new " not in out
    assert "different" not in out


def test_what_differs_is_shown_kept_and_overwritten_on_request(repository: Path) -> None:
    run(repository)
    workflow = repository / ".github" / "workflows" / "sagemaker-main.yml"
    written = workflow.read_text()
    workflow.write_text("name: mine\n")
    code, out, _ = run(repository)
    assert code == 0
    assert "-name: mine" in out
    assert "init --yes overwrites it" in out
    assert workflow.read_text() == "name: mine\n"
    document = json.loads(run(repository, "--json")[1])
    assert document["files"][".github/workflows/sagemaker-main.yml"] == "different"
    assert document["written"] == []
    code, out, _ = run(repository, "--yes")
    assert "overwritten .github/workflows/sagemaker-main.yml" in out
    assert "init --yes" not in out
    assert workflow.read_text() == written


def test_settings_of_a_project_file_are_never_thrown_away(repository: Path) -> None:
    run(repository)
    file = repository / "sagemaker-gitops.yaml"
    mine = file.read_text() + "  main: {tags: {team: mine}}\n"
    file.write_text(mine)
    other = repository / "second" / "abalone" / "pipeline.py"
    other.parent.mkdir(parents=True)
    other.write_text(TEMPLATE)
    code, out, _ = run(repository, "--yes")
    assert code == 0
    assert file.read_text() == mine
    assert "kept       sagemaker-gitops.yaml" in out
    added = out.partition("add under `pipelines:`\n")[2].partition("\nchange")[0]
    assert added.startswith("  abalone-2:\n")
    file.write_text(mine.replace("pipelines:\n", f"pipelines:\n{added}\n"))
    assert set(load_project(file).pipelines) == {"abalone", "abalone-2"}
    assert "add under" not in run(repository, "--yes")[1]


@pytest.mark.parametrize("name", ["sagemaker-gitops.yaml", ".github/workflows/sagemaker-main.yml"])
def test_nothing_is_written_through_a_link_or_over_a_folder(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    place = repository / name
    place.parent.mkdir(parents=True, exist_ok=True)
    (outside / "there").write_text("x")
    for target, said in (("missing", "where nothing is"), ("there", "not in this repository")):
        place.symlink_to(outside / target)
        code, _, err = run(repository)
        assert (code, name in err, said in err) == (2, True, True)
        place.unlink()
    place.mkdir()
    code, _, err = run(repository)
    assert (code, f"{name} is a directory" in err) == (2, True)
    assert [file.name for file in outside.iterdir()] == ["there"]
    assert not (repository / ".sagemaker-gitops").exists()


def test_a_folder_for_the_project_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "sagemaker-gitops.yaml").mkdir()
    with pytest.raises(ProjectError, match=r"sagemaker-gitops\.yaml is a directory"):
        find_project(tmp_path)


def test_nothing_found_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def get_pipeline(:")
    (tmp_path / "binary.py").write_bytes(b"get_pipeline\x00\xff")
    (tmp_path / "method.py").write_text("class A:\n def get_pipeline(self): pass")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "pipeline.py").write_text("def get_pipeline(): pass")
    (tmp_path / "own-env").mkdir()
    (tmp_path / "own-env" / "pyvenv.cfg").write_text("")
    (tmp_path / "own-env" / "pipeline.py").write_text("def get_pipeline(): pass")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "dangling.py").symlink_to(tmp_path / "missing")
    code, _, err = run(tmp_path)
    assert code == 2
    assert "no module with a function get_pipeline" in err
    assert not (tmp_path / "sagemaker-gitops.yaml").exists()


WRAPPER = "from .pipeline import get_pipeline as _made\ndef get_pipeline(region): return _made()\n"
BESIDE = "def get_pipeline({}): ...\n"


@pytest.mark.parametrize(
    ("init", "beside", "taken"),
    [
        (WRAPPER, BESIDE.format("region, endpoint_name=None"), ["pipeline"]),
        (WRAPPER, BESIDE.format("region, team"), ["__init__"]),
        # Two pipelines: neither is the other's.
        (BESIDE.format("region"), BESIDE.format("region"), ["__init__", "pipeline"]),
    ],
)
def test_a_function_and_what_it_wraps_are_one_pipeline(
    tmp_path: Path, init: str, beside: str, taken: list[str]
) -> None:
    folder = tmp_path / "pipelines" / "churn"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(init)
    (folder / "pipeline.py").write_text(beside)
    found = discover_pipelines(tmp_path)
    assert [each.file for each in found] == [f"pipelines/churn/{name}.py" for name in taken]
    assert found[0].name == "churn"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("pipeline.py", "churn-model"),
        ("main.py", "churn-model"),
        ("src/pipeline.py", "churn-model"),
        ("src/pipelines/__init__.py", "churn-model"),
        ("ml/sagemaker/Pipeline/pipeline.py", "churn-model"),
        ("fraud/src/pipeline/pipeline.py", "fraud"),
        ("src/fraud.py", "fraud"),
        ("src/fraud/pipeline.py", "fraud"),
    ],
)
def test_a_folder_that_tells_nothing_names_no_pipeline(
    tmp_path: Path, file: str, name: str
) -> None:
    root = tmp_path / "churn.model"
    (root / file).parent.mkdir(parents=True)
    (root / file).write_text("def get_pipeline(region): pass")
    assert [each.name for each in discover_pipelines(root)] == [name]


def test_the_repository_has_the_name_that_its_remote_tells(repository: Path) -> None:
    (repository / "pipelines" / "abalone").rename(repository / "src")
    for command in (
        ("remote", "add", "origin", "git@github.com:team/shell-fish.git"),
        ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "a"),
    ):
        subprocess.run(["git", "-C", str(repository), *command], check=True)
    assert "found      shell-fish: src/pipeline.py" in run(repository)[1]


def test_names_are_unique_and_arguments_without_default_are_told(tmp_path: Path) -> None:
    for folder in ("a/churn", "b/churn", "c/ch urn"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "pipeline.py").write_text(
            "def get_pipeline(role, dataset, *, kind, region='x'): pass"
        )
    (tmp_path / "scores.py").write_text("def get_pipeline(): pass")
    found = discover_pipelines(tmp_path)
    assert [each.name for each in found] == ["churn", "churn-2", "ch-urn", "scores"]
    assert found[0].needed == ("dataset", "kind")
    assert "dataset has no default" in run(tmp_path)[1]


def test_definition_files_are_pipelines_but_for_those_beside_a_module(repository: Path) -> None:
    read = {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Report"}}}
    read["Std:JsonGet"]["Path"] = "metrics.rmse.value"  # type: ignore[assignment]
    register = {"Type": "RegisterModel", "Arguments": {"ModelPackageGroupName": "churn"}}
    check = {"Type": "Condition", "Arguments": {"Conditions": [{"LeftValue": read}]}}
    text = json.dumps({"Version": "2020-12-01", "Steps": [check, register]})
    for name in (
        "definitions/churn.json",
        "fraud/definition.yaml",
        "pipelines/abalone/definition.json",
        "build/churn.json",
        "node_modules/churn.json",
        ".cache/churn.json",
    ):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)
    (repository / "other.json").write_text('{"Version": "2020-12-01", "Steps": 1}')
    (repository / "broken.yml").write_text('Version: "2020-12-01"\nSteps: [')
    code, out, _ = run(repository, "--json")
    assert code == 0
    assert json.loads(out)["pipelines"] == {
        "abalone": "pipelines/abalone/pipeline.py:get_pipeline",
        "churn": "definitions/churn.json",
        "fraud": "fraud/definition.yaml",
    }
    churn = load_project(repository / "sagemaker-gitops.yaml").pipelines["churn"]
    assert churn.model_package_group == "churn"
    assert churn.paths == ("definitions/churn.json",)
    assert [(m.name, m.reference, m.path) for m in churn.metrics] == [
        ("rmse", "Report", "$.metrics.rmse.value")
    ]
    assert "not in" not in run(repository)[1]


def test_the_repositorys_own_python_with_the_sdk_is_named(repository: Path) -> None:
    run(repository)
    file = repository / "sagemaker-gitops.yaml"
    assert "# validate --compile asks for a Python with the SageMaker SDK" in file.read_text()
    file.unlink()
    python = repository / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("")
    packages = repository / "venv" / "lib" / "python3.11" / "site-packages"
    (packages / "sagemaker-3.1.0.dist-info").mkdir(parents=True)
    run(repository)
    assert load_project(file).pipelines["abalone"].python == str(python)
    assert "validate --compile" not in file.read_text()


@pytest.mark.parametrize(
    "argv", [["--role", "x"], ["--region", "$(id)"], ["--action", "a b"], ["--action", "x@y\nz: 1"]]
)
def test_options_that_would_break_the_files_are_refused(repository: Path, argv: list[str]) -> None:
    code, _, err = run(repository, *argv)
    assert code == 2
    assert "right form" in err


def test_workflows_take_the_default_branch_and_the_action(repository: Path) -> None:
    action = f"acme/gitops@{'a' * 40}"
    run(repository, "--action", action)
    folder = repository / ".github" / "workflows"
    for file in folder.iterdir():
        assert f"uses: {action}" in file.read_text()
        assert "your-org" not in file.read_text()
    text = render_workflow("main", action="./", branch="release/[1]")
    assert 'branches: ["release/\\\\[1\\\\]"]' in text


_NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True)
_TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@given(
    st.lists(
        st.builds(
            Found,
            name=_NAMES,
            file=st.just("pipeline.py"),
            metrics=st.lists(
                st.builds(FoundMetric, name=_TEXTS, property_file=_TEXTS, path=_TEXTS),
                max_size=2,
                unique_by=lambda metric: metric.name,
            ).map(tuple),
        ),
        min_size=1,
        max_size=3,
        unique_by=lambda found: found.name.replace("_", "-"),
    )
)
def test_any_project_file_that_is_written_can_be_read(
    found: list[Found],
) -> None:
    document = parse_document(render_project(found, region=None, role=None, schema="x"))
    assert document.problems == []
    assert check_schema(document) == []
    assert list(document.data["pipelines"]) == [each.name for each in found]  # type: ignore[index]
