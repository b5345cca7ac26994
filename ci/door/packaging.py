"""Makes the zip that Lambda runs: `ci`, and what it needs at run time from the hash-locked list.

The same sources and the same lock give the same zip: entries are sorted and dated alike, and what
an installer writes about itself and about its machine is left out.
"""

import base64
import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ci.compile.archive import is_byte_code
from ci.errors import UsageError

HANDLER = "ci.door.codepipeline.handler"
RUNTIMES = ("python3.11", "python3.12", "python3.13", "python3.14")
UNPACKED_LIMIT = 262_144_000  # bytes: Lambda's quota for a function with its layers
DIRECT_LIMIT = 52_428_800  # bytes of a zip that is uploaded in the request itself

_CI = Path(__file__).parents[1]
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name
_DROPPED = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"})
# What the platform's wheels are built against: Amazon Linux 2 and 2023 are both newer.
_PLATFORMS = {"x86_64": "x86_64-manylinux2014", "arm64": "aarch64-manylinux2014"}


class Architecture(StrEnum):
    X86_64 = "x86_64"
    ARM64 = "arm64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """`size` and `unpacked` are in bytes; `code_sha256` is spelled as Lambda's CodeSha256."""

    file: Path
    size: int
    unpacked: int
    files: int
    code_sha256: str


def lock_file() -> Path:
    """The hash-locked list of what `ci` needs. A wheel brings it; a checkout has it beside."""
    for place in (_CI / "door" / "requirements.txt", _CI.parent / "requirements" / "run.txt"):
        if place.is_file():
            return place
    raise UsageError(
        "the list of locked packages is not part of this installation",
        where=str(_CI),
        fix="Run it from a checkout, or from an installed wheel.",
    )


def make_package(
    out: Path,
    *,
    uv: str,
    runtime: str,
    architecture: Architecture,
    environ: Mapping[str, str],
    tell: Callable[[str], None],
) -> Package:
    """Write the zip, whole or not at all. UsageError where packages cannot be had or do not fit.
    `tell` hears what is being done."""
    with tempfile.TemporaryDirectory(prefix="sagemaker-gitops-package-") as scratch:
        folder = Path(scratch) / "packages"
        tell(f"fetching the packages for {runtime} on {architecture}")
        _install(uv, folder, runtime, architecture, environ)
        members = {
            **dict(_members(folder, folder, skipped=("bin",))),
            **dict(_members(_CI, _CI.parent)),
        }
        unpacked = sum(file.stat().st_size for file in members.values())
        _require_fit(unpacked)
        tell(f"packing {len(members)} files, {unpacked >> 20} MiB")
        partial = out.with_name(f".{out.name}.{os.getpid()}")
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            _write(partial, members)
            digest = hashlib.sha256(partial.read_bytes()).digest()
            partial.replace(out)
        except OSError as error:
            raise UsageError(
                f"the package cannot be written: {error.strerror}",
                where=str(out),
                fix="--out lambda.zip",
            ) from error
        finally:
            partial.unlink(missing_ok=True)
    return Package(
        file=out,
        size=out.stat().st_size,
        unpacked=unpacked,
        files=len(members),
        code_sha256=base64.b64encode(digest).decode(),
    )


def _install(
    uv: str, folder: Path, runtime: str, architecture: Architecture, environ: Mapping[str, str]
) -> None:
    """The locked packages for the runtime's own platform, whatever this machine is."""
    command = [uv, "pip", "install", "--quiet", "--target", str(folder)]
    command += ["--python-platform", _PLATFORMS[architecture]]
    command += ["--python-version", runtime.removeprefix("python")]
    command += ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
    command += ["--link-mode", "hardlink", "-r", str(lock_file())]
    done = subprocess.run(
        command, capture_output=True, text=True, env=dict(environ), cwd=os.sep, check=False
    )
    if done.returncode != 0:
        raise UsageError(
            f"the packages for {runtime} on {architecture} cannot be had",
            where=str(lock_file()),
            why=done.stderr.strip()[-1500:],
            fix="See that the package index can be reached, and that the runtime is one of\n"
            f"{', '.join(RUNTIMES)}.",
        )


def _members(
    folder: Path, root: Path, *, skipped: Sequence[str] = ()
) -> Iterator[tuple[str, Path]]:
    """The files below `folder`, by their names from `root`."""
    for file in folder.rglob("*"):
        name = file.relative_to(root)
        if not file.is_file() or is_byte_code(str(name)) or name.parts[0] in skipped:
            continue
        if file.name in _DROPPED and name.parts[0].endswith(".dist-info"):
            continue
        if not any(part.startswith(".") for part in name.parts):
            yield name.as_posix(), file


def _require_fit(unpacked: int) -> None:
    if unpacked > UNPACKED_LIMIT:
        raise UsageError(
            f"the package holds {unpacked >> 20} MiB, more than the 250 MiB that Lambda unpacks"
        )


def _write(out: Path, members: Mapping[str, Path]) -> None:
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, date_time=_EPOCH)
            info.create_system = 3  # Unix, so that the mode below means something
            # botocore's models come compressed.
            packed = name.endswith(".gz")
            info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
            # The function runs as another user than the one who packed it.
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            with members[name].open("rb") as source, archive.open(info, "w") as target:
                shutil.copyfileobj(source, target)
