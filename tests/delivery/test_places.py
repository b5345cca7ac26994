"""In which region an execution is found again, whatever the project file names by now."""

import shlex

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


def test_what_a_report_says_to_do_next_works_where_a_region_was_named(scratch: Scratch) -> None:
    file = scratch.root / "sagemaker-gitops.yaml"
    masked = "report: {mask_accounts: true}\n" + file.read_text()
    file.write_text(masked.replace("region: us-east-1", "region: eu-west-1"))
    scratch.commit("another region")
    named = ("--region", "us-east-1")
    started = scratch.deploy("--detach", *named)
    assert started.code == 0, started.err
    command = started.report["attach"].removeprefix("sagemaker-gitops ")
    done = scratch.run(*shlex.split(command), "--json")
    assert done.code == 0, done.err
