"""Which values a stack's parameters take, and how its changes are shown."""

from ci.bootstrap.steps import plan_step
from ci.bootstrap.table import render_changes
from ci.bootstrap.template import Parameter, Template
from ci.sagemaker.stacks import ResourceChange, Stack


def test_which_value_a_parameter_takes() -> None:
    template = Template(
        name="t",
        description="",
        parameters={
            "Name": Parameter(description="", default="new", settled=True),
            "Days": Parameter(description="", default=30),
            "Fresh": Parameter(description="", default="x"),
        },
        resources={},
    )
    held = Stack(
        name="s", id="s", status="UPDATE_COMPLETE", parameters={"Name": "old", "Days": "7"}
    )
    new = plan_step(template, None, {}, stack="s")
    assert (new.create, new.parameters) == (True, {"Name": "new", "Days": "30", "Fresh": "x"})
    step = plan_step(template, held, {}, stack="s")
    assert (step.create, step.parameters) == (False, {"Name": "new", "Fresh": "x"})
    assert step.kept == {"Days": "7"}
    assert plan_step(template, held, {"Days": "9", "Else": "1"}, stack="s").parameters == {
        "Name": "new",
        "Days": "9",
        "Fresh": "x",
    }


def test_the_table_of_changes_says_what_is_made_anew() -> None:
    changes = [
        ResourceChange(action="Modify", resource="B", kind="AWS::S3::Bucket", replacement="True"),
        ResourceChange(action="Add", resource="Queue", kind="AWS::SQS::Queue"),
        ResourceChange(
            action="Modify",
            resource="R",
            kind="AWS::IAM::Role",
            replacement="False",
            scope=("Tags",),
        ),
    ]
    assert list(render_changes(changes)) == [
        "+ Queue  AWS::SQS::Queue",
        "~ B      AWS::S3::Bucket  made anew",
        "~ R      AWS::IAM::Role   Tags",
    ]
    assert list(render_changes([])) == ["(none)"]
