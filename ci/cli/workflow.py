"""GitHub's workflow commands and files, and their like on CodeBuild.

Escapes: docs.github.com, "Workflow commands"; the runner decodes %25, %0D, %0A everywhere and
%3A, %2C in properties.
"""

import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path

from ci.errors import UsageError

OUTPUT_FILE = "SAGEMAKER_GITOPS_OUTPUT"
# What CodePipeline keeps of an action's variables, names and values together in bytes (CodePipeline
# User Guide, "Quotas"); no shell starts a program with one that is much larger either.
_LARGEST_VARIABLES = 122_880
OUTPUTS: Mapping[str, str] = {
    "execution-arn": "ARN of the execution",
    "status": "the execution's status, as SageMaker tells it",
    "verdict": "what came of it: succeeded, approval_pending, gate_failed, ...",
    "metrics": "the metrics as a JSON object: name to value, champion and gate",
    "model-package-arn": "ARN of the model package that was registered",
    "approval": "the model package's approval status",
    "changes": "true if the plan changes anything",
    "report": "path of the report as Markdown",
    "checkout": "the commit that a comment asks to run, for a job that checks it out",
}


def in_github(environ: Mapping[str, str]) -> bool:
    return environ.get("GITHUB_ACTIONS") == "true"


def workflow_command(name: str, message: str, properties: Mapping[str, object]) -> str:
    """One line: `::error file=x,line=1::message`."""
    settled = ",".join(
        f"{key}={_escaped(str(value)).replace(':', '%3A').replace(',', '%2C')}"
        for key, value in properties.items()
        if value is not None
    )
    return f"::{name}{' ' + settled if settled else ''}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def write_outputs(environ: Mapping[str, str], outputs: Mapping[str, str]) -> None:
    """Hand values on to later steps.

    In GitHub Actions they go to GITHUB_OUTPUT, between delimiters that no value can guess;
    where SAGEMAKER_GITOPS_OUTPUT names a file (buildspec.yml) as shell assignments
    `SAGEMAKER_GITOPS_EXECUTION_ARN='...'`, the largest left out where they are more than
    CodePipeline keeps. KeyError for a name that OUTPUTS does not know, UsageError where a file
    cannot be written.
    """
    for name in outputs:
        OUTPUTS[name]
    if environ.get("GITHUB_OUTPUT"):
        delimiter = f"end-{secrets.token_hex(16)}"
        blocks = (f"{name}<<{delimiter}\n{value}\n{delimiter}\n" for name, value in outputs.items())
        _append(environ["GITHUB_OUTPUT"], "".join(blocks))
    if environ.get(OUTPUT_FILE):
        variables = _kept({variable_of(name): value for name, value in outputs.items()})
        lines = (f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
        _append(environ[OUTPUT_FILE], "".join(lines))


def _kept(variables: Mapping[str, str]) -> dict[str, str]:
    sizes = {
        name: len(f"{name}{value}".encode(errors="backslashreplace"))
        for name, value in variables.items()
    }
    while sum(sizes.values()) > _LARGEST_VARIABLES:
        del sizes[max(sizes, key=sizes.__getitem__)]
    return {name: variables[name] for name in sizes}


def variable_of(output: str) -> str:
    """The shell variable of an output."""
    return "SAGEMAKER_GITOPS_" + output.upper().replace("-", "_")


def _append(file: str, text: str) -> None:
    try:
        with Path(file).open(
            "a", encoding="utf-8", errors="backslashreplace", newline="\n"
        ) as stream:
            stream.write(text)
    except OSError as error:
        what = f"the job's files cannot be written: {error.strerror}"
        raise UsageError(what, where=file) from error
