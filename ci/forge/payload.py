"""Reads a forge's JSON without trusting its shape."""

from collections.abc import Mapping
from typing import Any


def member_in(item: Any, *path: str) -> Any:
    """What stands at `path`; None where anything on the way is missing or no mapping."""
    for key in path:
        item = item.get(key) if isinstance(item, Mapping) else None
    return item


def text_in(item: Any, *path: str) -> str | None:
    value = member_in(item, *path)
    return value if isinstance(value, str) else None


def number_in(item: Any, *path: str) -> int | None:
    value = member_in(item, *path)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
