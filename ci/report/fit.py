"""Decides what a reader loses first when a report is too long for its place.

Sizes count UTF-16 units: GitHub's limit of 65,536 is told in characters, and this is the largest
way of counting them.
"""

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^\n]*)\Z")
_SPAN = re.compile(r"(?<!`)(`+)(?!`).{0,2000}?(?<!`)\1(?!`)")
_TAG = re.compile(r"<(?!/?(?:details|summary|sub|sup|b|i|code|br|kbd|del|ins)\b[^<>\n]*>)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a report. `variants` go from whole to short, each complete Markdown. `weights` say
    for each of them how much a reader loses when the next is shown in its place, or after the last
    one nothing: what weighs least goes first."""

    title: str
    weights: tuple[int, ...]
    variants: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What stands around the sections of a comment whatever is left out."""

    head: str
    foot: str


def size(body: str) -> int:
    return len(body.encode("utf-16-le", "surrogatepass")) // 2


def make_section(title: str, *shown: tuple[int, str]) -> Section:
    """A section of `(weight, Markdown)`, from whole to short; what is no shorter is left out."""
    kept: list[tuple[int, str]] = []
    for weight, markdown in shown:
        if kept and len(markdown) >= len(kept[-1][1]):
            kept[-1] = (max(weight, kept[-1][0]), kept[-1][1])
        else:
            kept.append((weight, markdown))
    return Section(
        title=title,
        weights=tuple(weight for weight, _ in kept),
        variants=tuple(markdown for _, markdown in kept),
    )


def fit(frames: Sequence[Frame], sections: Sequence[Section], *, limit: int, elsewhere: str) -> str:
    """The first frame that leaves half of `limit` to the sections (else the last, which must fit),
    and as much of them as there is room for; what had to go is said before the foot."""
    frame = next((each for each in frames if 2 * _frame_size(each) <= limit), frames[-1])
    levels = _levels(sections, elsewhere, limit - _frame_size(frame))
    shown = [
        section.variants[level]
        for section, level in zip(sections, levels, strict=True)
        if level < len(section.variants)
    ]
    said = _said([s.title for s, level in zip(sections, levels, strict=True) if level], elsewhere)
    if _frame_size(frame) + _size_of([*shown, said]) > limit:
        said = ""
    return "\n\n".join(part for part in (frame.head, *shown, said, frame.foot) if part) + "\n"


def _levels(sections: Sequence[Section], elsewhere: str, room: int) -> list[int]:
    """Which variant of each section is shown; one beyond the last shows nothing.

    Shortened is what weighs least until all fits. Then what was shortened before something larger
    went is given back where there is room, the heaviest first.
    """
    sizes = [[*map(size, section.variants), -2] for section in sections]
    levels = [0] * len(sections)

    def fits() -> bool:
        titles = [s.title for s, level in zip(sections, levels, strict=True) if level]
        used = sum(sizes[index][level] + 2 for index, level in enumerate(levels))
        said = _said(titles, elsewhere)
        return used + (size(said) + 2 if said else 0) <= room

    while not fits():
        left = [index for index, level in enumerate(levels) if level < len(sections[index].weights)]
        if not left:
            return levels
        levels[min(left, key=lambda index: sections[index].weights[levels[index]])] += 1
    for index in sorted(range(len(sections)), key=lambda i: -max(sections[i].weights)):
        while levels[index]:
            levels[index] -= 1
            if not fits():
                levels[index] += 1
                break
    return levels


def _said(titles: Sequence[str], elsewhere: str) -> str:
    return f"_Shortened to fit: {', '.join(titles)}. {elsewhere}_" if titles else ""


def _frame_size(frame: Frame) -> int:
    return size(frame.head) + size(frame.foot) + 3


def _size_of(parts: Sequence[str]) -> int:
    return sum(size(part) + 2 for part in parts if part)


def table(
    header: Iterable[str], rows: Iterable[Iterable[str]], *, right: Container[int] = ()
) -> str:
    """A table; cells are Markdown already. `right` are the columns that hold numbers."""
    head = list(header)
    rule = ["--:" if column in right else "---" for column in range(len(head))]
    lines = [head, rule, *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def folded(summary: str, body: str) -> str:
    """`body` behind a line to click on. `summary` is HTML-safe text."""
    return f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def cut_markdown(markdown: str, limit: int) -> str:
    """The first whole lines of Markdown that fit, with every fence and fold closed that they open.

    Tags other than those that reports are made of are shown as text: an unclosed comment or
    `<pre>` would swallow all that follows.
    """
    lines: list[str] = []
    used, taken, fence, folds = 0, 0, "", 0
    source = markdown.split("\n")
    for line in source:
        shown = line if fence else _TAG.sub("&lt;", line)
        if not fence and fence_after("", shown) and lines and lines[-1].strip(" \t"):
            # A tag at the start of a line makes raw HTML of all up to the next blank line.
            lines.append("")
            used += 1
        used += size(shown) + 1
        if used > limit:
            break
        lines.append(shown)
        taken += 1
        fence = fence_after(fence, shown)
        if not fence:
            bare = _SPAN.sub("", shown)
            folds = max(0, folds + bare.count("<details") - bare.count("</details>"))
    missing = len(source) - taken
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
