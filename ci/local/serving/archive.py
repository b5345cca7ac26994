"""Unpacking a model archive that nobody vouches for: what stays inside the folder, and fits."""

import shutil
import tarfile
import zlib
from pathlib import Path

_RESERVE = 64 * 1024 * 1024
_MODE = 0o755
# What tarfile raises for damaged input: KeyError for a link to nothing, RecursionError for a
# link to itself.
_BROKEN = (tarfile.TarError, EOFError, zlib.error, ValueError, OSError, KeyError, RecursionError)


class BadArchive(Exception):
    """The archive is broken, reaches out of its folder, or does not fit on the disk."""


def unpack(archive: Path, folder: Path) -> None:
    """Extract a tar file, compressed or not, into an existing folder.

    Files, folders and links that stay inside are kept; owners, devices and special permission
    bits are not. Raises BadArchive at the first member that does otherwise.
    """
    try:
        with tarfile.open(archive) as tar:
            _extract(tar, folder.resolve())
    except _BROKEN as error:
        raise BadArchive(f"{archive.name} cannot be unpacked: {error}") from error


def _extract(tar: tarfile.TarFile, root: Path) -> None:
    left = shutil.disk_usage(root).free - _RESERVE
    for member in tar:
        left -= member.size
        if left < 0:
            raise BadArchive(f"{member.name!r} does not fit on the disk any more")
        target = _inside(root, root / member.name, member)
        if target == root:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if member.isdir():
            target.mkdir(exist_ok=True)
            continue
        target.unlink(missing_ok=True)
        if member.issym():
            _inside(root, target.parent / member.linkname, member)
            target.symlink_to(member.linkname)
        elif member.isfile() or member.islnk():
            _write(tar, member, target)
        else:
            raise BadArchive(f"{member.name!r} is neither a file, a folder nor a link")


def _inside(root: Path, path: Path, member: tarfile.TarInfo) -> Path:
    """The path with every link above its last part followed, if that is still below the root.

    Links that were extracted before are on the disk by now, so following them tells the truth.
    """
    if path.name in ("", "..") or path == root:
        real = path.resolve()
    else:
        real = path.parent.resolve() / path.name
    whole = path.resolve() if member.issym() else real
    for place in (real, whole):
        if root not in (place, *place.parents):
            raise BadArchive(f"{member.name!r} reaches out of the archive's folder")
    return real


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    source = tar.extractfile(member)
    if source is None:
        raise BadArchive(f"{member.name!r} links to nothing in the archive")
    with source, target.open("xb") as file:
        shutil.copyfileobj(source, file)
    target.chmod(member.mode & _MODE | 0o600)
