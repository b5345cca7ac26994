"""Where uploads go: every captured URI becomes a content-addressed one, all over the definition.

A file that the definition names goes to `<prefix>/<sha256>/<name>`; a folder that it names goes,
whole, to `<prefix>/<hash of its files>/<relative path>`; a file that it does not name keeps its
key. Equal content has an equal address, so that SageMaker's step cache hits when nothing changed.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from ci.compile.archive import is_no_source

# A character that may go on a key: after one of these, what was found is only part of a name.
_GOES_ON = frozenset("-_!*()%+=@~")
_OUTPUT = "output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """An upload (by its original URI) and the key where it goes. One upload may go to several."""

    uri: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """`unnamed` holds the URIs that the definition does not name."""

    document: object
    placements: tuple[Placement, ...]
    unnamed: tuple[str, ...]


def rewrite(
    document: object,
    *,
    uploads: Mapping[str, str],
    folders: Sequence[str],
    bucket: str,
    prefix: str,
) -> Rewritten:
    """The document with new URIs, and what goes where.

    `uploads` maps `s3://bucket/key` to the SHA-256 of the content, `folders` lists the URIs that
    stand for all that was uploaded below them.
    """
    uploads = {uri: sha for uri, sha in uploads.items() if not is_no_source(uri)}
    declared = [folder.rstrip("/") for folder in folders]
    places = _Places(uploads, [*declared, *_implied(document, uploads, declared)], bucket, prefix)
    result = places.rewrite(document)
    return Rewritten(
        document=result,
        placements=tuple(Placement(uri=uri, key=key) for uri, key in sorted(set(places.used))),
        unnamed=tuple(sorted(set(uploads) - {uri for uri, _ in places.used})),
    )


def folder_hash(files: Mapping[str, str]) -> str:
    """SHA-256, in hex, over relative paths and their contents' SHA-256."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path}\0{files[path]}\n".encode())
    return digest.hexdigest()


def _below(uploads: Mapping[str, str], folder: str) -> dict[str, str]:
    start = folder + "/"
    return {uri.removeprefix(start): sha for uri, sha in uploads.items() if uri.startswith(start)}


def _implied(
    document: object, uploads: Mapping[str, str], declared: Sequence[str]
) -> Iterator[str]:
    """Folders that were filled file by file: the folder of an upload that stands outside every
    declared folder, named as a whole where something is read."""
    outside = [uri for uri in uploads if not uri.startswith(tuple(f"{f}/" for f in declared))]
    parents = {uri.rpartition("/")[0] for uri in outside}
    parents -= {uri for uri in parents if uri.count("/") < 3 or uri in uploads}
    if not parents:
        return
    read = {text.rstrip("/") for text in _strings(document)}
    yield from sorted(parents & read)


def _strings(node: object) -> Iterator[str]:
    """Every text that stands where something is read."""
    match node:
        case str():
            yield node
        case list():
            for item in node:
                yield from _strings(item)
        case dict():
            for name, value in node.items():
                if _OUTPUT not in name.lower():
                    yield from _strings(value)


class _Places:
    """The new place of every URI, and a record of those that were asked for."""

    def __init__(
        self, uploads: Mapping[str, str], folders: Sequence[str], bucket: str, prefix: str
    ) -> None:
        self.used: list[tuple[str, str]] = []
        self._root = f"s3://{bucket}/"
        self._targets: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {}
        self._is_folder: set[str] = set()
        for uri, sha in uploads.items():
            key = f"{prefix}/{sha}/{uri.rpartition('/')[2]}"
            self._add(uri, key, ((uri, key),))
        for folder in sorted(folders, key=len):
            files = _below(uploads, folder)
            if not files:
                continue
            base = f"{prefix}/{folder_hash(files)}"
            pairs = tuple((f"{folder}/{name}", f"{base}/{name}") for name in files)
            self._add(folder, base, pairs)
            self._is_folder.add(folder)
            for uri, key in pairs:
                self._add(uri, key, pairs)
        self._lengths = sorted({len(uri) for uri in self._targets}, reverse=True)

    def _add(self, uri: str, key: str, pairs: tuple[tuple[str, str], ...]) -> None:
        self._targets[uri] = (key, pairs)
        escaped = json.dumps(uri)[1:-1]  # a URI inside JSON inside a text
        if escaped != uri:
            self._targets[escaped] = (key, pairs)

    def rewrite(self, node: object) -> object:
        match node:
            case str():
                return self._text(node)
            case list():
                return [self.rewrite(item) for item in node]
            case {"Std:Join": {"On": str(on), "Values": list(values)}, **rest} if not rest:
                return {"Std:Join": {"On": on, "Values": self._joined(on, values)}}
            case dict():
                return {self._text(key): self.rewrite(value) for key, value in node.items()}
            case _:
                return node

    def _joined(self, on: str, values: list[object]) -> list[object]:
        """A URI may be spread over neighbouring texts of a join: those are joined here if so."""
        out: list[object] = []
        for texts, run in groupby(values, lambda value: isinstance(value, str)):
            parts = list(run)
            if texts:
                whole = on.join(str(part) for part in parts)
                moved = self._text(whole)
                out.extend(parts if moved == whole else [moved])
            else:
                out.extend(self.rewrite(part) for part in parts)
        return out

    def _text(self, text: str) -> str:
        start = text.find("s3://")
        if start < 0:
            return text
        out: list[str] = []
        position = 0
        while start >= 0:
            found = self._longest(text, start)
            end = start + 5
            if found is not None:
                key, pairs = self._targets[found]
                self.used.extend(pairs)
                end = start + len(found)
                out.extend((text[position:start], self._root, key))
                position = end
            start = text.find("s3://", end)
        return "".join((*out, text[position:]))

    def _longest(self, text: str, start: int) -> str | None:
        for length in self._lengths:
            found = text[start : start + length]
            if found in self._targets and self._ends(text, start + length, found):
                return found
        return None

    def _ends(self, text: str, end: int, found: str) -> bool:
        """Whether a name ends here: `s3://b/a` does not stand in `s3://b/a.py`."""
        after = text[end : end + 2]
        if not after:
            return True
        if after[0] == "/":
            return found in self._is_folder
        if after[0] == ".":
            return not after[1:].isalnum()
        return not (after[0].isalnum() or after[0] in _GOES_ON)
