"""A scratch repository with a project file, run by the installed command as a user runs it."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.definitions import s3_output
from support.engine_lab import processing

if TYPE_CHECKING:
    from support.forking import Forks

COMMAND = Path(sys.executable).with_name("sagemaker-gitops")
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/any:1"

BUCKET = "sagemaker-us-east-1-000000000000"
EXECUTION = "Execution.PipelineExecutionId"
OUTPUT = "Steps.Evaluate.ProcessingOutputConfig.Outputs['report'].S3Output.S3Uri"

PROJECT = """
version: 1
region: us-east-1
pipelines:
  quality:
    definition: definition.json
    model_package_group: quality
    metrics:
      - {name: rmse, property_file: Report, path: $.regression_metrics.rmse.value}
    gates:
      - {metric: rmse, maximum: 3.0, improve_by: 0}
environments:
  main: {parameters: {Approval: Approved}}
  pull_request: {parameters: {Group: "quality-pr-{pull_request}"}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def report(self) -> Any:
        """The only report of a `--json` run."""
        return self.document["reports"][0]


@dataclass(slots=True, kw_only=True)
class Scratch:
    """`environ` is what commands get besides a path and a home; no secrets of the machine. `forks`
    runs them, one at a time, in processes that start in milliseconds."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)
    forks: "Forks | None" = None

    def write(self, name: str, text: str) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))

    def define(self, document: Mapping[str, Any]) -> None:
        self.write("definition.json", json.dumps(document, indent=2))

    def commit(self, message: str = "change", *, branch: str | None = None) -> str:
        if branch is not None:
            self.git("checkout", "-q", "-B", branch, "main")
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        command = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.invalid"]
        done = subprocess.run(
            [*command, *arguments], cwd=self.root, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def run(self, *arguments: str, cwd: Path | None = None, timeout: float = 120) -> Result:
        if self.forks is not None:
            return self.forks.run(arguments, cwd=cwd or self.root, environ=self.environment())
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=cwd or self.root,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Result(code=done.returncode, out=done.stdout, err=done.stderr)

    def deploy(self, *arguments: str) -> Result:
        return self.run("deploy", "--local", "--json", "--poll", "0.1", *arguments)

    def environment(self) -> dict[str, str]:
        # The first to need the emulator installs it, maybe with a machine's own certificates.
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in {"PATH", "HOME", "LANG"} or name.startswith(("SSL_", "UV_"))
        }
        return {**kept, "CI": "true", **self.environ}


def new_scratch(root: Path, project: str = PROJECT) -> Scratch:
    scratch = Scratch(root=root)
    root.mkdir(parents=True, exist_ok=True)
    scratch.git("init", "-q", "-b", "main")
    scratch.write(".gitignore", ".sagemaker-gitops/\n")
    scratch.write("sagemaker-gitops.yaml", project)
    return scratch


def quality_definition(rmse: object, *, threshold: float = 3.0, script: str = "") -> dict[str, Any]:
    """Evaluate (writes `rmse`) -> Check -> yes: Register · no: TooBad. `script` runs first."""
    code = (
        "import os\nexec(os.environ['FIRST'])\nfolder='/opt/ml/processing/report/'\n"
        "os.makedirs(folder, exist_ok=True)\n"
        "open(folder + 'evaluation.json', 'w').write(os.environ['REPORT'])"
    )
    evaluate = processing("Evaluate", code)
    document = json.dumps({"regression_metrics": {"rmse": {"value": rmse}}})
    evaluate["Arguments"]["Environment"] = {"FIRST": script or "pass", "REPORT": document}
    evaluate["Arguments"]["ProcessingOutputConfig"] = {
        "Outputs": [s3_output("report", _join("s3://" + BUCKET, {"Get": EXECUTION}))]
    }
    evaluate["PropertyFiles"] = [
        {"PropertyFileName": "Report", "OutputName": "report", "FilePath": "evaluation.json"}
    ]
    value = {
        "Std:JsonGet": {
            "PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Report"},
            "Path": "regression_metrics.rmse.value",
        }
    }
    register = {
        "Name": "Register",
        "Type": "RegisterModel",
        "Arguments": {
            "ModelPackageGroupName": {"Get": "Parameters.Group"},
            "ModelApprovalStatus": {"Get": "Parameters.Approval"},
            "ModelMetrics": {
                "ModelQuality": {
                    "Statistics": {
                        "ContentType": "application/json",
                        "S3Uri": _join({"Get": OUTPUT}, "evaluation.json"),
                    }
                }
            },
            "InferenceSpecification": {
                "Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://models/model.tar.gz"}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
        },
    }
    check = {
        "Name": "Check",
        "Type": "Condition",
        "Arguments": {
            "Conditions": [
                {"Type": "LessThanOrEqualTo", "LeftValue": value, "RightValue": threshold}
            ],
            "IfSteps": [register],
            "ElseSteps": [
                {
                    "Name": "TooBad",
                    "Type": "Fail",
                    "Arguments": {"ErrorMessage": "RMSE is too high"},
                }
            ],
        },
    }
    return {
        "Version": "2020-12-01",
        "Parameters": [
            {"Name": "Group", "Type": "String", "DefaultValue": "quality"},
            {"Name": "Approval", "Type": "String", "DefaultValue": "PendingManualApproval"},
        ],
        "Steps": [evaluate, check],
    }


def _join(*values: object) -> dict[str, Any]:
    return {"Std:Join": {"On": "/", "Values": list(values)}}
