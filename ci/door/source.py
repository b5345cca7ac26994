"""Fetches a job's input artifacts and unpacks them: only what stays inside, and fits.

A function that is still warm meets the same artifact at every call of a job: what was unpacked
once is used again, by the object's name, which CodePipeline never gives to another.
"""

import contextlib
import hashlib
import json
import shutil
import stat
import uuid
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from ci.door.invocation import Artifact
from ci.errors import TriggerError, UsageError
from ci.sagemaker.clients import Clients
from ci.sagemaker.codepipeline import fetch_object

LARGEST = 256 << 20  # bytes of an archive; the function's own disk holds 512 MiB by default
_RESERVE = 16 << 20
_MOST_FILES = 50_000
_LONGEST_LINK = 4096
_ARTIFACTS = 2
_KEPT = 3600.0  # seconds
# RuntimeError is what an encrypted member and a loop of links end in.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, OSError)


def choose_artifact(inputs: Sequence[Artifact], name: str | None, setting: str) -> Artifact:
    """The input artifact of that name, the first where none is named. UsageError where there
    is none."""
    for artifact in inputs:
        if name is None or artifact.name == name:
            return artifact
    there = ", ".join(artifact.name for artifact in inputs) or "none"
    named = f"called {name!r}" if name else "at all"
    raise UsageError(
        f"the action has no input artifact {named}",
        where=f"UserParameters: {setting}",
        why=f"its input artifacts: {there}",
        fix="inputArtifacts:\n  - Name: SourceArtifact",
    )


def open_artifact(clients: Clients, artifact: Artifact, scratch: Path) -> Path:
    """The folder that holds what the artifact holds. At most `_ARTIFACTS` stay on the disk."""
    scratch.mkdir(parents=True, exist_ok=True)
    folder = scratch / hashlib.sha256(artifact.uri.encode()).hexdigest()[:32]
    if folder.is_dir():
        folder.touch()
        return folder
    _forget(scratch, _ARTIFACTS - 1)
    archive = scratch / f"{uuid.uuid4().hex}.zip"
    partial = scratch / f"{uuid.uuid4().hex}.partial"
    try:
        fetch_object(clients, artifact.bucket, artifact.key, archive, limit=LARGEST)
        partial.mkdir()
        unpack(archive, partial, where=artifact.uri)
        if not folder.is_dir():
            partial.rename(folder)
    finally:
        archive.unlink(missing_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def unpack(archive: Path, folder: Path, *, where: str) -> None:
    """Extract files, folders, and links that stay inside. TriggerError for what is no zip, reaches
    out of the folder, or is larger than the disk; `open_artifact` leaves nothing of it behind."""
    if not zipfile.is_zipfile(archive):
        raise _no_zip(archive, where)
    try:
        with zipfile.ZipFile(archive) as held:
            _extract(held, folder, where)
    except _BROKEN as error:
        raise TriggerError(
            "the input artifact cannot be unpacked", where=where, why=str(error)
        ) from error


def sweep(folder: Path, *, now: float) -> None:
    """Delete what earlier calls of a process that never ends have left: a compile's files last
    for its call, which takes no longer than Lambda's 15 minutes."""
    for each in folder.glob("sagemaker-gitops-*"):
        with contextlib.suppress(OSError):
            if each.is_dir() and now - each.stat().st_mtime > _KEPT:
                shutil.rmtree(each, ignore_errors=True)


def _extract(held: zipfile.ZipFile, folder: Path, where: str) -> None:
    members = held.infolist()
    if len(members) > _MOST_FILES:
        raise TriggerError(f"the input artifact holds {len(members)} files", where=where)
    left = shutil.disk_usage(folder).free - _RESERVE
    links: dict[Path, str] = {}
    for member in members:
        target = folder / _inside(member, where)
        if member.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if stat.S_ISLNK(member.external_attr >> 16):
            links[target] = _read_link(held, member, where)
            continue
        left = _copy(held, member, target, left, where)
        if member.external_attr >> 16 & 0o111:
            target.chmod(0o755)
    _link(links, folder.resolve(), where)


def _read_link(held: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> str:
    """No more of it is unpacked than a path can have."""
    with held.open(member) as source:
        to = source.read(_LONGEST_LINK + 1)
    if len(to) > _LONGEST_LINK:
        raise _hostile(f"the link {member.filename!r} is longer than a path", where)
    return to.decode()


def _link(links: Mapping[Path, str], root: Path, where: str) -> None:
    """Made last, so that nothing is written through one, and followed when all of them stand."""
    for link, to in links.items():
        link.symlink_to(to)
    for link, to in links.items():
        if root not in (found := link.resolve(), *found.parents):
            raise _hostile(f"the link {link.name!r} to {to!r} reaches out of its folder", where)


def _inside(member: zipfile.ZipInfo, where: str) -> PurePosixPath:
    """Where a member goes. A name that leaves the folder is refused."""
    path = PurePosixPath(member.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise _hostile(f"{member.filename!r} reaches out of the archive's folder", where)
    return path


def _copy(
    held: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, left: int, where: str
) -> int:
    """Write one file; how many bytes may still be written. What a member says of its size is
    not believed."""
    with held.open(member) as source, target.open("wb") as out:
        while piece := source.read(1 << 20):
            left -= len(piece)
            if left < 0:
                raise TriggerError(
                    "the input artifact does not fit on the function's disk",
                    where=where,
                    why=f"{member.filename!r} is where it ends",
                    fix="Give the function a larger ephemeral storage: EphemeralStorage.",
                )
            out.write(piece)
    return left


def _hostile(what: str, where: str) -> TriggerError:
    return TriggerError(f"the input artifact is refused: {what}", where=where)


def _no_zip(archive: Path, where: str) -> TriggerError:
    if _is_clone_reference(archive):
        return TriggerError(
            "the input artifact is a reference to a repository, not its files",
            where=where,
            why="the source action hands over a full clone, which CodeBuild alone can make",
            fix="Set the source action's OutputArtifactFormat to CODE_ZIP, or run this stage in\n"
            "CodeBuild: docs/codebuild.md",
        )
    return TriggerError("the input artifact is no zip file", where=where)


def _is_clone_reference(archive: Path) -> bool:
    if archive.stat().st_size > 1 << 16:
        return False
    try:
        return isinstance(json.loads(archive.read_bytes()), dict)
    except (ValueError, RecursionError):
        return False


def _forget(scratch: Path, keep: int) -> None:
    """Delete the artifacts that were used least lately."""
    folders = [each for each in scratch.iterdir() if each.is_dir()]
    newest_first = sorted(folders, key=lambda each: each.stat().st_mtime, reverse=True)
    for folder in newest_first[keep:]:
        shutil.rmtree(folder, ignore_errors=True)
