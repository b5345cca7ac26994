"""What GitHub would make of a comment: its tokens, and the texts in which it looks for mentions."""

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

# What GitHub turns into links or pictures in rendered text, code apart.
ACTIVE = re.compile(
    r"@\w|(?<!&)#\d|\bGH-\d|https?://|\bwww\.|:[\w+-]+:|\b(?=\d*[a-f])[0-9a-f]{7,40}\b",
    re.IGNORECASE,
)


def parse(markdown: str) -> list[Token]:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return parser.parse(markdown)


def flat(markdown: str) -> Iterator[Token]:
    """Block and inline tokens in order."""
    for token in parse(markdown):
        yield token
        yield from token.children or ()


def plain_text(markdown: str) -> str:
    """Running text as rendered, code spans and blocks left out."""
    shown = {"text", "text_special", "entity"}
    return "\n".join(
        "".join(child.content for child in token.children or () if child.type in shown)
        for token in parse(markdown)
        if token.type == "inline"
    )


def html_of(markdown: str) -> list[str]:
    """Every piece of raw HTML that the parser lets through."""
    return [
        token.content for token in flat(markdown) if token.type in {"html_inline", "html_block"}
    ]


def fences_are_balanced(markdown: str) -> bool:
    """Whether every fence that opens is closed by a line of its own before the text ends."""
    opened: tuple[str, int] | None = None
    for line in markdown.split("\n"):
        found = re.match(r" {0,3}(`{3,}|~{3,})(.*)\Z", line)
        if found is None:
            continue
        marks, rest = found[1], found[2]
        if opened is None:
            if not (marks[0] == "`" and "`" in rest):
                opened = (marks[0], len(marks))
        elif marks[0] == opened[0] and len(marks) >= opened[1] and not rest.strip():
            opened = None
    return opened is None
