"""GitHub's published description of its API, cut down to what the project calls.

Run as a script it makes the file that the tests read: `github_contract.py GENERATED TARGET`, where
GENERATED is the folder of the npm package @octokit/openapi that holds the descriptions. `Contract`
then says of a request and its answer what they have against the description.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

DESCRIPTION = Path(__file__).parents[2] / "build" / "github" / "description.json"
# github.com, and the oldest GitHub Enterprise Server that the package describes.
EDITIONS = {"github.com": "api.github.com.json", "server": "ghes-3.17.json"}
_REPOSITORY = "/repos/{owner}/{repo}"
OPERATIONS = (
    "GET /user",
    *(
        f"{method} {_REPOSITORY}{path}"
        for method, path in (
            ("GET", "/issues/{issue_number}/comments"),
            ("POST", "/issues/{issue_number}/comments"),
            ("GET", "/issues/comments/{comment_id}"),
            ("PATCH", "/issues/comments/{comment_id}"),
            ("DELETE", "/issues/comments/{comment_id}"),
            ("POST", "/issues/comments/{comment_id}/reactions"),
            ("GET", "/issues/{issue_number}/labels"),
            ("POST", "/issues/{issue_number}/labels"),
            ("DELETE", "/issues/{issue_number}/labels/{name}"),
            ("POST", "/labels"),
            ("GET", "/labels/{name}"),
            ("GET", "/pulls"),
            ("GET", "/pulls/{pull_number}"),
            ("GET", "/pulls/{pull_number}/commits"),
            ("GET", "/commits/{commit_sha}/pulls"),
            ("GET", "/compare/{basehead}"),
            ("GET", "/commits/{ref}/statuses"),
            ("POST", "/statuses/{sha}"),
            ("GET", "/commits/{ref}/check-runs"),
            ("POST", "/check-runs"),
            ("PATCH", "/check-runs/{check_run_id}"),
            ("GET", "/check-runs/{check_run_id}/annotations"),
            ("GET", "/deployments"),
            ("POST", "/deployments"),
            ("GET", "/deployments/{deployment_id}/statuses"),
            ("POST", "/deployments/{deployment_id}/statuses"),
            ("GET", "/collaborators/{username}/permission"),
            ("GET", "/activity"),
            ("GET", "/actions/runs/{run_id}/approvals"),
        )
    ),
)
# The bodies that the loopback GitHub answers with.
SHAPES = (
    "public-user",
    "simple-user",
    "nullable-integration",
    "issue-comment",
    "reaction",
    "label",
    "pull-request",
    "pull-request-simple",
    "commit",
    "commit-comparison",
    "status",
    "check-run",
    "check-annotation",
    "deployment",
    "deployment-status",
    "repository-collaborator-permission",
    "activity",
    "environment-approvals",
)
_COMPONENT = re.compile(r"#/components/(\w+)/(.+)")
Json = dict[str, Any]


def trim(description: Json) -> Json:
    """The operations in use, and the schemas they lead to, as JSON Schema."""
    operations = {}
    for name in OPERATIONS:
        method, path = name.split()
        operations[name] = _operation(description, description["paths"][path][method.lower()])
    schemas: Json = {}
    _collect(description, operations, schemas)
    return {"operations": operations, "components": {"schemas": schemas}}


def _operation(description: Json, found: Json) -> Json:
    request = found.get("requestBody", {})
    parameters = [_followed(description, each) for each in found.get("parameters", [])]
    answers = {
        status: _body(_followed(description, answer))
        for status, answer in found["responses"].items()
    }
    return {
        "query": {
            each["name"]: _json_schema(each["schema"])
            for each in parameters
            if each["in"] == "query"
        },
        "request": _body(request),
        "request_required": request.get("required", False),
        "answers": answers,
    }


def _body(holder: Json) -> Json | None:
    schema = holder.get("content", {}).get("application/json", {}).get("schema")
    return None if schema is None else _json_schema(schema)


def _followed(description: Json, node: Json) -> Json:
    while "$ref" in node:
        kind, name = _COMPONENT.fullmatch(node["$ref"]).groups()  # type: ignore[union-attr]  # all are components
        node = description["components"][kind][name]
    return node


def _collect(description: Json, node: Any, schemas: Json) -> None:
    for name in _references(node):
        if name not in schemas:
            schemas[name] = _json_schema(description["components"]["schemas"][name])
            _collect(description, schemas[name], schemas)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        found = _COMPONENT.fullmatch(str(node.get("$ref", "")))
        if found:
            yield found[2]
        for each in node.values():
            yield from _references(each)
    elif isinstance(node, list):
        for each in node:
            yield from _references(each)


def _json_schema(node: Any) -> Any:
    """OpenAPI 3.0 says `nullable` where JSON Schema has a type; examples and prose are left out."""
    if isinstance(node, list):
        return [_json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _json_schema(each) for key, each in node.items() if key not in _PROSE}
    if "properties" in node:
        members = node["properties"].items()
        kept["properties"] = {name: _json_schema(each) for name, each in members}
    if kept.pop("nullable", False) is not True:
        return kept
    return {"anyOf": [kept, {"type": "null"}]} if kept else {}


_PROSE = frozenset({"description", "example", "examples", "title", "externalDocs", "xml"})


def shape(description: Json, schema: Json) -> Any:
    """The smallest value that a schema takes, every member that must be there included."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return shape(description, description["components"]["schemas"][name])
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        nothing = {"type": "null"}
        return None if nothing in choices else shape(description, choices[0])
    if "enum" in schema:
        return schema["enum"][0]
    parts = [shape(description, part) for part in schema.get("allOf", [])]
    members = {
        name: shape(description, schema.get("properties", {}).get(name, {}))
        for name in schema.get("required", [])
    }
    for part in parts:
        members = {**part, **members}
    empty: Json = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": []}
    return empty.get(schema.get("type", "object"), members)


