"""The same permissions in fewer characters: each ARN once, with all that is allowed on it. Pure.

An action is about resources of the types it has (Service Authorization Reference), whatever else
the pattern beside it would match. So one pattern serves all types whose names begin alike:
`…:*/abalone-pr-*` says to `StopPipelineExecution` what `…:pipeline/abalone-pr-*/execution/*` does.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ci.bootstrap.model import Condition, Statement
from ci.bootstrap.resources import covers

# A name with an open end ends the ARN: what follows it belongs to what is called so.
_OPEN = re.compile(r"(arn:.+:sagemaker:.+:)[a-z-]+/([^/*:]+\*)(?:/.*)?")
# A group's ARN with something behind it is that of its streams as well.
_STREAM = re.compile(r"(arn:.+:log-group:.+):log-stream:\*")
_VERB = re.compile(r"[A-Z][a-z]+")
_Terms = tuple[Condition, str | None]


def compact(statements: Sequence[Statement]) -> tuple[Statement, ...]:
    """Statements that allow what these do. Each pattern of a resource is in one of them; those
    under a condition are joined with their like alone."""
    terms = dict.fromkeys((each.condition, each.when) for each in statements)
    made = [each for term in terms for each in _under(term, statements)]
    return tuple(_named(made))


def _under(terms: _Terms, statements: Sequence[Statement]) -> Iterator[tuple[Statement, set[str]]]:
    """The statements under these terms by their actions, with the names that these came from."""
    allowed: dict[str, dict[str, str]] = {}
    for each in statements:
        if (each.condition, each.when) == terms:
            for arn in each.resources:
                held = allowed.setdefault(_shorter(arn), {})
                held |= dict.fromkeys(each.actions, each.sid)
    groups: dict[frozenset[str], dict[str, set[str]]] = {}
    for arn, actions in allowed.items():
        wider = _wider(arn, allowed)
        left = {action: sid for action, sid in actions.items() if action not in wider}
        if left:
            groups.setdefault(frozenset(left), {})[arn] = set(left.values())
    condition, when = terms
    for group, arns in groups.items():
        yield (
            Statement(
                sid="",
                actions=tuple(sorted(group)),
                resources=tuple(arns),
                condition=condition,
                when=when,
            ),
            set[str]().union(*arns.values()),
        )


def _shorter(arn: str) -> str:
    if found := _OPEN.fullmatch(arn):
        return f"{found[1]}*/{found[2]}"
    if found := _STREAM.fullmatch(arn):
        return f"{found[1]}:*"
    return arn


def _wider(arn: str, allowed: Mapping[str, Mapping[str, str]]) -> set[str]:
    """What is allowed on patterns that match all that this one does."""
    return {
        action
        for other, actions in allowed.items()
        if "*" in other and other != arn and covers(other, arn)
        for action in actions
    }


def _named(made: Iterable[tuple[Statement, set[str]]]) -> Iterator[Statement]:
    """Each under its one name, or under that of the service it is about."""
    taken: dict[str, int] = {}
    for statement, sids in made:
        sid = _name(statement, sids)
        taken[sid] = taken.get(sid, 0) + 1
        yield replace(statement, sid=sid if taken[sid] == 1 else f"{sid}{taken[sid]}")


def _name(statement: Statement, sids: set[str]) -> str:
    if len(sids) == 1:
        return next(iter(sids))
    verb = next((each for each in ("Write", "Order") if _begins(each, sids)), "Read")
    nouns = {_VERB.sub("", each, count=1) for each in sids}
    noun = nouns.pop() if len(nouns) == 1 else ""
    return verb + (noun or statement.actions[0].partition(":")[0].title())


def _begins(verb: str, sids: Iterable[str]) -> bool:
    return any(each.startswith(verb) for each in sids)
