"""The summary page of a GitHub job."""

from collections.abc import Callable
from pathlib import Path

# "Job summaries are limited to 1 MiB per step"; a larger one is refused whole.
SUMMARY_BYTES = 1024 * 1024
_SMALLEST = 30_000
# The most bytes that one UTF-16 unit takes in UTF-8.
_BYTES_PER_UNIT = 3


def write_summary(file: Path, render: Callable[[int], str]) -> bool:
    """Append the report to the step's summary, as large as there is room for; False where there
    is none. `render` makes it within a limit of UTF-16 units. OSError where it cannot be written.
    """
    used = file.stat().st_size if file.exists() else 0
    room = (SUMMARY_BYTES - used - 2) // _BYTES_PER_UNIT
    if room < _SMALLEST:
        return False
    with file.open("a", encoding="utf-8") as stream:
        stream.write(f"{render(room)}\n")
    return True
