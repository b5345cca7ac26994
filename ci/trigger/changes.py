"""Which paths a change touches, from the history."""

from pathlib import Path

import git

from ci.trigger.history import open_repository


def changed_paths(start: Path, base: str | None, head: str) -> frozenset[str] | None:
    """The paths that differ between `head` and where it left `base`, relative to `start`'s
    repository; both names of a rename. None where the history cannot tell (no base, a shallow
    clone, unrelated histories): every pipeline counts then.

    Three dots, as on a pull request: what came into `base` since does not count.
    """
    if base is None:
        return None
    with open_repository(start) as repository:
        try:
            merge_base = repository.git.merge_base("--", base, head).split()
            listing = repository.git.diff_tree(
                "-r", "-z", "--name-only", "--no-renames", merge_base[0], head
            )
        except (git.GitCommandError, IndexError):
            return None
    return frozenset(name for name in listing.split("\0") if name)


def relative_to(paths: frozenset[str], folder: str) -> frozenset[str]:
    """`paths` of a repository as seen from one of its folders; what lies outside is left out."""
    prefix = folder.strip("/") + "/" if folder.strip("/.") else ""
    return frozenset(path[len(prefix) :] for path in paths if path.startswith(prefix))
