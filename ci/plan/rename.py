"""Which removed and added steps are one step under a new name.

Two steps are one when their content is equal after every reference to a renamed step is read with
its new name, and when no other pair fits as well.
"""

import re
from collections.abc import Mapping
from typing import Any

from ci.plan.normal import BRANCH, FlatStep

_MARK = "\x00"


def find_renames(removed: Mapping[str, FlatStep], added: Mapping[str, FlatStep]) -> dict[str, str]:
    """Old name to new name."""
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
    """Names by content. Only the steps' own set is masked, so that both sides read alike."""
    masks = dict.fromkeys(steps, _MARK)
    result: dict[str, list[str]] = {}
    for name, flat in steps.items():
        masked = with_names(flat.document, masks, own=name)
        result.setdefault(repr(_sorted(masked)), []).append(name)
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
