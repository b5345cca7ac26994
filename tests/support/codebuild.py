"""A CodeBuild of one account on loopback, held to botocore's service model: what is asked of
builds and projects."""

import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from botocore.loaders import Loader

from ci.local.service import ServiceModel
from ci.local.shapes import find_misfits
from support.loopback_forge import Answer, Loopback, Request


@cache
def service_model() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("codebuild", "service-2"))


@dataclass
class FakeCodeBuild(Loopback):
    """`denied` are operations that IAM refuses."""

    builds: dict[str, dict[str, Any]] = field(default_factory=dict)
    projects: dict[str, dict[str, Any]] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)

    def name_of(self, request: Request) -> tuple[str, str]:
        return "POST", request.headers.get("X-Amz-Target", "").rpartition(".")[2]

    def answer(self, request: Request) -> Answer:
        operation, model = self.name_of(request)[1], service_model()
        misfits = find_misfits(model, model.input(operation), request.body)
        assert not misfits, (operation, misfits)
        if operation in self.denied:
            said = {"__type": "AccessDeniedException", "message": f"may not {operation}"}
            return Answer(status=400, body=said)
        if operation == "BatchGetBuilds":
            body = _found(self.builds, request.body["ids"], "builds", "buildsNotFound")
        else:
            body = _found(self.projects, request.body["names"], "projects", "projectsNotFound")
        misfits = find_misfits(model, model.output(operation), body)
        assert not misfits, (operation, misfits)
        return Answer(body=json.dumps(body).encode())


def _found(held: dict[str, Any], asked: list[str], there: str, missing: str) -> dict[str, Any]:
    names = [name for name in asked if name not in held]
    found = {there: [held[name] for name in asked if name in held]}
    # The model takes no empty list of what is missing.
    return {**found, **({missing: names} if names else {})}
