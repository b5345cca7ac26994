"""Compiles of this machine, kept by what they read: the same reads again start no child.

    <cache>/<request>/<reads>/reads.json      what was read, with fingerprints
                              bundle.json ... the bundle, as `store` writes it

A request is the module and its arguments, the child's environment, the Python, and this program.
An entry counts only while every path it read has the same fingerprint, and while its bundle's
hashes hold. Anything else is no entry, never an error. In CI the cache is off unless it is asked
for: there, code of a pull request must not leave anything to a later run.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci import __version__
from ci.compile.bundle import Bundle
from ci.compile.fingerprint import Fingerprints, TooMuch, changed_since
from ci.compile.store import read_bundle, write_bundle
from ci.errors import CompileError
from ci.project.model import Target

SETTING = "SAGEMAKER_GITOPS_COMPILE_CACHE"
_FORMAT = 1
_MOST_BYTES = 512 << 20
_MOST_ENTRIES = 200
_MOST_STATES = 8  # of one request: branches that are switched between
_MOST_READS = 50_000
_TICK = 50_000_000  # a file's time may lag behind the clock by this many nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """What a child read: (kind, path), see `fingerprint`. `began` is in nanoseconds of the epoch.

    `blind` says why the child cannot know all that it read.
    """

    began: int
    paths: tuple[tuple[str, str], ...]
    blind: str | None = None


def cache_folder(environ: Mapping[str, str]) -> Path | None:
    """Where compiles are kept, None where they are not: `SAGEMAKER_GITOPS_COMPILE_CACHE=off`, or
    in CI without `=on`."""
    setting = environ.get(SETTING, "").lower()
    if setting in ("off", "0", "false", "no"):
        return None
    if environ.get("CI", "").lower() not in ("", "0", "false") and not setting:
        return None
    home, base = environ.get("HOME"), environ.get("XDG_CACHE_HOME")
    if not base and not home:
        return None
    return Path(base or f"{home}/.cache").absolute() / "sagemaker-gitops" / "compile"


def request_key(
    request: Mapping[str, Any],
    environment: Mapping[str, str],
    command: list[str],
    target: Target,
    scratch: Path,
) -> str:
    """SHA-256, in hex, of all that a child is told and all that its answer is made into."""
    told = {name: value for name, value in request.items() if name not in ("scratch", "memory")}
    document = {
        "format": _FORMAT,
        "program": [__version__, _own_code()],
        "command": command,
        "request": told,
        "environment": {
            name: value.replace(str(scratch), "<scratch>") for name, value in environment.items()
        },
        "artifacts": [target.bucket, target.prefix],
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _own_code() -> str:
    digest, here = hashlib.sha256(), Path(__file__).parent
    for file in sorted([*here.glob("*.py"), *here.glob("*/*.py")]):
        digest.update(f"{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def find(cache: Path, key: str, folder: Path) -> Bundle | None:
    """The bundle of an entry whose reads still hold, its files copied to `folder`."""
    prints = Fingerprints()
    for entry in _newest_first(cache / key):
        try:
            if not _holds(entry, prints):
                continue
            shutil.copytree(entry, folder / "cached")
            bundle = read_bundle(folder / "cached")
        except (OSError, ValueError, LookupError, TypeError, TooMuch, CompileError):
            shutil.rmtree(folder / "cached", ignore_errors=True)
            continue
        with suppress(OSError):
            os.utime(entry)
        return bundle
    return None


def _holds(entry: Path, prints: Fingerprints) -> bool:
    text = (entry / "reads.json").read_bytes()
    if hashlib.sha256(text).hexdigest() != entry.name:
        return False
    return all(prints.of(kind, path) == known for kind, path, known in json.loads(text))


def keep(cache: Path, key: str, bundle: Bundle, reads: Reads) -> str | None:
    """Keep a bundle under what it read. Says why where it is not kept."""
    size = sum(artifact.size for artifact in bundle.artifacts.values())
    if reads.blind:
        return reads.blind
    if len(reads.paths) > _MOST_READS or size > _MOST_BYTES // 4:
        return "it is too large"
    try:
        prints = Fingerprints()
        found = [(kind, path, prints.of(kind, path)) for kind, path in reads.paths]
        if any(changed_since(reads.began - _TICK, *each) for each in found):
            return "what it read changed while it ran"
        _write(cache, key, bundle, json.dumps(sorted(found)).encode())
        _prune(cache)
    except TooMuch:
        return "it is too large"
    except (OSError, LookupError, UnicodeError) as error:
        return f"the cache cannot be written: {error}"
    return None


def _write(cache: Path, key: str, bundle: Bundle, reads: bytes) -> None:
    """Written aside and renamed, so that an entry is whole or is not."""
    states = cache / key
    states.mkdir(parents=True, exist_ok=True, mode=0o700)
    cache.chmod(0o700)
    aside = Path(tempfile.mkdtemp(prefix=".new-", dir=states))
    try:
        write_bundle(bundle, aside)
        (aside / "reads.json").write_bytes(reads)
        entry = states / hashlib.sha256(reads).hexdigest()
        if entry.exists():  # damaged, or written by another compile at this moment
            shutil.rmtree(entry, ignore_errors=True)
        with suppress(OSError):
            aside.rename(entry)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _newest_first(states: Path) -> list[Path]:
    def age(entry: Path) -> float:
        with suppress(OSError):
            return -entry.stat().st_mtime
        return 0.0

    try:
        return sorted((each for each in states.iterdir() if each.name[0] != "."), key=age)
    except OSError:
        return []


def _prune(cache: Path) -> None:
    """Drop what was not used for longest: beyond the states of a request, the entries, the bytes.

    What a killed process left half written goes with it.
    """
    kept: list[tuple[float, int, Path]] = []
    for states in cache.iterdir():
        entries = _newest_first(states)
        for entry in [*entries[_MOST_STATES:], *_abandoned(states)]:
            shutil.rmtree(entry, ignore_errors=True)
        for entry in entries[:_MOST_STATES]:
            with suppress(OSError):
                kept.append((entry.stat().st_mtime, _size(entry), entry))
    total = 0
    for number, (_, size, entry) in enumerate(sorted(kept, reverse=True)):
        total += size
        if number >= _MOST_ENTRIES or total > _MOST_BYTES:
            shutil.rmtree(entry, ignore_errors=True)
            with suppress(OSError):
                entry.parent.rmdir()


def _abandoned(states: Path) -> Iterator[Path]:
    """Unfinished entries older than any compile takes."""
    newest = max((entry.stat().st_mtime for entry in states.iterdir()), default=0.0)
    for aside in states.glob(".new-*"):
        if aside.stat().st_mtime < newest - 3600:
            yield aside


def _size(entry: Path) -> int:
    return sum(file.stat().st_size for file in entry.rglob("*") if file.is_file())
