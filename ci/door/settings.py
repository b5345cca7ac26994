"""What an action's UserParameters may say: JSON of at most 1,000 characters, read strictly. Pure.

The names are those of the settings of the other doors (`ci.cli.settings`), and those of what
CodeBuild tells by its environment and Lambda does not: commit, branch, repository, execution.
"""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ci.errors import UsageError
from ci.project.durations import parse_duration

WHERE = "UserParameters"


class Command(StrEnum):
    """`APPROVE` brings a manual approval of this pipeline execution to the model package."""

    DEPLOY = "deploy"
    APPROVE = "approve"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`deadline` is in seconds. `source` names the input artifact that holds the repository
    (default: the first), `plan` the one that holds what `plan --out` wrote, with its folder
    (`ARTIFACT` or `ARTIFACT:folder`). `pipeline` and `execution` are CodePipeline's own."""

    command: Command = Command.DEPLOY
    pipelines: tuple[str, ...] = ()
    environment: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    project_file: str | None = None
    deadline: float | None = None
    comment: bool = True
    region: str | None = None
    python: str | None = None
    source: str | None = None
    plan: str | None = None
    commit: str | None = None
    branch: str | None = None
    repository: str | None = None
    pipeline: str | None = None
    execution: str | None = None


# What the page of the Lambda action shows; a name that is not here is refused.
SETTINGS: Mapping[str, str] = {
    "command": "`deploy` (default), or `approve` after a manual approval",
    "commit": "the commit, from the source action's variables",
    "repository": "`owner/name`; of CodeCommit the name alone",
    "branch": "the branch that the pipeline watches, for display",
    "pipelines": "names, as a list or a text; default: all",
    "environment": "name of the environment; default: `main`",
    "parameters": "pipeline parameters, name to value; they go before the project file's",
    "project-file": "path of the project file in the source artifact",
    "deadline": "how long to follow, from the first call: `90`, `30m`, `6h`",
    "comment": "`false` posts no comment",
    "region": "AWS region, before what the project file names",
    "python": "Python of the function's image that has the SageMaker SDK",
    "source": "name of the input artifact that holds the repository; default: the first",
    "plan": "`ARTIFACT` or `ARTIFACT:folder`: what `plan --out` wrote in an earlier stage",
    "pipeline": "CodePipeline's own name, for the link to it; with `approve` also "
    "`PIPELINE/STAGE/ACTION`",
    "execution": "`#{codepipeline.PipelineExecutionId}`",
}


def parse_settings(text: str) -> Settings:
    """UsageError names what cannot be read, and what was most likely meant."""
    found: dict[str, Any] = {}
    for name, value in _read(text).items():
        if name not in SETTINGS:
            close = difflib.get_close_matches(name, sorted(SETTINGS), n=1)
            hint = f"; did you mean `{close[0]}`?" if close else ""
            raise UsageError(
                f"there is no setting {name!r}{hint}",
                where=WHERE,
                fix=f"one of: {', '.join(sorted(SETTINGS))}",
            )
        if value is not None and value != "":
            found[name.replace("-", "_")] = _value(name, value)
    return Settings(**found)


def _read(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        document = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            "the action's parameters are not JSON",
            where=WHERE,
            why=str(error),
            fix='{"environment": "main", "commit": "#{SourceVariables.CommitId}"}',
        ) from None
    if not isinstance(document, dict):
        raise UsageError("the action's parameters are not a JSON object", where=WHERE)
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"{twice!r} is there twice", where=WHERE)
    return found


def _value(name: str, value: object) -> object:
    match name:
        case "command":
            return _command(value)
        case "pipelines":
            return _names(value)
        case "parameters":
            return _parameters(value)
        case "deadline":
            return _deadline(value)
        case "comment":
            return _flag(value)
        case _:
            if not isinstance(value, str):
                raise _wrong(name, value, "a text")
            return value


def _command(value: object) -> Command:
    try:
        return Command(str(value))
    except ValueError:
        raise _wrong("command", value, " or ".join(Command)) from None


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.replace(",", " ").split())
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise _wrong("pipelines", value, "a list of names")
    return tuple(value)


def _parameters(value: object) -> dict[str, str]:
    """As the project file's: texts, numbers, booleans."""
    from ci.execution.identity import parameter_text

    if not isinstance(value, dict):
        raise _wrong("parameters", value, "an object, name to value")
    for name, each in value.items():
        if not isinstance(each, str | int | float):
            raise _wrong(f"parameters.{name}", each, "a text, a number or a boolean")
    return {name: parameter_text(each) for name, each in value.items()}


def _deadline(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _wrong("deadline", value, "a duration: 90, 30m, 6h")
    try:
        return parse_duration(value)
    except ValueError as error:
        raise UsageError(str(error), where=f"{WHERE}: deadline") from None


def _flag(value: object) -> bool:
    told = {"true": True, "false": False}.get(str(value).lower())
    if told is None:
        raise _wrong("comment", value, "true or false")
    return told


def _wrong(name: str, value: object, wanted: str) -> UsageError:
    shown = json.dumps(value, ensure_ascii=False)
    # Not cut: half a secret is not known for one, and all parameters are 1,000 characters at most.
    return UsageError(f"{shown} is not {wanted}", where=f"{WHERE}: {name}")
