"""A repository that `doctor` looks at, as a Site, and what one check finds there."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ci.doctor.checks import CHECKS
from ci.doctor.model import Check, Finding, Site
from ci.project.load import load_project
from ci.trigger.laptop import parse_checkout, read_checkout
from support.scratch import Scratch, new_scratch, quality_definition

BY_NAME: Mapping[str, Check] = {check.name: check for check in CHECKS}
PROJECT = """
version: 1
region: us-east-1
role: arn:aws:iam::000000000000:role/sagemaker-gitops-local
pipelines:
  quality: {definition: definition.json, model_package_group: quality, endpoint: quality}
artifacts: {bucket: acme-artifacts}
environments:
  pull_request: {parameters: {Group: "quality-pr-{pull_request}"}}
"""


def repository(folder: Path, project: str = PROJECT) -> Scratch:
    scratch = new_scratch(folder / "repository", project)
    scratch.define(quality_definition(1.5))
    scratch.git("remote", "add", "origin", "https://github.com/acme/mlops.git")
    scratch.commit("first")
    return scratch


def site(scratch: Scratch, **more: Any) -> Site:
    project = load_project(scratch.root / "sagemaker-gitops.yaml")
    found = Site(
        root=scratch.root,
        environ=scratch.environment(),
        project=project,
        trigger=parse_checkout(read_checkout(scratch.root)),
        environment=project.environments["main"],
        region="us-east-1",
        account="000000000000",
        role=project.role,
        bucket=project.artifacts.bucket,
        repository="acme/mlops",
    )
    return replace(found, **more)


def findings(name: str, looked_at: Site) -> list[Finding]:
    return list(BY_NAME[name].look(looked_at))


def only(name: str, looked_at: Site) -> Finding:
    (found,) = findings(name, looked_at)
    return found
