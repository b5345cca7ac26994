"""Targets to compile, and the Python environments that hold the SageMaker SDK."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from ci.project.model import (
    CompileMode,
    DefinitionSource,
    Environment,
    ModuleSource,
    Pipeline,
    Target,
)

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "000000000000"
BUCKET = f"sagemaker-us-east-1-{ACCOUNT}"
PREFIX = "sagemaker-gitops"


def make_target(
    source: Path,
    *,
    function: str = "get_pipeline",
    python: str | None = sys.executable,
    kwargs: Mapping[str, object] | None = None,
    live: bool = False,
    working_directory: Path | None = None,
    pass_environment: tuple[str, ...] = (),
) -> Target:
    """A target on the local account; a file that is not Python is a definition."""
    is_module = source.suffix.lower() not in (".json", ".yaml", ".yml")
    return Target(
        pipeline=Pipeline(
            name="demo",
            source=ModuleSource(file=source, function=function)
            if is_module
            else DefinitionSource(file=source),
            line=1,
            python=python,
            kwargs=dict(kwargs or {}),
            compile=CompileMode.LIVE if live else CompileMode.HERMETIC,
            working_directory=working_directory,
            pass_environment=pass_environment,
        ),
        environment=Environment(name="main", pipeline_name="{pipeline}"),
        pipeline_name="demo",
        role=f"arn:aws:iam::{ACCOUNT}:role/sagemaker-gitops-local",
        account=ACCOUNT,
        region="us-east-1",
        bucket=BUCKET,
        prefix=PREFIX,
        parameters={},
        tags={},
    )


def sdk_python(version: str) -> str:
    """The Python of the environment with SDK `v2` or `v3`. Without one the test is skipped,
    unless CI is set: there it fails."""
    name = f"SAGEMAKER_GITOPS_SDK_{version.upper()}"
    folder = Path(os.environ.get(name) or ROOT / "build" / "envs" / f"sdk-{version}")
    python = folder / "bin" / "python"
    if python.exists():
        return str(python)
    message = f"no SageMaker SDK {version} in {folder}: make sdk, or set {name}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
