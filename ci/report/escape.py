"""Makes foreign text inert: what a name, a reason or a log line says is shown, never obeyed.

Three places, three rules:

* `text` for running Markdown. Punctuation that Markdown, HTML or a table could read becomes a
  numeric entity. GitHub finds mentions, issue references, links and emoji after entities are
  resolved, so those are also broken by a zero-width space.
* `code` for values. A code span where the text is harmless, so that it can be copied; else the
  rule of `text` inside `<code>`, because a code span can hold neither a pipe in a table nor a
  backtick that is longer than its fence.
* `fence` for blocks. Nothing is read inside a fence that is longer than any run of its character.

In all of them what cannot be seen is taken out first (`ci.text.clean`).
"""

import html
import re

from ci.text.clean import clean, cut

_ZERO_WIDTH_SPACE = "\u200b"
_PLAIN = re.compile(r"[A-Za-z0-9_./:=+,%()\[\]{}<>;!?'\"*#@&$^~ -]+\Z")
_SPECIAL = re.compile(r"[\\`*_\[\]<>#|~&$@]")
# A list, a rule or an underline that makes a heading of the line above, at the start of a line.
_LEADING = re.compile(r"[-+=]|\d+[.)](?=\s|\Z)")
_REFERENCE = re.compile(
    r"@(?=\w)|#(?=\d)|(?<=\bGH)-(?=\d)|(?<=\bgh)-(?=\d)|:(?=[\w+-]+:)|:(?=//)|www(?=\.)",
    re.IGNORECASE,
)
# Seven hex digits may name a commit; a number is left readable.
_COMMIT = re.compile(r"\b(?=[0-9]*[a-f])[0-9a-f]{7,64}\b", re.IGNORECASE)
_COMMIT_PART = re.compile(r"[0-9a-f]{6}(?=.)", re.IGNORECASE)


def text(value: str, *, limit: int = 500) -> str:
    """Inert Markdown on one line, for anywhere in a paragraph, a list item or a table cell."""
    return _entities(_break_references(cut(clean(value), limit)))


def code(value: str, *, limit: int = 200) -> str:
    """`value` as code on one line, for anywhere in a paragraph or a table cell."""
    shown = cut(clean(value), limit)
    if not shown:
        return "_empty_"
    if _PLAIN.match(shown):
        return f"`{shown}`"
    return f"<code>{_entities(_break_references(shown))}</code>"


def fence(value: str, *, info: str = "", line_limit: int = 1_000) -> str:
    """A fenced block that ends where it should. Ends without a newline."""
    lines = [cut(line, line_limit) for line in clean(value, lines=True).split("\n")]
    longest = max((len(run) for line in lines for run in re.findall(r"`+", line)), default=0)
    marks = "`" * max(3, longest + 1)
    return "\n".join([f"{marks}{info}", *lines, marks])


def link(label: str, url: str, *, limit: int = 200) -> str:
    """A Markdown link, or the label alone where `url` is not a plain web address."""
    if not re.fullmatch(r"https?://[!-~]+", url) or len(url) > 500:
        return text(label, limit=limit)
    target = re.sub(r"[\\`*_<>()\[\]{}|\"']", lambda m: f"%{ord(m[0]):02X}", url)
    return f"[{text(label, limit=limit)}]({target})"


def html_text(value: str, *, limit: int = 100_000, lines: bool = False) -> str:
    """Text for an HTML element or a double-quoted attribute."""
    return html.escape(cut(clean(value, lines=lines), limit), quote=True)


def mermaid_label(value: str) -> str:
    """Text for a quoted Mermaid label; all but letters, digits, space, `.` and `-` as entities."""
    shown = cut(clean(value), 60)
    return "".join(char if char.isalnum() or char in " .-…" else f"#{ord(char)};" for char in shown)


def _break_references(value: str) -> str:
    value = _COMMIT.sub(lambda found: _COMMIT_PART.sub(_broken, found[0]), value)
    return _REFERENCE.sub(_broken, value)


def _broken(found: re.Match[str]) -> str:
    return f"{found[0]}{_ZERO_WIDTH_SPACE}"


def _entities(value: str) -> str:
    value = _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", value)
    leading = _LEADING.match(value)
    if leading:
        mark = leading.end() - 1
        value = f"{value[:mark]}&#{ord(value[mark])};{value[mark + 1 :]}"
    return value
