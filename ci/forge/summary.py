"""What a GitHub job hands on by files: its summary page and its outputs."""

import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

# "Job summaries are limited to 1 MiB per step"; a larger one is refused whole.
SUMMARY_BYTES = 1024 * 1024
_SMALLEST = 30_000
# The most bytes that one UTF-16 unit takes in UTF-8.
_BYTES_PER_UNIT = 3
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


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


def write_outputs(
    file: Path,
    outputs: Mapping[str, str],
    *,
    delimiter: Callable[[], str] = lambda: secrets.token_hex(16),
) -> None:
    """Append step outputs. Each value stands between random lines that it cannot guess, so a
    value of many lines can neither end early nor set another output."""
    blocks = []
    for name, value in outputs.items():
        if not _NAME.match(name):
            raise ValueError(f"{name!r} is not a name of an output")
        mark = f"sagemaker-gitops-{delimiter()}"
        while mark in value:
            mark = f"sagemaker-gitops-{delimiter()}"
        blocks.append(f"{name}<<{mark}\n{value}\n{mark}\n")
    with file.open("a", encoding="utf-8", errors="replace", newline="\n") as stream:
        stream.write("".join(blocks))
