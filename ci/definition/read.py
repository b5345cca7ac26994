"""What counts as JSON here: RFC 8259 without the liberties Python takes.

Python's reader keeps the last of two equal keys and takes `NaN` and `1e999`. A definition that
two readers understand differently is refused instead.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from ci.errors import DefinitionError

_DEEPEST = 100
_LONGEST_INTEGER = 40
_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class _Refused:
    """Stands where the text holds something that is no JSON, until its path is known."""

    what: str


_Refuse = Callable[[str], _Refused]


def read_json(data: bytes | str, *, where: str = "definition") -> object:
    """The value of a JSON text. DefinitionError names the line and column, or the JSON path."""
    text = _decode(data, where)
    refused: list[_Refused] = []

    def refuse(what: str) -> _Refused:
        refused.append(_Refused(what))
        return refused[-1]

    try:
        value = json.loads(
            text,
            object_pairs_hook=lambda pairs: _object(pairs, refuse),
            parse_constant=lambda name: refuse(f"{name} is no JSON number."),
            parse_float=lambda digits: _float(digits, refuse),
            parse_int=lambda digits: _int(digits, refuse),
        )
    except json.JSONDecodeError as error:
        raise DefinitionError(
            f"The definition is not JSON: {error.msg}.",
            where=f"{where}:{error.lineno}:{error.colno}",
        ) from None
    except RecursionError:
        raise _too_deep(where) from None
    _check_depth(value, where)
    if refused or _HALF_PAIR.search(text) or isinstance(data, str):
        _check_content(value, where, "$")
    return value


def _decode(data: bytes | str, where: str) -> str:
    if isinstance(data, str):
        return data.removeprefix("\ufeff")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DefinitionError(
            f"The definition is not UTF-8 text (byte {error.start}).", where=where
        ) from None


def _object(pairs: list[tuple[str, object]], refuse: _Refuse) -> object:
    result = dict(pairs)
    if len(result) == len(pairs):
        return result
    twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
    return refuse(f"The key {twice[:80]!r} stands twice in one object.")


def _float(digits: str, refuse: _Refuse) -> object:
    value = float(digits)
    return refuse(f"The number {digits[:40]} is too large.") if math.isinf(value) else value


def _int(digits: str, refuse: _Refuse) -> object:
    if len(digits) > _LONGEST_INTEGER:
        return refuse(f"The number {digits[:20]}... has {len(digits)} digits.")
    return int(digits)


def _check_depth(value: object, where: str) -> None:
    """Bound the nesting, so that whatever walks the document may recurse."""
    level: list[object] = [value]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise _too_deep(where)


def _children(node: object) -> list[object]:
    if isinstance(node, dict):
        return [v for v in node.values() if isinstance(v, (dict, list))]
    if isinstance(node, list):
        return [v for v in node if isinstance(v, (dict, list))]
    return []


def _check_content(value: object, where: str, path: str) -> None:
    match value:
        case _Refused():
            raise DefinitionError(value.what, where=f"{where}: {path}")
        case str():
            if not _is_text(value):
                raise DefinitionError(
                    "A text holds half of a surrogate pair, which no UTF-8 can carry.",
                    where=f"{where}: {path}",
                )
        case dict():
            for key, child in value.items():
                _check_content(key, where, path)
                _check_content(child, where, child_path(path, key))
        case list():
            for index, child in enumerate(value):
                _check_content(child, where, child_path(path, index))
        case _:
            pass


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def child_path(path: str, key: str | int) -> str:
    """The JSON path of a child: `$.Steps[2]`, `$.Environment['A B']`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if key.isidentifier() else f"{path}[{key!r}]"


def _too_deep(where: str) -> DefinitionError:
    return DefinitionError(f"The definition nests deeper than {_DEEPEST} levels.", where=where)
