"""Which removed and added steps are one step under a new name.

Two steps are one when their content is equal after every reference to a renamed step is read with
its new name, and when no other pair fits as well. Of the others, those are one that are alike
beyond doubt (`ci.plan.similar`): they were renamed and changed.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ci.definition.graph import dependencies
from ci.definition.model import Definition
from ci.plan.normal import BRANCH, FlatStep
from ci.plan.similar import find_similar

_MARK = "\x00"


def find_renames(
    earlier: Mapping[str, FlatStep],
    flat: Mapping[str, FlatStep],
    *,
    before: Definition,
    after: Definition,
) -> dict[str, str]:
    """Old name to new name, of the steps of two definitions."""
    removed = {name: step for name, step in earlier.items() if name not in flat}
    added = {name: step for name, step in flat.items() if name not in earlier}
    exact = _find_equal(removed, added)
    for old, new in exact.items():
        del removed[old], added[new]
    if not removed or not added:
        return exact
    graph = {
        exact.get(name, name): frozenset(exact.get(each, each) for each in needed)
        for name, needed in dependencies(before).items()
    }
    similar = find_similar(
        _masked(removed, exact),
        _masked(added, {}),
        {name: step for name, step in flat.items() if name not in added},
        before=graph,
        after=dependencies(after),
    )
    return exact | similar


def _masked(steps: Mapping[str, FlatStep], renames: Mapping[str, str]) -> dict[str, FlatStep]:
    """Steps in which each name of their own set reads the same, so that both sides read alike."""
    names = {**renames, **dict.fromkeys(steps, _MARK)}
    return {
        name: replace(step, document=with_names(step.document, names, own=name))
        for name, step in steps.items()
    }


def _find_equal(removed: Mapping[str, FlatStep], added: Mapping[str, FlatStep]) -> dict[str, str]:
    if not removed or not added:
        return {}
    pairs = _candidates(removed, added)
    while pairs:
        wrong = [
            old
            for old, new in pairs.items()
            if with_names(removed[old].document, pairs, own=old) != added[new].document
        ]
        if not wrong:
            return pairs
        pairs = {old: new for old, new in pairs.items() if old not in wrong}
    return {}


def with_names(
    document: Mapping[str, object], renames: Mapping[str, str], *, own: str | None = None
) -> Mapping[str, object]:
    """A step's document with references to renamed steps under their new names.

    A step's own name (`own`) is replaced in every text: default output paths contain it.
    """
    if not renames:
        return document
    names = _Names(renames, own)
    result: dict[str, Any] = {}
    for key, value in document.items():
        if key == "DependsOn" and isinstance(value, list):
            result[key] = sorted((names.dependency(item) for item in value), key=repr)
        elif key == BRANCH and isinstance(value, str):
            holder, _, label = value.rpartition(" / ")
            result[key] = f"{renames.get(holder, holder)} / {label}"
        else:
            result[key] = names.replace(value)
    return result


def _candidates(removed: Mapping[str, FlatStep], added: Mapping[str, FlatStep]) -> dict[str, str]:
    """Pairs that are equal when every name of a removed or added step reads the same."""
    before = _by_content(removed)
    after = _by_content(added)
    return {
        names[0]: after[content][0]
        for content, names in before.items()
        if len(names) == 1 and len(after.get(content, ())) == 1
    }


def _by_content(steps: Mapping[str, FlatStep]) -> dict[str, list[str]]:
    result: dict[str, list[str]] = {}
    for name, flat in _masked(steps, {}).items():
        result.setdefault(repr(_sorted(flat.document)), []).append(name)
    return result


def _sorted(value: object) -> object:
    if isinstance(value, Mapping):
        return [(key, _sorted(value[key])) for key in sorted(value)]
    return [_sorted(item) for item in value] if isinstance(value, list) else value


class _Names:
    def __init__(self, renames: Mapping[str, str], own: str | None) -> None:
        self._renames = renames
        self._own = own
        longest_first = sorted(renames, key=len, reverse=True)
        options = "|".join(re.escape(name) for name in longest_first)
        self._reference = re.compile(rf"^(Steps|IterationOutput)\.({options})(?=[.\[]|$)")
        self._itself = (
            None
            if own is None
            else re.compile(rf"(?<![A-Za-z0-9_-]){re.escape(own)}(?![A-Za-z0-9_-])")
        )

    def dependency(self, item: object) -> object:
        if isinstance(item, str):
            return self._renames.get(item, item)
        if isinstance(item, Mapping) and isinstance(name := item.get("Step"), str):
            return {**item, "Step": self._renames.get(name, name)}
        return item

    def replace(self, value: object) -> object:
        if isinstance(value, str):
            if self._itself is None or self._own is None:
                return value
            new = self._renames.get(self._own, self._own)
            return self._itself.sub(lambda _: new, value)
        if isinstance(value, list):
            return [self.replace(item) for item in value]
        if isinstance(value, Mapping):
            if len(value) == 1 and isinstance(text := value.get("Get"), str):
                return {"Get": self._reference.sub(self._renamed, text)}
            return {key: self.replace(item) for key, item in value.items()}
        return value

    def _renamed(self, match: re.Match[str]) -> str:
        return f"{match[1]}.{self._renames[match[2]]}"
