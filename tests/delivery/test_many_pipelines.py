"""Several pipelines of one project: one that cannot be prepared ends the command, and at once."""

from pathlib import Path

import pytest
from support.scratch import Scratch, new_scratch

from ci.errors import UsageError
from ci.project.load import load_project
from ci.session.job import prepare_job
from ci.session.session import open_session
from ci.trigger.detect import detect_trigger

DEFINITION = """
Version: "2020-12-01"
Steps:
- {Name: Ends, Type: Fail, Arguments: {ErrorMessage: "over"}}
"""


def test_a_pipeline_that_cannot_be_prepared_leaves_nobody_waiting(tmp_path: Path) -> None:
    """More than are compiled at a time, and the first of them fails before the last begin."""
    names = [f"p{number}" for number in range(12)]
    project = "version: 1\nregion: us-east-1\nrole: arn:aws:iam::000000000000:role/any\npipelines:"
    project += "".join(f"\n  {name}: {{definition: {name}.yaml}}" for name in names) + "\n"
    scratch = new_scratch(tmp_path / "repository", project)
    for name in names:
        scratch.write(f"{name}.yaml", DEFINITION if name != "p0" else "Steps: 7\n")
    scratch.commit()
    scratch.environ |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null"}
    done = scratch.run("plan", "--all", "--json", timeout=30)
    assert done.code == 2, done.err
    assert done.document["error"]["type"] == "DefinitionError"


def two_pipelines(tmp_path: Path, *, main: str) -> Scratch:
    """`rows` declares the parameter Rows, `none` declares none; `main` are the environment's."""
    project = (
        "version: 1\nregion: us-east-1\nrole: arn:aws:iam::000000000000:role/any\npipelines:\n"
        "  rows: {definition: rows.yaml}\n  none: {definition: none.yaml}\n"
        f"environments:\n  main: {{parameters: {main}}}\n"
    )
    scratch = new_scratch(tmp_path / "repository", project)
    declared = "Parameters: [{Name: Rows, Type: Integer, DefaultValue: 1}]\n"
    scratch.write("rows.yaml", DEFINITION + declared)
    scratch.write("none.yaml", DEFINITION)
    scratch.commit()
    scratch.environ |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null"}
    return scratch


def test_each_pipeline_is_given_the_parameters_of_the_environment_that_it_declares(
    tmp_path: Path,
) -> None:
    scratch = two_pipelines(tmp_path, main="{Rows: 12}")
    shown = scratch.run("plan", timeout=30)
    assert shown.code == 0, shown.err
    rows, none = shown.out.split("Plan for ")[1:]
    assert "given 12" in rows
    assert "given" not in none
    assert scratch.run("validate", timeout=30).code == 0
    project = scratch.root / "sagemaker-gitops.yaml"
    scratch.write(project.name, project.read_text().replace("{Rows: 12}", "{Row: 12}"))
    wrong = scratch.run("plan", "--json", timeout=30)
    assert wrong.code == 2
    assert wrong.document["error"]["fix"] == "write Rows"


def test_a_parameter_that_no_pipeline_declares_is_refused_in_every_environment(
    tmp_path: Path,
) -> None:
    project = (
        "version: 1\nregion: us-east-1\nrole: arn:aws:iam::000000000000:role/any\npipelines:\n"
        "  first: {definition: first.yaml}\n  second: {definition: second.yaml}\n"
        "environments:\n  main: {parameters: {TrainRows: 12, TestRows: 3}}\n"
        "  staging: {pipeline_name: 'staging-{pipeline}', parameters: {TestRows: 4}}\n"
    )
    scratch = new_scratch(tmp_path / "repository", project)
    for name, parameter in (("first", "TrainRows"), ("second", "TestRows")):
        declared = f"Parameters: [{{Name: {parameter}, Type: Integer, DefaultValue: 1}}]\n"
        scratch.write(f"{name}.yaml", DEFINITION + declared)
    scratch.commit()
    scratch.environ |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null"}
    assert scratch.run("plan", timeout=30).code == 0
    fine = scratch.run("validate", "--compile", timeout=30)
    assert (fine.code, fine.err) == (0, "")
    scratch.write("sagemaker-gitops.yaml", project.replace("TestRows: 4", "Quux: 4"))
    for command in ("plan", "validate"):
        wrong = scratch.run(command, "--json", timeout=30)
        assert wrong.code == 2, command
        assert "no pipeline of the project declares a parameter Quux" in wrong.out
        assert "sagemaker-gitops.yaml, environments.staging.parameters.Quux" in wrong.out
    some = scratch.run("validate", "first", timeout=30)
    assert some.code == 0
    assert "no pipeline that was compiled declares a parameter Quux" in some.err
    scratch.write("sagemaker-gitops.yaml", project.replace("TestRows: 4", "TestRows: four"))
    assert "parameter TestRows takes Integer" in scratch.run("validate", timeout=30).out


@pytest.mark.parametrize(
    "given",
    [
        "Rows=1_000",
        "Rows= 5",
        "Rows=\u0663",
        "Rows=0x10",
        "Rows=9999999999999999999",
        "Part=1_0.5",
        "Part=1e999",
        "Part=nan",
        "Word=" + 1025 * "x",
    ],
)
def test_a_value_that_only_python_takes_is_refused_before_anything_is_deployed(
    tmp_path: Path, given: str
) -> None:
    project = (
        "version: 1\nregion: us-east-1\nrole: arn:aws:iam::000000000000:role/any\npipelines:\n"
        "  rows: {definition: rows.yaml}\n"
    )
    scratch = new_scratch(tmp_path / "repository", project)
    kinds = {"Rows": "Integer", "Part": "Float", "Word": "String"}
    declared = [f"{{Name: {name}, Type: {kind}}}" for name, kind in kinds.items()]
    scratch.write("rows.yaml", f"{DEFINITION}Parameters: [{', '.join(declared)}]\n")
    scratch.commit()
    usual = {"Rows": "+12", "Part": "1e3", "Word": "1e5"}
    name, _, value = given.partition("=")
    wrong = parameter_problem(scratch, usual | {name: value})
    assert f"parameter {name} takes " in wrong
    assert parameter_problem(scratch, usual) == ""


def parameter_problem(scratch: Scratch, given: dict[str, str]) -> str:
    """What keeps a job of the scratch's pipeline from being prepared with these parameters."""
    project = load_project(scratch.root / "sagemaker-gitops.yaml")
    trigger = detect_trigger({}, scratch.root)
    session = open_session(project, trigger, environ={}, environment="main", local=False)
    try:
        prepare_job(session, "rows", given)
    except UsageError as error:
        return error.what
    return ""


def test_a_name_that_is_nearly_declared_is_told_where_some_were_compiled(tmp_path: Path) -> None:
    scratch = two_pipelines(tmp_path, main="{Row: 12, Quux: 1}")
    told = scratch.run("plan", "rows", timeout=30)
    assert told.code == 0, told.err
    assert "declares a parameter Row; did you mean Rows?" in told.err
    assert "Quux" not in told.err
