"""`--python`, `--region` and `--role-to-assume` reach what they are about."""

import argparse
import io
import sys
import time
from pathlib import Path

import pytest
from support.scratch import new_scratch

from ci.cli.options import settle_session
from ci.cli.shell import Shell
from ci.errors import UsageError
from ci.sagemaker.credentials import find_web_identity
from ci.session.session import Session

ROLE = "arn:aws:iam::123456789012:role/ci"
PROJECT = f"""
version: 1
role: {ROLE}
pipelines:
  bare: {{source: "bare.py:get_pipeline"}}
  own: {{source: "bare.py:get_pipeline", python: own/bin/python}}
  away: {{source: "bare.py:get_pipeline", python: away/bin/python}}
  file: {{definition: one.json}}
"""
DOOR = {
    "ACTIONS_ID_TOKEN_REQUEST_URL": "https://token.example",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    scratch = new_scratch(tmp_path / "repository", PROJECT)
    scratch.write("bare.py", "def get_pipeline(): ...")
    scratch.write("one.json", "{}")
    scratch.commit()
    return scratch.root


def settle(root: Path, environ: dict[str, str], **given: object) -> Session:
    settled = {"environment": None, "pull_request": None, "local": False, "python": None}
    arguments = argparse.Namespace(**{**settled, "region": None, "role_to_assume": None, **given})
    shell = Shell(
        environ=environ,
        cwd=root,
        stdout=io.StringIO(),
        stderr=io.StringIO(),
        clock=time.time,
        sleep=time.sleep,
    )
    return settle_session(arguments, shell)


def test_python_is_for_modules_that_name_none_or_one_that_is_not_here(root: Path) -> None:
    (root / "own/bin").mkdir(parents=True)
    (root / "own/bin/python").symlink_to(sys.executable)
    pipelines = settle(root, {}, python="envs/sdk").project.pipelines
    assert {name: each.python for name, each in pipelines.items()} == {
        "bare": "envs/sdk",
        "own": str(root / "own/bin/python"),
        "away": "envs/sdk",
        "file": None,
    }
    told = settle(root, {}).project.pipelines
    assert told["bare"].python is None
    assert told["away"].python == str(root / "away/bin/python")


def test_the_region_counts_where_the_file_names_none(root: Path) -> None:
    assert settle(root, {"AWS_REGION": "us-west-2"}).target("file").region == "us-west-2"
    there = settle(root, {"AWS_REGION": "us-west-2"}, region="eu-west-1")
    assert there.target("file").region == "eu-west-1"
    assert there.environ["AWS_REGION"] == "eu-west-1"


def test_a_region_that_is_named_goes_before_the_files(root: Path) -> None:
    file = root / "sagemaker-gitops.yaml"
    file.write_text(
        file.read_text() + "region: us-east-1\nenvironments: {main: {region: us-east-2}}\n"
    )
    assert settle(root, {"AWS_REGION": "us-west-2"}).target("file").region == "us-east-2"
    there = settle(root, {}, region="eu-west-1").target("file")
    assert (there.region, there.bucket) == ("eu-west-1", "sagemaker-eu-west-1-123456789012")
    with pytest.raises(UsageError, match="no AWS region"):
        settle(root, {}, region="europe")


def test_the_role_reaches_githubs_door(root: Path) -> None:
    identity = find_web_identity(settle(root, DOOR, role_to_assume=ROLE).environ)
    assert identity is not None
    assert identity.role == ROLE
    assert find_web_identity(settle(root, DOOR).environ) is None


def test_a_role_that_cannot_be_assumed_is_refused(root: Path) -> None:
    with pytest.raises(UsageError, match="identity token") as caught:
        settle(root, {}, role_to_assume=ROLE)
    assert caught.value.fix == "permissions:\n  id-token: write"
