"""One spelling for archives: equal content has equal bytes, whoever packed it, when and where.

Entries are sorted; times, owners and modes are normalised; what is no source is left out. Nothing
is compressed, because compressed bytes differ between builds of zlib.
"""

import io
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import PurePosixPath

_RECORDS = frozenset((".git", ".sagemaker-gitops"))
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name
_STORED_LIMIT = 40 << 20  # Lambda takes 50 MB of zip in a request
_BLOCK = 0xFFFF


def is_byte_code(path: str) -> bool:
    """Whether a path names what Python makes of sources by itself."""
    parts = PurePosixPath(path).parts
    return "__pycache__" in parts or path.endswith((".pyc", ".pyo"))


def is_no_source(path: str) -> bool:
    """Whether a path names what differs between checkouts of one commit: byte code, git's records,
    what this program writes beside a project (reports, the local endpoint's state)."""
    return is_byte_code(path) or not _RECORDS.isdisjoint(PurePosixPath(path).parts)


def normalise(data: bytes, name: str) -> bytes:
    """The archive in its one spelling. Whatever is not called a tar.gz or a zip stays as it is:
    model files and jars begin like a zip, and their bytes are somebody's."""
    if name.endswith((".tar.gz", ".tgz")) and data[:2] == b"\x1f\x8b":
        return _tar(data)
    if name.endswith((".zip", ".whl")) and data[:4] == b"PK\x03\x04":
        return _zip(data)
    return data


def _tar(data: bytes) -> bytes:
    members: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            for member in archive:
                name = _relative(member.name)
                if is_no_source(name) or not (
                    member.isfile() or member.isdir() or member.issym() or member.islnk()
                ):
                    continue
                # A hard link is a file with two names: which one is the link, packers differ in.
                plain = member.isfile() or member.islnk()
                body = archive.extractfile(member) if plain else None
                members[name] = (member, body.read() if body else b"")
    except (tarfile.TarError, OSError, EOFError, zlib.error, UnicodeError):
        return data
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name in sorted(members):
            member, content = members[name]
            archive.addfile(_plain_member(name, member, len(content)), io.BytesIO(content))
    return _gzip_stored(out.getvalue())


def _relative(name: str) -> str:
    return name.removeprefix("./") or "."


def _plain_member(name: str, member: tarfile.TarInfo, size: int) -> tarfile.TarInfo:
    plain = tarfile.TarInfo(name)
    file = member.isfile() or member.islnk()
    plain.type = tarfile.REGTYPE if file else member.type
    plain.linkname = "" if file else member.linkname
    plain.size = size
    plain.mode = 0o755 if member.isdir() or member.mode & 0o111 else 0o644
    return plain


def _gzip_stored(data: bytes) -> bytes:
    """RFC 1952 around stored blocks (RFC 1951, 3.2.4), with no time and no name."""
    out = [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"]
    for start in range(0, len(data) or 1, _BLOCK):
        block = data[start : start + _BLOCK]
        last = start + _BLOCK >= len(data)
        out.append(struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block)
    out.append(struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF))
    return b"".join(out)


def _zip(data: bytes) -> bytes:
    members: dict[str, tuple[int, bytes]] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                if not is_no_source(member.filename):
                    mode = _plain_mode(member.filename, member.external_attr >> 16)
                    members[member.filename] = (mode, archive.read(member))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error, OSError):
        return data
    small = sum(len(body) for _, body in members.values()) < _STORED_LIMIT
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(members):
            mode, body = members[name]
            info = zipfile.ZipInfo(name, date_time=_EPOCH)
            info.create_system = 3  # Unix, so that the modes below mean something
            info.compress_type = zipfile.ZIP_STORED if small else zipfile.ZIP_DEFLATED
            info.external_attr = mode << 16 | (0x10 if stat.S_ISDIR(mode) else 0)
            archive.writestr(info, body)
    return out.getvalue()


def _plain_mode(name: str, mode: int) -> int:
    if name.endswith("/"):
        return stat.S_IFDIR | 0o755
    if stat.S_ISLNK(mode):
        return stat.S_IFLNK | 0o777
    return stat.S_IFREG | (0o755 if mode & 0o111 else 0o644)
