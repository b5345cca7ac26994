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
