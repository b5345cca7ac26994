"""CodeBuild's builds and projects, as far as they end a run: their timeouts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ci.sagemaker.clients import Clients


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildLimit:
    """`minutes` is the timeout of the project `name`, `variables` what it sets in plain text."""

    name: str
    minutes: int
    variables: Mapping[str, str] = field(default_factory=dict)


class Builds:
    """Reads only. One attempt for each call: who asks has little time."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def of_build(self, build: str) -> BuildLimit | None:
        """Of a build by its id (`project:uuid`), with what its start has overridden."""
        parameters = {"ids": [build]}
        answer = self._clients.once.call("codebuild", "BatchGetBuilds", parameters, where=build)
        found = [_limit(each, str(each.get("projectName"))) for each in answer.get("builds") or ()]
        return found[0] if found else None

    def of_project(self, name: str) -> BuildLimit | None:
        """None where there is no project of this name."""
        parameters = {"names": [name]}
        answer = self._clients.once.call("codebuild", "BatchGetProjects", parameters, where=name)
        found = [_limit(each, name) for each in answer.get("projects") or ()]
        return found[0] if found else None


def _limit(item: Mapping[str, Any], name: str) -> BuildLimit:
    variables = (item.get("environment") or {}).get("environmentVariables") or ()
    return BuildLimit(
        name=name,
        # What CodeBuild takes where nothing is said (API reference, CreateProject).
        minutes=int(item.get("timeoutInMinutes") or 60),
        variables={
            str(each["name"]): str(each["value"])
            for each in variables
            if each.get("type", "PLAINTEXT") == "PLAINTEXT"
        },
    )