def shapes(edition: Json) -> Json:
    """The shape of each body that the loopback GitHub answers with, by the schema's name."""
    found = {name: edition["components"]["schemas"][name] for name in SHAPES}
    solid = {name: schema.get("anyOf", [schema])[0] for name, schema in found.items()}
    return {name: shape(edition, schema) for name, schema in solid.items()}


@dataclass(slots=True)
class Contract:
    """One edition's description. Each kind of exchange is looked at once: what differs in numbers
    and in free text alone is the same kind."""

    edition: Json
    _seen: set[object] = field(default_factory=set)

    def complaints(
        self, method: str, path: str, query: str, request: Any, status: int, answer: Any
    ) -> list[str]:
        """What the description has against an exchange; `path` begins at the API's root."""
        name = self.operation(method, path)
        if name is None:
            return [f"{method} {path}: no such operation"]
        kind = (name, status, _kind(request), _kind(answer), _kind(dict(parse_qsl(query))))
        if kind in self._seen:
            return []
        self._seen.add(kind)
        operation = self.edition["operations"][name]
        found = [*self._asked(operation, query, request), *self._told(operation, status, answer)]
        return [f"{method} {path} {status}: {each}" for each in found]

    def operation(self, method: str, path: str) -> str | None:
        """The name of the operation that a path calls; None where there is none."""
        for name in sorted(self.edition["operations"], key=lambda each: each.count("{")):
            verb, _, template = name.partition(" ")
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
            if verb == method and re.fullmatch(pattern, path):
                return str(name)
        return None

    def _asked(self, operation: Json, query: str, request: Any) -> Iterator[str]:
        for key, text in parse_qsl(query):
            schema = operation["query"].get(key)
            if schema is None:
                yield f"there is no parameter {key}"
            else:
                value: object = int(text) if schema.get("type") == "integer" else text
                yield from self._against(schema, value, key)
        if operation["request"] is not None and request is not None:
            yield from self._against(operation["request"], request, "request")
        elif operation["request_required"] or request is not None:
            yield "there is a request's body where none belongs, or the other way about"

    def _told(self, operation: Json, status: int, answer: Any) -> Iterator[str]:
        if str(status) not in operation["answers"]:
            # What is refused for want of a right is described nowhere.
            if status not in {401, 403, 404, 422, 429}:
                yield "there is no such status"
            return
        schema = operation["answers"][str(status)]
        if schema is not None:
            yield from self._against(schema, answer, "answer")

    def _against(self, schema: Json, value: object, where: str) -> Iterator[str]:
        from jsonschema import Draft202012Validator

        whole = {**schema, "components": self.edition["components"]}
        for error in Draft202012Validator(whole).iter_errors(value):
            yield f"{where}{error.json_path[1:]}: {error.message[:300]}"


def _kind(value: Any) -> object:
    if isinstance(value, Mapping):
        return tuple(sorted((key, _kind(each)) for key, each in value.items()))
    if isinstance(value, list):
        return ("list", tuple(dict.fromkeys(_kind(each) for each in value)))
    if isinstance(value, str) and re.fullmatch(r"[a-z_]{1,20}", value):
        return value
    return type(value).__name__


@cache
def contract(edition: str = "github.com") -> Contract | None:
    """None where the description has not been installed (`make contract`)."""
    if not DESCRIPTION.is_file():
        return None
    return Contract(json.loads(DESCRIPTION.read_text(encoding="utf-8"))[edition])


def main(generated: Path, target: Path) -> None:
    editions = {
        name: trim(json.loads((generated / file).read_text(encoding="utf-8")))
        for name, file in EDITIONS.items()
    }
    target.write_text(json.dumps(editions, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
