"""Policy documents of statements, packed into policies of the size that IAM takes. Pure.

A managed policy holds 6,144 characters without white space, a role ten of them (IAM User Guide,
"IAM and AWS STS quotas").
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ci.bootstrap.model import Statement
from ci.bootstrap.template import sub

VERSION = "2012-10-17"
LARGEST_POLICY = 6144
MOST_POLICIES = 10
_FRAME = 64
# What CloudFormation fills in may be longer than the variable's name.
_LONGEST = {
    "${Bucket}": "b" * 63,
    "${Prefix}": "p" * 40,
    "${Queue}": "q" * 80,
    "${CodePipeline}": "c" * 100,
}


def policy_document(statements: Sequence[Statement]) -> dict[str, object]:
    return {"Version": VERSION, "Statement": [statement_document(each) for each in statements]}


def statement_document(statement: Statement) -> dict[str, object]:
    document: dict[str, object] = {
        "Sid": statement.sid,
        "Effect": "Allow",
        "Action": list(statement.actions),
        "Resource": [sub(each) for each in statement.resources],
    }
    if statement.condition:
        document["Condition"] = condition_document(statement)
    return document


def condition_document(statement: Statement) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for operator, key, values in statement.condition:
        found.setdefault(operator, {})[key] = [sub(each) for each in values]
    return found


def pack(
    statements: Sequence[Statement], *, limit: int = LARGEST_POLICY
) -> tuple[tuple[Statement, ...], ...]:
    """The statements in as few policies as their order allows, each within `limit` characters.
    A statement that is too long by itself is split by its resources."""
    policies: list[list[Statement]] = []
    room = 0
    for statement in _short(statements, limit - _FRAME):
        size = size_of(statement)
        if not policies or size > room:
            policies.append([])
            room = limit - _FRAME
        policies[-1].append(statement)
        room -= size
    return tuple(tuple(each) for each in policies)


def size_of(statement: Statement) -> int:
    """An upper bound of the statement's characters."""
    text = json.dumps(
        {
            "Sid": statement.sid,
            "Effect": "Allow",
            "Action": statement.actions,
            "Resource": statement.resources,
            "Condition": statement.condition,
        }
    )
    for variable, longest in _LONGEST.items():
        text = text.replace(variable, longest)
    return len(text)


def _short(statements: Sequence[Statement], limit: int) -> Iterator[Statement]:
    for statement in statements:
        if size_of(statement) <= limit or len(statement.resources) < 2:
            yield statement
            continue
        half = len(statement.resources) // 2
        parts = statement.resources[:half], statement.resources[half:]
        for mark, resources in zip("AB", parts, strict=True):
            yield from _short(
                [replace(statement, sid=statement.sid + mark, resources=resources)], limit
            )
