"""Decides what a reader sees of a text, character by character.

A log that colours a name (`\\x1b[36mpassword\\x1b[0m=…`), and Markdown that breaks a reference or
writes a sign as an entity, show a reader what a search of the raw text does not find.
"""

import re
from dataclasses import dataclass
from functools import cache

from ci.text.clean import INVISIBLE, TERMINAL_ESCAPE


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """`text` as it is seen of `raw`; its character `n` is `raw[starts[n]:ends[n]]`. Both are None
    where the two texts are the same."""

    raw: str
    text: str
    starts: tuple[int, ...] | None = None
    ends: tuple[int, ...] | None = None

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Where in `raw` a stretch of `text` stands that is not empty."""
        if self.starts is None or self.ends is None:
            return start, end
        return self.starts[start], self.ends[end - 1]


@cache
def _unseen() -> re.Pattern[str]:
    return re.compile(rf"(?:{TERMINAL_ESCAPE}|{INVISIBLE})|&#(\d{{1,7}});")


def as_seen(raw: str) -> Seen:
    if raw.isascii() and "\x1b" not in raw and "&#" not in raw:
        return Seen(raw=raw, text=raw)
    found = list(_unseen().finditer(raw))
    if not found:
        return Seen(raw=raw, text=raw)
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    at = 0
    for each in found:
        pieces.append(raw[at : each.start()])
        starts += range(at, each.start())
        ends += range(at + 1, each.start() + 1)
        at = each.end()
        if each[1] and 31 < int(each[1]) < 0xD800:
            pieces.append(chr(int(each[1])))
            starts.append(each.start())
            ends.append(each.end())
    pieces.append(raw[at:])
    starts += range(at, len(raw))
    ends += range(at + 1, len(raw) + 1)
    return Seen(raw=raw, text="".join(pieces), starts=tuple(starts), ends=tuple(ends))


def unseen_of(raw: str) -> tuple[str, ...]:
    """What is not seen of a text: colours, and what breaks words in two."""
    return tuple(each[0] for each in _unseen().finditer(raw) if each[1] is None)
