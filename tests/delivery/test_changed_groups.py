"""Which groups and regions are looked at for decisions that no event told of."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.registering import BORN, Registry

from ci.approval.changed import decided_since
from ci.approval.groups import is_own_group, pull_request_of
from ci.errors import AwsError
from ci.project.load import load_project
from ci.session.session import open_session
from ci.trigger.model import Door, Event, Trigger

PROJECT = """
version: 1
region: eu-west-1
role: arn:aws:iam::123456789012:role/r
pipelines:
  alpha: {definition: definition.json, model_package_group: models}
environments:
  main: {}
  staging: {region: us-east-1}
  pull_request:
    parameters: {Group: "models-pr-{pull_request}", Place: "s3://b/{pull_request}"}
    kwargs: {registry: "x-{pipeline}-{pull_request}"}
"""


def session(folder: Path, **adapters: Any) -> Any:
    (folder / "definition.json").write_text("{}")
    (folder / "sagemaker-gitops.yaml").write_text(PROJECT)
    opened = open_session(
        load_project(folder / "sagemaker-gitops.yaml"),
        Trigger(door=Door.LAPTOP, event=Event.MANUAL, commit="a" * 40),
        environ={},
        environment="main",
        local=False,
    )
    opened._adapters.update({name.replace("_", "-"): each for name, each in adapters.items()})
    return opened


def test_every_region_that_the_project_names_is_looked_at(tmp_path: Path) -> None:
    here, there = Registry(), Registry()
    near, far = here.add(1), there.add(2)
    said: list[str] = []
    opened = session(tmp_path, eu_west_1=here, us_east_1=there)
    found = decided_since(opened, BORN, tell=said.append)
    assert {package.arn for package in found} == {near, far}
    assert said == []
    assert decided_since(opened, BORN + timedelta(days=2), tell=said.append) == []


@pytest.mark.parametrize("status", [403, 500])
def test_a_region_that_may_not_be_read_leaves_the_others(tmp_path: Path, status: int) -> None:
    here = Registry()
    near = here.add(1)

    def refuse() -> Any:
        raise AwsError("no", code="x", operation="ListModelPackageGroups", status=status)

    there = SimpleNamespace(packages=SimpleNamespace(groups=refuse))
    said: list[str] = []
    opened = session(tmp_path, eu_west_1=here, us_east_1=there)
    if status != 403:
        with pytest.raises(AwsError):
            decided_since(opened, BORN, tell=said.append)
        return
    assert [package.arn for package in decided_since(opened, BORN, tell=said.append)] == [near]
    assert "us-east-1" in said[0]


def test_a_groups_name_tells_whose_it_is(tmp_path: Path) -> None:
    project = session(tmp_path).project
    assert pull_request_of(project, "models-pr-31") == 31
    assert pull_request_of(project, "models") is None
    assert is_own_group(project, "models")
    assert is_own_group(project, "models-pr-31")
    # Below a key that says nothing of a group: what is found there is held against its execution.
    assert pull_request_of(project, "x-alpha-32") == 32
    assert not is_own_group(project, "s3://b/31")
    assert not is_own_group(project, "models-pr-x")
