"""One way to list: filter by name and time, sort, and hand out pages that survive inserts.

A NextToken names the last item that was handed out, not an offset: what is created or deleted
between two calls neither repeats nor hides another item.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from typing import Any

from ci.local.context import ApiError
from ci.local.store import Document

DEFAULT_PAGE = 10

SortKey = Callable[[Document], tuple[Any, ...]]


def select(items: Iterable[Document], request: Document, *, name: str) -> list[Document]:
    """What passes `NameContains` and the `...TimeAfter` / `...TimeBefore` filters of a request."""
    needle = str(request.get("NameContains", "")).lower()
    return [
        item
        for item in items
        if needle in str(item.get(name, "")).lower()
        and _within(item, request, "CreationTime")
        and _within(item, request, "LastModifiedTime")
    ]


def _within(item: Document, request: Document, field: str) -> bool:
    after, before = request.get(f"{field}After"), request.get(f"{field}Before")
    if after is None and before is None:
        return True
    moment = item.get(field)
    if moment is None:
        return False
    return (after is None or moment > after) and (before is None or moment < before)


def page(
    items: Iterable[Document], request: Document, *, key: SortKey, order: str
) -> tuple[list[Document], Document]:
    """The page a request asks for, and `{"NextToken": ...}` where more follow.

    `key` must tell any two items apart. `order` is the operation's own default: "Ascending" or
    "Descending". Raises ValidationException for a token that none of our pages ended in.
    """
    descending = request.get("SortOrder", order) == "Descending"
    ordered = sorted(items, key=key, reverse=descending)
    token = request.get("NextToken")
    if token:
        last = _decode(token)
        try:
            ordered = [item for item in ordered if _follows(key(item), last, descending)]
        except TypeError as error:
            raise _bad_token() from error
    size = int(request.get("MaxResults", DEFAULT_PAGE))
    chosen = ordered[:size]
    more = {"NextToken": _encode(key(chosen[-1]))} if len(ordered) > size else {}
    return chosen, more


def _follows(key: tuple[Any, ...], last: tuple[Any, ...], descending: bool) -> bool:
    return key < last if descending else key > last


def _encode(key: tuple[Any, ...]) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def _decode(token: str) -> tuple[Any, ...]:
    try:
        key = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, ValueError) as error:
        raise _bad_token() from error
    if not isinstance(key, list):
        raise _bad_token()
    return tuple(key)


def _bad_token() -> ApiError:
    return ApiError("ValidationException", "The NextToken is invalid.")
