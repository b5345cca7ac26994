"""Which strings the service model's patterns admit.

The model's patterns are Java's: they match the whole value, know `\\p{...}` classes, and some hold
writing slips that Java or the service overlook. They are turned into Python's `re` once each.
"""

import re
import sys
import unicodedata
from functools import cache

_CLASS = re.compile(r"\\p\{(\w+)\}")
_ALNUM = "a-zA-Z0-9"
_MATCHES_ANY_TEXT = frozenset({r".*(?:[ \r\n\t].*)*", r"[\S\s]*", r"[\s\S]*", r"[\s\S]+"})
_SURROGATE_RANGES = re.compile(r"\\uD800\\uDC00-\\uDBFF\\uDFFF")
_ALL_PLANES = r"\\U00010000-\\U0010FFFF"


@cache
def _ranges(category: str, limit: int) -> str:
    """The code points below `limit` of a Unicode category, as the inside of a `[...]`."""
    spans: list[list[int]] = []
    for point in range(limit):
        if unicodedata.category(chr(point)).startswith(category):
            if spans and spans[-1][1] == point - 1:
                spans[-1][1] = point
            else:
                spans.append([point, point])
    return "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in spans)


@cache
def _compiled(pattern: str, limit: int) -> re.Pattern[str]:
    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        return _ALNUM if name == "Alnum" else _ranges(name, limit)

    text = _SURROGATE_RANGES.sub(_ALL_PLANES, pattern)
    # `(...)*${1,128}`: a length after the end anchor; the shape's own min and max say the same.
    text = re.sub(r"\$\{\d+,\d+\}$", "", text)
    return re.compile(_CLASS.sub(replace, text))


def matches(pattern: str, value: str) -> bool:
    """Whether the whole of `value` fits `pattern`, as the service reads it."""
    if pattern in _MATCHES_ANY_TEXT:
        return True
    # Unicode classes over ASCII alone are small; the full ones take a second to build.
    limit = 128 if value.isascii() else sys.maxunicode + 1
    return _compiled(pattern, limit).fullmatch(value) is not None
