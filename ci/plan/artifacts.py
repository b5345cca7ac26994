"""Which of a step's changes are changes of code, and which are no changes at all.

Two content addresses whose files are equal (an archive packed at another time) are one artifact:
nothing changed. Where the files differ, the files are the change and not the address.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ci.plan.code import diff_files
from ci.plan.model import Change, CodeChange, FileChange, Files, PathPart
from ci.plan.normal import ARTIFACT
from ci.plan.tree import render_path

_CANNOT = ("old", "new")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Where one side's artifacts are read, and under which URI each hash stands there."""

    files: Files
    addresses: Mapping[str, str]

    def read(self, sha: str) -> Mapping[str, bytes] | None:
        return self.files(self.addresses.get(sha, sha))


def split_code(
    changes: Sequence[Change], old: Side, new: Side
) -> tuple[tuple[Change, ...], tuple[CodeChange, ...]]:
    """The changes that are not of code, and the code changes, one for each pair of artifacts."""
    plain: list[Change] = []
    pairs: dict[tuple[str, str], list[tuple[PathPart, ...]]] = {}
    for change in changes:
        different = _artifact_pairs(change)
        if different is None:
            plain.append(change)
        else:
            for pair in different:
                pairs.setdefault(pair, []).append(change.path)
    code = (_code_change(*pair, paths, old, new) for pair, paths in pairs.items())
    return tuple(plain), tuple(found for found in code if found is not None)


def _artifact_pairs(change: Change) -> list[tuple[str, str]] | None:
    """The pairs of hashes in which two texts differ; None where they differ in anything else."""
    if not isinstance(change.old, str) or not isinstance(change.new, str):
        return None
    before, after = ARTIFACT.findall(change.old), ARTIFACT.findall(change.new)
    if not before or len(before) != len(after):
        return None
    if ARTIFACT.sub("artifact:", change.old) != ARTIFACT.sub("artifact:", change.new):
        return None
    return [(b, a) for b, a in zip(before, after, strict=True) if b != a]


def _code_change(
    before: str, after: str, paths: list[tuple[PathPart, ...]], old: Side, new: Side
) -> CodeChange | None:
    sides = (old.read(before), new.read(after))
    unreadable = tuple(name for name, files in zip(_CANNOT, sides, strict=True) if files is None)
    old_files, new_files = sides
    files: tuple[FileChange, ...] = ()
    if old_files is not None and new_files is not None:
        files = diff_files(old_files, new_files)
        if not files:
            return None
    return CodeChange(
        name=render_path(paths[0]),
        paths=tuple(paths),
        old=before,
        new=after,
        files=files,
        unreadable=unreadable,
    )
