"""Decides how a line goes on where a terminal is too narrow for it."""

import textwrap


def wrap_line(line: str, width: int | None, *, hang: int) -> list[str]:
    """`line` in lines of at most `width` columns (None: as it is), those after the first `hang`
    columns deep. Words stay whole: an ARN can be copied, and stands out where it has to."""
    if width is None or len(line) <= width:
        return [line]
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=" " * hang,
        break_long_words=False,
        break_on_hyphens=False,
    )
