"""Which removed and added steps are one step that was renamed and changed.

A step is told by its type, its arguments and its place in the graph. Each value at its path is one
piece of evidence, and so is each step that reads the step's results. What other steps of the
pipeline have as well (the role, an instance type) tells little: such a piece weighs as many times
less as steps share it. Two steps are one when they agree in at least `THRESHOLD` of the weight,
and when no other pairing of either comes within `MARGIN`. What is left is removed and added.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from ci.plan.model import Item, PathPart
from ci.plan.normal import FlatStep
from ci.plan.tree import naming_field

THRESHOLD = 0.6
MARGIN = 0.1
_MOST_PAIRS = 900  # of one type that are weighed; so many steps at once are another pipeline

Graph = Mapping[str, frozenset[str]]
"""For each step, by name, the steps that it needs."""

_Path = tuple[PathPart, ...]
_Evidence = Mapping[_Path, str]


def find_similar(
    removed: Mapping[str, FlatStep],
    added: Mapping[str, FlatStep],
    kept: Mapping[str, FlatStep],
    *,
    before: Graph,
    after: Graph,
) -> dict[str, str]:
    """Old name to new name. Documents and graphs read alike on both sides: steps without a
    counterpart under one mark. `kept` are the steps that have theirs."""
    old = {name: _evidence(step, _readers(name, before, kept)) for name, step in removed.items()}
    new = {name: _evidence(step, _readers(name, after, kept)) for name, step in added.items()}
    shared = Counter(piece for step in kept.values() for piece in _evidence(step, ()).items())
    scores = {
        (one, other): _likeness(old[one], new[other], shared)
        for one, other in _pairs(removed, added)
    }
    rows: dict[str, list[float]] = {}
    columns: dict[str, list[float]] = {}
    for (one, other), score in scores.items():
        rows.setdefault(one, []).append(score)
        columns.setdefault(other, []).append(score)
    return {
        one: other
        for (one, other), score in scores.items()
        if _stands_out(score, rows[one]) and _stands_out(score, columns[other])
    }


def _pairs(
    removed: Mapping[str, FlatStep], added: Mapping[str, FlatStep]
) -> Iterator[tuple[str, str]]:
    for kind in {step.step.type for step in removed.values()}:
        ones = [name for name, step in removed.items() if step.step.type == kind]
        others = [name for name, step in added.items() if step.step.type == kind]
        if len(ones) * len(others) <= _MOST_PAIRS:
            yield from ((one, other) for one in ones for other in others)


def _readers(name: str, graph: Graph, kept: Mapping[str, FlatStep]) -> tuple[str, ...]:
    return tuple(reader for reader in kept if name in graph.get(reader, ()))


def _evidence(step: FlatStep, readers: tuple[str, ...]) -> dict[_Path, str]:
    found = {path: value for path, value in _leaves(step.document, ()) if path != ("Type",)}
    return found | {("read by", reader): "" for reader in readers}


def _leaves(value: object, path: _Path) -> Iterator[tuple[_Path, str]]:
    if isinstance(value, Mapping) and value:
        for key, member in value.items():
            yield from _leaves(member, (*path, key))
    elif isinstance(value, list) and value:
        field = naming_field(value)
        for index, item in enumerate(value):
            part: PathPart = index if field is None else Item(field, item[field])
            yield from _leaves(item, (*path, part))
    else:
        yield path, repr(value)


def _likeness(old: _Evidence, new: _Evidence, shared: Mapping[tuple[_Path, str], int]) -> float:
    """0.0 to 1.0: the weight in which both agree, of all the weight there is."""
    same = old.items() & new.items()
    agreed = sum(1 / (1 + shared[piece]) for piece in same)
    apart = len({path for path, _ in old.items() ^ new.items()})
    return agreed / (agreed + apart) if agreed else 0.0


def _stands_out(score: float, rivals: list[float]) -> bool:
    """Among `rivals`, itself being one of them."""
    return score >= THRESHOLD and sum(rival > score - MARGIN for rival in rivals) == 1
