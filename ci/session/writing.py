"""Decides how a file that a user named is written: whole or not at all.

A kill in the middle leaves what was there before, and a reader never meets half a file.
"""

import os
import shutil
from pathlib import Path

from ci.errors import UsageError


def write_whole(file: Path, text: str, *, what: str, fix: str | None = None) -> None:
    """Write text in UTF-8, and the folders on the way. What a link leads to is written, and what is
    no regular file (`/dev/stdout`) as it comes. UsageError says that `what` cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists() and not file.is_file():
            file.write_text(text, encoding="utf-8")
        else:
            _replace(file.resolve(), text)
    except OSError as error:
        raise UsageError(
            f"{what} cannot be written: {error.strerror}", where=str(file), fix=fix
        ) from error


def _replace(file: Path, text: str) -> None:
    partial = file.with_name(f".{file.name[:200]}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        if file.exists():
            shutil.copymode(file, partial)
        partial.replace(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
