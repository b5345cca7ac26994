"""Where an execution is followed: in the region of its ARN, whatever the project file names now."""

import pytest
from support.scratch import Scratch, quality_definition

from ci.session.session import client_environment

pytestmark = pytest.mark.endpoint


def test_an_arn_tells_the_region(scratch: Scratch) -> None:
    """It may have been started with `--region`, or before the project file named another."""
    scratch.define(quality_definition(2.0))
    scratch.commit("one")
    arn = scratch.deploy().report["execution"]["arn"]
    address = scratch.run("local", "status", "--json").document["address"]
    project = (scratch.root / "sagemaker-gitops.yaml").read_text()
    role = "role: arn:aws:iam::000000000000:role/any\n"
    moved = project.replace("region: us-east-1", "region: eu-west-1")
    (scratch.root / "sagemaker-gitops.yaml").write_text(role + moved)
    there = Scratch(root=scratch.root, environ=client_environment(address, "eu-west-1"))
    for command in ("attach", "report"):
        done = there.run(command, arn, "--json")
        assert done.code == 0, done.err
        assert done.report["region"] == "us-east-1"
