"""How a file is named to people: as it stands in the repository, where it does."""

from pathlib import Path


def shown_path(file: Path, root: Path) -> str:
    """Counted from `root` where the file is below it, else whole."""
    return str(file.relative_to(root)) if file.is_relative_to(root) else str(file)
