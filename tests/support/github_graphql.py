"""GitHub's published GraphQL schema, cut down to what the project asks.

Run as a script it makes the file that the tests read: `github_graphql.py SCHEMA TARGET`, where
SCHEMA is schema.graphql of the npm package @octokit/graphql-schema. `Questions` then says of a
document, its variables and its answer what they have against the schema. GitHub publishes that of
github.com alone.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from graphql import (
    GraphQLAbstractType,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    NoDeprecatedCustomRule,
    build_schema,
    execute_sync,
    get_named_type,
    is_leaf_type,
    parse,
    print_schema,
    specified_rules,
    validate,
)

SCHEMA = Path(__file__).parents[2] / "build" / "github" / "schema.graphql"
# What the project asks for, and the types that it leads to.
ROOTS = {"Query": {"viewer"}, "Mutation": {"minimizeComment"}}
TYPES = frozenset({"User", "MinimizeCommentPayload", "Minimizable", "IssueComment"})


def trim(schema: GraphQLSchema) -> str:
    """The roots and the types; of each its fields that lead to no other type."""
    kept = {name: _fielded(schema, name) for name in (*ROOTS, *TYPES)}
    for name, found in kept.items():
        found.fields = {
            key: each
            for key, each in found.fields.items()
            if (key in ROOTS[name] if name in ROOTS else _stays(get_named_type(each.type)))
        }
        found.interfaces = tuple(each for each in found.interfaces if each.name in TYPES)
    types = [kept[name] for name in sorted(TYPES)]
    query, mutation = (_object(kept[name]) for name in ROOTS)
    return print_schema(GraphQLSchema(query=query, mutation=mutation, types=types)) + "\n"


def _fielded(schema: GraphQLSchema, name: str) -> GraphQLObjectType | GraphQLInterfaceType:
    found = schema.type_map[name]
    assert isinstance(found, GraphQLObjectType | GraphQLInterfaceType), name
    return found


def _object(found: GraphQLObjectType | GraphQLInterfaceType) -> GraphQLObjectType:
    assert isinstance(found, GraphQLObjectType), found.name
    return found


def _stays(found: GraphQLNamedType) -> bool:
    return is_leaf_type(found) or found.name in TYPES


@dataclass(slots=True)
class Questions:
    schema: GraphQLSchema

    def complaints(self, request: Any, answer: Any) -> list[str]:
        """What the schema has against an exchange, both as the JSON that went over the wire."""
        return [f"POST /graphql: {each}" for each in self._against(request, answer)]

    def _against(self, request: Any, answer: Any) -> Iterator[str]:
        unknown = set(request) - {"query", "variables", "operationName"}
        if unknown:
            yield f"there is no member {', '.join(sorted(unknown))}"
        try:
            document = parse(request["query"])
        except GraphQLError as error:
            yield error.message
            return
        found = validate(self.schema, document, (*specified_rules, NoDeprecatedCustomRule))
        if found:
            yield from (each.message for each in found)
            return
        # An answer is of the schema where executing the document on it gives it back.
        result = execute_sync(
            self.schema,
            document,
            root_value=answer["data"],
            variable_values=request.get("variables"),
            operation_name=request.get("operationName"),
            type_resolver=_some_type,
        )
        yield from (each.message for each in result.errors or ())
        if not result.errors and result.data != answer["data"]:
            yield f"what was asked for is {result.data}, and the answer {answer['data']}"


def _some_type(value: Any, info: GraphQLResolveInfo, abstract: GraphQLAbstractType) -> str:
    """Answers name no type: any that the field may hold has the members of all."""
    return info.schema.get_possible_types(abstract)[0].name


@cache
def questions() -> Questions | None:
    """None where the schema has not been installed (`make contract`)."""
    if not SCHEMA.is_file():
        return None
    return Questions(build_schema(SCHEMA.read_text(encoding="utf-8")))


def main(schema: Path, target: Path) -> None:
    whole = build_schema(schema.read_text(encoding="utf-8"), assume_valid=True)
    target.write_text(trim(whole), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
