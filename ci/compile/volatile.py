"""What cannot be the same twice by design: functions as steps (`@step`).

The SDK pickles such a function and lets the step find it under a time. The time becomes a hash of
what lies under it, so that no compile overwrites what an execution of an earlier one still reads.
SDK v3 also signs the function with a key made for this compile. The key stays: it is what the step
checks the function with. Key, hash and signatures count for nothing in the digest; the function
does.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath

# What the child gives out for a time (`Names.timestamp`).
_TIME = re.compile(r"1970-01-01-00-00-00-\d{3}")
SIGNATURE = "metadata.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """`steps` are the names of the steps that hold a function, `masks` the texts that change."""

    document: object
    uploads: Mapping[str, bytes]
    steps: tuple[str, ...]
    masks: tuple[str, ...]


def settle(document: object, uploads: Mapping[str, bytes], *, root: PurePath) -> Settled:
    """The document and its uploads with times made to hashes, and what is volatile in them.

    The SDK describes such a step by its file; the file counts from `root` here.
    """
    keys = list(_signed(document))
    text, places, moved = json.dumps(document, ensure_ascii=False), [], dict(uploads)
    for time in sorted({match for uri in uploads for match in _TIME.findall(uri)}):
        place = _hash_of({uri: body for uri, body in moved.items() if time in uri})
        places.append(place)
        text = text.replace(time, place)
        moved = {uri.replace(time, place): body for uri, body in moved.items()}
    if not places:
        return Settled(document=document, uploads=uploads, steps=(), masks=())
    masks = {json.dumps(key, ensure_ascii=False)[1:-1] for _, key in keys}
    return Settled(
        document=_described(json.loads(text), f"{root}/"),
        uploads=moved,
        steps=tuple(sorted({name for name, _ in keys})),
        masks=tuple(sorted(masks.union(places))) if keys else (),
    )


def _hash_of(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for uri in sorted(files):
        digest.update(f"{uri}\0{hashlib.sha256(files[uri]).hexdigest()}\n".encode())
    return digest.hexdigest()[:32]


def _signed(node: object) -> Iterator[tuple[str, str]]:
    """The name and the key of every step that holds a signed function."""
    match node:
        case {"Arguments": {"Environment": {"REMOTE_FUNCTION_SECRET_KEY": str(key)}}, "Name": name}:
            yield str(name), key
        case dict():
            for value in node.values():
                yield from _signed(value)
        case list():
            for item in node:
                yield from _signed(item)


def _described(node: object, root: str) -> object:
    """The document with steps described by their file from `root`, as every machine has it."""
    match node:
        case dict():
            return {
                key: value.removeprefix(root)
                if key == "Description" and isinstance(value, str)
                else _described(value, root)
                for key, value in node.items()
            }
        case list():
            return [_described(item, root) for item in node]
        case _:
            return node
