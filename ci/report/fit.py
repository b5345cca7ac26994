"""Decides what a reader loses first when a report is too long for its place.

Sizes count UTF-16 units: GitHub's limit of 65,536 is told in characters, and this is the largest
way of counting them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^\n]*)\Z")
_TAG = re.compile(
    r"<(?!/?(?:details|summary|sub|sup|b|i|code|br|kbd|del|ins)\b[^<>\n]*>)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a report. `variants` go from whole to short, each complete Markdown; after the
    last one the section is left out. The least `weight` is shortened first."""

    title: str
    weight: int
    variants: tuple[str, ...]


def size(body: str) -> int:
    return len(body.encode("utf-16-le", "surrogatepass")) // 2


def fit(head: str, sections: Sequence[Section], foot: str, *, limit: int, elsewhere: str) -> str:
    """Head, sections and foot in this order, below `limit`; what had to go is said before the
    foot. Head and foot alone must fit."""
    levels = [0] * len(sections)
    by_weight = sorted(range(len(sections)), key=lambda index: sections[index].weight)
    while True:
        body = _assemble(head, sections, levels, foot, elsewhere)
        if size(body) <= limit:
            return body
        shrinkable = [i for i in by_weight if levels[i] < len(sections[i].variants)]
        if not shrinkable:
            return body
        levels[shrinkable[0]] += 1


def _assemble(
    head: str, sections: Sequence[Section], levels: Sequence[int], foot: str, elsewhere: str
) -> str:
    parts = [head]
    for section, level in zip(sections, levels, strict=True):
        if level < len(section.variants):
            parts.append(section.variants[level])
    shortened = [s.title for s, level in zip(sections, levels, strict=True) if level]
    if shortened:
        parts.append(f"_Shortened to fit: {', '.join(shortened)}. {elsewhere}_")
    parts.append(foot)
    return "\n\n".join(part for part in parts if part) + "\n"


def folded(summary: str, body: str) -> str:
    """`body` behind a line to click on. `summary` is HTML-safe text."""
    return f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def cut_markdown(markdown: str, limit: int) -> str:
    """The first whole lines of Markdown that fit, with every fence and fold closed that they open.

    Tags other than those that reports are made of are shown as text: an unclosed comment or
    `<pre>` would swallow all that follows.
    """
    lines: list[str] = []
    used, fence, folds = 0, "", 0
    source = markdown.split("\n")
    for line in source:
        shown = line if fence else _TAG.sub("&lt;", line)
        used += size(shown) + 1
        if used > limit:
            break
        lines.append(shown)
        fence = fence_after(fence, shown)
        if not fence:
            folds = max(0, folds + shown.count("<details") - shown.count("</details>"))
    missing = len(source) - len(lines)
    if fence:
        lines.append(fence)
    lines += ["", "</details>"] * folds
    if missing:
        lines += ["", f"_{missing} more {'line' if missing == 1 else 'lines'}_"]
    return "\n".join(lines)


def fence_after(fence: str, line: str) -> str:
    """The fence that is open after `line`, or nothing."""
    found = _FENCE.match(line.rstrip())
    if found is None:
        return fence
    marks, info = found.groups()
    if not fence:
        return "" if marks[0] == "`" and "`" in info else marks
    closes = marks[0] == fence[0] and len(marks) >= len(fence) and not info.strip()
    return "" if closes else fence


def last_lines(text: str, count: int) -> str:
    """The last `count` lines, and how many are not shown."""
    lines = text.rstrip("\n").split("\n")
    if len(lines) <= count:
        return "\n".join(lines)
    return "\n".join([f"… {len(lines) - count} lines before", *lines[-count:]])
