"""Decides what foreign text may not hold where people or a CI runner read it.

Control characters, terminal escapes, direction overrides and lone surrogates can hide or reorder
what a reader sees. A line that begins with `::`, or holds `##[`, is a command to GitHub's runner
(actions/runner, ActionCommand) and to others that took its form.
"""

import re

TERMINAL_ESCAPE = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])"
_TERMINAL_ESCAPE = re.compile(TERMINAL_ESCAPE)
_LINE_END = re.compile(r"\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
INVISIBLE = (
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
_COLOUR = r"\x1b\[[0-9;]*m"
# Also with colours in between: whoever shows a log may take them out before a runner reads it.
_RUNNER_COMMAND = re.compile(
    rf"(?<![^\r\n])(?:{_COLOUR}|[^\S\r\n])*:(?=(?:{_COLOUR})*:)"
    rf"|#(?:{_COLOUR})*#(?=(?:{_COLOUR})*\[)"
)
_ZERO_WIDTH_SPACE = "\u200b"
_REPLACEMENT = "\ufffd"
_LINE = 500


def clean(value: str, *, lines: bool = False) -> str:
    """`value` without what cannot be seen or acts on a terminal; one line unless `lines`."""
    value = _LINE_END.sub("\n", _TERMINAL_ESCAPE.sub("", value))
    value = _CONTROL.sub(_REPLACEMENT, value.replace("\t", "    "))
    if not value.isascii():
        # Compiled when first needed, by `re`'s cache: ranges so far up cost 10 ms of every start.
        value = re.sub(INVISIBLE, "", value)
    return value if lines else " ".join(value.split())


def cut(value: str, limit: int) -> str:
    """At most `limit` characters, an ellipsis last where some are missing."""
    return value if len(value) <= limit else value[: max(0, limit - 1)] + "…"


def inert_output(text: str) -> str:
    """`text` with nothing in it that a CI runner takes for a command."""
    return _RUNNER_COMMAND.sub(lambda found: f"{found[0]}{_ZERO_WIDTH_SPACE}", text)


def output_line(value: str, *, limit: int | None = _LINE) -> str:
    """One line of output for a terminal or a CI log; a log line keeps its indentation."""
    shown = clean(value, lines=True).replace("\n", " ")
    return inert_output(shown if limit is None else cut(shown, limit))
