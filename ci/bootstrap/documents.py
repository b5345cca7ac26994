"""Policy documents of statements, packed into policies of the size that IAM takes. Pure.

A managed policy holds 6,144 characters without white space, a role ten of them (IAM User Guide,
"IAM and AWS STS quotas").
"""

import json
from collections.abc import Sequence
from dataclasses import replace

from ci.bootstrap.model import Statement
from ci.bootstrap.template import If, sub

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
    "${KmsKey}": "k" * 100,
    "${Connection}": "c" * 120,
    "${TokenSecret}": "t" * 100,
    "${Name}": "n" * 32,
    "${AWS::Partition}": "aws-us-gov",
    "${AWS::Region}": "ap-southeast-1",
    "${AWS::AccountId}": "a" * 12,
    "${AWS::URLSuffix}": "amazonaws.com.cn",
}


def policy_document(statements: Sequence[Statement]) -> dict[str, object]:
    return {"Version": VERSION, "Statement": [statement_document(each) for each in statements]}


def statement_document(statement: Statement) -> dict[str, object] | If:
    document: dict[str, object] = {
        "Sid": statement.sid,
        "Effect": "Allow",
        "Action": list(statement.actions),
        "Resource": [sub(each) for each in statement.resources],
    }
    if statement.condition:
        document["Condition"] = condition_document(statement)
    return If(statement.when, document) if statement.when else document


def condition_document(statement: Statement) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for operator, key, values in statement.condition:
        found.setdefault(operator, {})[key] = [sub(each) for each in values]
    return found


def pack(
    statements: Sequence[Statement], *, limit: int = LARGEST_POLICY
) -> tuple[tuple[Statement, ...], ...]:
    """The statements in as few policies as their order allows, each within `limit` characters.
    One that is longer than what is left of a policy is split by its resources."""
    policies: list[list[Statement]] = [[]]
    room = limit - _FRAME
    for statement in statements:
        parts, rest = 0, statement.resources
        while rest:
            count = _fitting(statement, rest, room)
            if not count and policies[-1]:
                policies.append([])
                room = limit - _FRAME
                continue
            taken, rest = rest[: count or 1], rest[count or 1 :]
            parts += 1
            whole = parts == 1 and not rest
            sid = statement.sid if whole else f"{statement.sid}Part{parts}"
            policies[-1].append(replace(statement, sid=sid, resources=taken))
            room -= size_of(policies[-1][-1])
    return tuple(tuple(each) for each in policies if each)


def _fitting(statement: Statement, resources: Sequence[str], room: int) -> int:
    """How many of the resources, from the first on, fit with the statement into the room."""
    left = room - size_of(replace(statement, resources=())) - len("Part99")
    for count, arn in enumerate(resources):
        left -= len(_filled(json.dumps(arn))) + 1
        if left < 0:
            return count
    return len(resources)


def size_of(statement: Statement) -> int:
    """An upper bound of the statement's characters; IAM counts no white space."""
    document = statement_document(replace(statement, resources=(), when=None))
    text = json.dumps(document, default=lambda each: each.text, separators=(",", ":"))
    arns = json.dumps(statement.resources, separators=(",", ":"))
    return len(_filled(text)) + len(_filled(arns))


def _filled(text: str) -> str:
    for variable, longest in _LONGEST.items():
        text = text.replace(variable, longest)
    return text
