"""Decides which of several pull requests a commit came from."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A pull request that has to do with a commit; `made` says that its merge made the commit."""

    number: int | None
    made: bool
    merged: bool
    open: bool


def origin_of(candidates: Iterable[Candidate]) -> int | None:
    """The one whose merge made the commit, then a merged one, since a commit on main can also
    stand in pull requests that were branched off later, then an open one; the newest of several."""
    numbered = [(each.made, each.merged, each.open, each.number or 0) for each in candidates]
    return max(numbered, default=(False, False, False, 0))[-1] or None
