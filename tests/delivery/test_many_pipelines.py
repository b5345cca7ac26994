"""Several pipelines of one project: one that cannot be prepared ends the command, and at once."""

from pathlib import Path

from support.scratch import new_scratch

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


def test_each_pipeline_is_given_the_parameters_of_the_environment_that_it_declares(
    tmp_path: Path,
) -> None:
    project = (
        "version: 1\nregion: us-east-1\nrole: arn:aws:iam::000000000000:role/any\npipelines:\n"
        "  rows: {definition: rows.yaml}\n  none: {definition: none.yaml}\n"
        "environments:\n  main: {parameters: {Rows: 12}}\n"
    )
    scratch = new_scratch(tmp_path / "repository", project)
    declared = "Parameters: [{Name: Rows, Type: Integer, DefaultValue: 1}]\n"
    scratch.write("rows.yaml", DEFINITION + declared)
    scratch.write("none.yaml", DEFINITION)
    scratch.commit()
    scratch.environ |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null"}
    shown = scratch.run("plan", timeout=30)
    assert shown.code == 0, shown.err
    rows, none = shown.out.split("Plan for ")[1:]
    assert "given 12" in rows
    assert "given" not in none
    assert scratch.run("validate", timeout=30).code == 0
    scratch.write("sagemaker-gitops.yaml", project.replace("{Rows: 12}", "{Row: 12}"))
    wrong = scratch.run("plan", "--json", timeout=30)
    assert wrong.code == 2
    assert wrong.document["error"]["fix"] == "write Rows"
