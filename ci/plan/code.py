"""What changed in the files behind two content addresses, as unified diffs."""

import difflib
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import PurePosixPath

from ci.plan.model import FileChange, Kind

_LARGEST_TEXT = 512 * 1024  # a longer file is told by its size alone
_LARGEST_UNPACKED = 64 * 1024 * 1024
_MOST_LINES = 20_000
_CONTEXT = 3
# What the readers of archives raise for one that is damaged, locked by a password (RuntimeError) or
# packed in a way that they do not know (NotImplementedError).
_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
)


def diff_files(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> tuple[FileChange, ...]:
    """The files that differ, by path. Archives (tar.gz, zip) are compared file by file.

    A single file that only has another name is compared as the same file.
    """
    before, after = _unpack_all(old), _unpack_all(new)
    if len(before) == len(after) == 1 and before.keys() != after.keys():
        before = {next(iter(after)): next(iter(before.values()))}
    return tuple(
        _file_change(path, before.get(path), after.get(path))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    )


def _file_change(path: str, old: bytes | None, new: bytes | None) -> FileChange:
    kind = Kind.CHANGED
    if old is None:
        kind = Kind.ADDED
    elif new is None:
        kind = Kind.REMOVED
    before, after = _lines(old), _lines(new)
    if before is None or after is None:
        return FileChange(path=path, kind=kind, note=_sizes(old, new))
    lines = list(
        difflib.unified_diff(
            before,
            after,
            "/dev/null" if old is None else f"a/{path}",
            "/dev/null" if new is None else f"b/{path}",
            n=_CONTEXT,
            lineterm="",
        )
    )
    return FileChange(
        path=path,
        kind=kind,
        diff="\n".join(lines),
        added=sum(line.startswith("+") for line in lines[2:]),
        removed=sum(line.startswith("-") for line in lines[2:]),
        note=None if lines else "only line ends differ",
    )


def _lines(data: bytes | None) -> list[str] | None:
    """A text's lines, None for what is no text or too long to compare line by line."""
    if data is None:
        return []
    if len(data) > _LARGEST_TEXT or b"\0" in data[:8192]:
        return None
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        return None
    return lines if len(lines) <= _MOST_LINES else None


def _sizes(old: bytes | None, new: bytes | None) -> str:
    if old is None and new is not None:
        return f"{len(new):,} bytes"
    if new is None and old is not None:
        return f"was {len(old):,} bytes"
    return f"{len(old or b''):,} -> {len(new or b''):,} bytes"


def _unpack_all(files: Mapping[str, bytes]) -> dict[str, bytes]:
    result: dict[str, bytes] = {}
    for path, data in files.items():
        inner = _unpack(path, data)
        if inner is None:
            result[path] = data
        elif len(files) == 1:
            result.update(inner)
        else:
            result.update({f"{path}/{name}": body for name, body in inner.items()})
    return result


def _unpack(path: str, data: bytes) -> dict[str, bytes] | None:
    """An archive's files, None for what is no archive (or is none that can be read)."""
    name = path.lower()
    try:
        if name.endswith((".tar.gz", ".tgz", ".tar")):
            return _untar(data)
        if name.endswith((".zip", ".whl")):
            return _unzip(data)
    except _UNREADABLE:
        return None
    return None


def _untar(data: bytes) -> dict[str, bytes] | None:
    if data[:2] == b"\x1f\x8b":
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            data = stream.read(_LARGEST_UNPACKED + 1)
        if len(data) > _LARGEST_UNPACKED:
            return None
    result: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        # A sparse file's holes take no room in the archive.
        if sum(member.size for member in archive) > _LARGEST_UNPACKED:
            return None
        for member in archive:
            if member.isfile():
                stream_ = archive.extractfile(member)
                result[_inside(member.name)] = stream_.read() if stream_ is not None else b""
            elif not member.isdir():
                result[_inside(member.name)] = f"link to {member.linkname}\n".encode()
    return result


def _unzip(data: bytes) -> dict[str, bytes] | None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(info.file_size for info in archive.infolist()) > _LARGEST_UNPACKED:
            return None
        return {
            _inside(info.filename): archive.read(info)
            for info in archive.infolist()
            if not info.is_dir()
        }


def _inside(name: str) -> str:
    return str(PurePosixPath(name)).removeprefix("./")
