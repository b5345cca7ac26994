"""The one spelling of a definition: equal documents have equal bytes, and so equal digests.

Keys are sorted, there is no white space, text is UTF-8. Floats are written as Python's `repr`
writes them: the shortest digits that read back as the same number. `1` and `1.0` stay two
different things, as they are for SageMaker's parameter types.
"""

import json
from collections.abc import Mapping


def canonical_bytes(document: object) -> bytes:
    """JSON of `document`. ValueError for NaN, infinities and half surrogate pairs."""
    text = json.dumps(
        document,
        default=_plain,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )
    return text.encode("utf-8")


def _plain(value: object) -> dict[object, object]:
    """A mapping that is no dict (a read-only view) as one; `json` takes dicts alone."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")
