"""At which lines remarks stand, where a project file stands, and what is told of refusals."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.reports import REPORTS
from support.samples import step

from ci.errors import CompileError, ForgeError
from ci.forge.marks import Level
from ci.forge.model import PermissionMissing
from ci.posting.annotating import Texts, annotate, annotate_error, read_texts
from ci.posting.place import Place, find_place
from ci.posting.refusals import Refusals, wanted_permissions
from ci.project.load import ProjectProblems, load_project
from ci.project.model import Project, ReportSettings
from ci.report.model import Report

PROJECT = """\
version: 1
region: us-east-1
role: arn:aws:iam::123456789012:role/sagemaker
pipelines:
  other: {definition: other.json}
  abalone:
    source: pipeline.py:get_pipeline
    metrics:
      - {name: rmse, path: $.rmse}
      - {name: mae, path: $.mae}
    gates:
      - {metric: rmse, maximum: 3.0}
      - {metric: mae, maximum: 2.0, required: false}
"""
SOURCE = '''\
"""A pipeline with "Train" in its prose is still the first."""
STEPS = ["Prepare"]
train = TrainingStep(name='Train-It')
register = ModelStep(name="Register")
'''


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / ".git").mkdir()
    (tmp_path / "sagemaker-gitops.yaml").write_text(PROJECT)
    (tmp_path / "pipeline.py").write_text(SOURCE)
    (tmp_path / "other.json").write_text("{}")
    return load_project(tmp_path / "sagemaker-gitops.yaml")


@pytest.fixture
def texts(project: Project) -> Texts:
    place = find_place(project.file, {})
    return read_texts(project, project.pipelines["abalone"], place)


def failing(*names: str, reason: str = "out of memory") -> Report:
    report = REPORTS["step-failed"]
    assert report.execution is not None
    steps = tuple(replace(step(name, 1), status="Failed", failure_reason=reason) for name in names)
    execution = replace(report.execution, steps=steps)
    return replace(report, execution=execution, problems=(), logs=())


@pytest.mark.parametrize(
    ("name", "path", "line"),
    [
        ("Prepare", "pipeline.py", 2),
        ("Train-It", "pipeline.py", 3),
        ("Train", "pipeline.py", 1),
        ("Register-RegisterModel", "pipeline.py", 4),
        ("Unknown", "sagemaker-gitops.yaml", 6),
        ("*[", "sagemaker-gitops.yaml", 6),
        ("", "sagemaker-gitops.yaml", 6),
    ],
)
def test_a_failed_step_where_the_source_names_it(
    project: Project, texts: Texts, name: str, path: str, line: int
) -> None:
    [remark] = annotate(failing(name), project.pipelines["abalone"], texts)
    assert (remark.path, remark.line, remark.level) == (path, line, Level.FAILURE)
    assert "out of memory" in remark.message


def test_what_the_script_raised_is_said_of_its_step(project: Project, texts: Texts) -> None:
    [remark] = annotate(REPORTS["step-failed"], project.pipelines["abalone"], texts)
    assert remark.message == "ValueError: could not convert string to float: 'M'"


def test_gates_stand_where_the_project_file_has_them(project: Project, texts: Texts) -> None:
    report = REPORTS["gate-failed"]
    assert report.verdict is not None
    pipeline = project.pipelines["abalone"]
    results = tuple(
        replace(report.verdict.gates[0], gate=gate, reason=f"{gate.metric} is too high")
        for gate in pipeline.gates
    )
    failed = replace(report.verdict.gates[0]).outcome
    report = replace(
        report,
        execution=None,
        problems=("nothing was registered",),
        verdict=replace(
            report.verdict, gates=tuple(replace(each, outcome=failed) for each in results)
        ),
    )
    remarks = [(each.line, each.level, each.message) for each in annotate(report, pipeline, texts)]
    assert remarks == [
        (12, Level.FAILURE, "rmse is too high"),
        (13, Level.WARNING, "mae is too high"),
        (6, Level.WARNING, "nothing was registered"),
    ]


def test_hostile_and_endless_texts(project: Project, texts: Texts) -> None:
    many = failing(*(f"Step{number}\x00\u202e" for number in range(400)), reason="x\x1b[31m" * 9000)
    remarks = annotate(many, project.pipelines["abalone"], texts)
    assert len(remarks) == 200
    assert all(len(each.message) <= 4_000 for each in remarks)
    assert all("\x1b" not in each.message and "\x00" not in each.title for each in remarks)


def test_files_outside_the_repository_have_no_remarks(project: Project, tmp_path: Path) -> None:
    place = Place(root=tmp_path / "elsewhere", project=None)
    pipeline = project.pipelines["abalone"]
    assert annotate(failing("Train"), pipeline, read_texts(project, pipeline, place)) == ()
    assert annotate_error(CompileError("broken"), project, pipeline, place) == ()


@pytest.mark.parametrize(
    ("where", "path", "line"),
    [
        ("pipeline.py:3", "pipeline.py", 3),
        ("{root}/pipeline.py:2 in get_pipeline", "pipeline.py", 2),
        ("pipeline.py", "sagemaker-gitops.yaml", 6),
        ("/etc/passwd:1", "sagemaker-gitops.yaml", 6),
        ("gone.py:4", "sagemaker-gitops.yaml", 6),
        ("https://host:443/x", "sagemaker-gitops.yaml", 6),
        (None, "sagemaker-gitops.yaml", 6),
    ],
)
def test_an_error_at_the_line_that_it_names(
    project: Project, where: str | None, path: str, line: int
) -> None:
    named = where.format(root=project.root) if where else None
    error = CompileError("it broke", where=named, why="a reason", fix="a way")
    place = find_place(project.file, {})
    [remark] = annotate_error(error, project, project.pipelines["abalone"], place)
    assert (remark.path, remark.line) == (path, line)
    assert remark.message == "it broke\na reason\na way"


def test_every_problem_of_a_project_file(project: Project, tmp_path: Path) -> None:
    bad = tmp_path / "sagemaker-gitops.yaml"
    bad.write_text(PROJECT + "nonsense: 1\nmore: 2\n")
    with pytest.raises(ProjectProblems) as found:
        load_project(bad)
    place = find_place(project.file, {})
    remarks = annotate_error(found.value, project, project.pipelines["abalone"], place)
    assert [each.line for each in remarks] == [14, 15]


@pytest.mark.parametrize(
    ("file", "environ", "project"),
    [
        ("sagemaker-gitops.yaml", {}, None),
        ("other.yaml", {}, "other.yaml"),
        ("teams/a/sagemaker-gitops.yaml", {}, "teams/a/sagemaker-gitops.yaml"),
    ],
)
@pytest.mark.parametrize("history", [".git", "CODEBUILD_SRC_DIR", "GITHUB_WORKSPACE"])
def test_where_a_project_stands(
    tmp_path: Path, file: str, environ: dict[str, str], project: str | None, history: str
) -> None:
    """The same whether the source came with its history or without."""
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    if history == ".git":
        (tmp_path / ".git").touch()  # a work tree's is a file
    else:
        environ = {**environ, history: f"{tmp_path}/"}
    place = find_place(tmp_path / file, environ)
    assert (place.project, place.root) == (project, tmp_path.resolve())


def test_a_source_of_which_nothing_is_known_is_a_project_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    assert find_place(tmp_path / "deep" / "sagemaker-gitops.yaml", {}).project is None


WANTED = {"contents": "read", "checks": "write"}


def refused(what: str, **needs: str) -> PermissionMissing:
    return PermissionMissing(what, where="POST x", why="said; and more", fix="y", needs=needs)


@pytest.mark.parametrize(
    ("errors", "count"),
    [
        ([], 0),
        ([refused("a", checks="write"), refused("b", issues="write"), refused("a")], 1),
        ([refused("a", checks="write"), *2 * [ForgeError("down")], ForgeError("late")], 3),
        ([refused("the token is not valid"), refused("b", checks="write")], 2),
    ],
)
def test_refusals_are_told_once(errors: list[ForgeError], count: int) -> None:
    refusals = Refusals(WANTED)
    for error in errors:
        refusals.note(error)
    assert len(list(refusals.told())) == count


def test_the_whole_list_of_permissions_is_told() -> None:
    refusals = Refusals(WANTED)
    refusals.note(refused("could not label", issues="write", contents="write"))
    refusals.note(refused("could not check", checks="write"))
    [told] = refusals.told()
    assert told.startswith("could not label; could not check\n")
    assert [line.strip() for line in told.splitlines()[-4:]] == [
        "fix:   permissions:",
        "checks: write",
        "contents: write",
        "issues: write",
    ]


def test_what_a_job_needs() -> None:
    everything = ReportSettings(labels=True)
    assert wanted_permissions(everything, comment=True, deploys=True, oidc=True) == {
        "contents": "read",
        "id-token": "write",
        "pull-requests": "write",
        "issues": "write",
        "checks": "write",
        "deployments": "write",
    }
    nothing = ReportSettings(check_run=False, deployments=False)
    assert wanted_permissions(nothing, comment=False, deploys=True, oidc=False) == {
        "contents": "read"
    }
    plain = wanted_permissions(ReportSettings(), comment=True, deploys=False, oidc=False)
    assert plain == {"contents": "read", "pull-requests": "write", "checks": "write"}
