"""The comment for forges that do not read GitHub's Markdown: the same words, inert there too.

A report is written once, for GitHub. `without_html` is for forges that show HTML as text
(Bitbucket Cloud escapes it, CodeCommit does not say): folds become headings, entities become
characters behind a backslash, pictures of the graph are left out. `without_quick_actions` is for
GitLab, which reads HTML, but obeys lines that begin with a slash.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ci.report.fit import fence_after
from ci.report.marker import parse_marker, render_link_marker

_BREAK = "\u200b"
_SUMMARY = re.compile(r"\s*<summary>(.*)</summary>\s*")
_ALERT = re.compile(r"\s*>\s*\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]\s*")
_DROPPED = re.compile(
    r"<!--(?:(?!<!--).)*?-->|</?(?:details|summary|sub|sup|b|i|code|kbd|del|ins)\b[^<>]*>",
    re.IGNORECASE,
)
_LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#([0-9]{1,7})|(lt|gt|amp|quot|nbsp));")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "nbsp": "\u00a0"}
# What both CommonMark and Python-Markdown (Bitbucket's) take a backslash before.
_ESCAPED = frozenset("\\`*_{}[]()>#+-.!|")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
# Bitbucket's mentions are `@name` and `@{account}`.
_MENTION = re.compile(r"@(?=[\w{])")
_COMMAND = re.compile(r"(?m)^([ \t>]*)/(?=[A-Za-z_]+(?:[ \t\r]|$))")
# Merge requests and epics: GitLab writes a note at the other end. Targets of links are left.
_GITLAB_REFERENCE = re.compile(r"(\]\([^()\s]*\))|(!|&#33;|&#38;|&amp;|&)(?=[0-9])")
# Other comments of this program are known by a name alone.
_NAME = re.compile(r"\A\s*<!-- (sagemaker-gitops[a-z-]*) -->[ \t]*(?:\r?\n|\Z)")
# What reports have in code spans holds no backtick.
_CODE = re.compile(r"(`[^`]+`)")


def without_quick_actions(body: str) -> str:
    """The comment for GitLab. A line `/close` is a command to it wherever the text comes from;
    older versions lose track of fences, so that lines inside of them count as well."""
    lines, fence = [], ""
    for line in body.split("\n"):
        after = fence_after(fence, line)
        lines.append(line if fence or after else _GITLAB_REFERENCE.sub(_broken, line))
        fence = after
    return _COMMAND.sub(rf"\1{_BREAK}/", "\n".join(lines))


def without_html(body: str) -> str:
    """The comment in Markdown alone, its marker as the definition of a link."""
    marker, named = parse_marker(body), _NAME.match(body)
    head = ""
    if marker is not None or named is not None:
        _, _, body = body.lstrip().partition("\n")
        head = render_link_marker(marker) if marker else f"[{named[1]}]: #" if named else ""
        head += "\n\n"
    plain = _Plain()
    for line in body.split("\n"):
        plain.add(line)
    return head + plain.text()


def _broken(found: re.Match[str]) -> str:
    return found[1] or f"{found[2]}{_BREAK}"


@dataclass(slots=True)
class _Plain:
    """The lines so far. A blank line between blocks is one; inside of a fence all of them stay."""

    _blocks: list[str] = field(default_factory=list)
    _fence: str = ""
    _dropping: bool = False
    _heading: int | None = None

    def add(self, line: str) -> None:
        before, self._fence = self._fence, fence_after(self._fence, line)
        if not before and not self._fence:
            self._outside(line)
            return
        if not before:
            self._dropping = line.strip().strip("`~").strip() == "mermaid"
            if self._dropping and self._heading is not None:
                del self._blocks[self._heading :]
        if not self._dropping:
            self._blocks.append(_MENTION.sub(f"@{_BREAK}", line))
        self._dropping = self._dropping and bool(self._fence)
        self._heading = None

    def _outside(self, line: str) -> None:
        summary = _SUMMARY.fullmatch(line)
        for shown in _lines(line):
            if shown or (self._blocks and self._blocks[-1]):
                self._blocks.append(shown)
        if summary:
            self._heading = len(self._blocks) - 2
        elif line.strip() and not line.startswith("<details"):
            self._heading = None

    def text(self) -> str:
        return "\n".join(self._blocks).strip("\n") + "\n"


def _lines(line: str) -> Iterator[str]:
    """A line outside of fences, as one or more."""
    summary = _SUMMARY.fullmatch(line)
    alert = _ALERT.fullmatch(line)
    if summary:
        yield f"**{_inline(summary[1])}**"
        yield ""
    elif alert:
        yield f"> **{alert[1].capitalize()}**"
        yield ">"
    elif line.lstrip().startswith("|"):
        yield _inline(_LINE_BREAK.sub(" · ", line))
    else:
        parts = _LINE_BREAK.split(line)
        for part in parts[:-1]:
            yield _inline(part)
            yield ""
        yield _inline(parts[-1])


def _inline(line: str) -> str:
    parts = _CODE.split(line)
    for index in range(0, len(parts), 2):
        shown = _ENTITY.sub(_character, _DROPPED.sub("", parts[index]))
        parts[index] = _TAG.sub(f"<{_BREAK}", shown)
    return _MENTION.sub(f"@{_BREAK}", "".join(parts)).rstrip()


def _character(found: re.Match[str]) -> str:
    """What an entity stands for, so that it is shown and not read."""
    number = int(found[1]) if found[1] else 0
    char = _NAMED[found[2]] if found[2] else chr(number) if 31 < number < 0xD800 else "\ufffd"
    if char in _ESCAPED:
        return f"\\{char}"
    return f"{char}{_BREAK}" if char in "<&~=@" else char
