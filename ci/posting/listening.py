"""Decides whether a repository has a workflow that obeys comments on pull requests."""

from pathlib import Path

_ORDER = "/sagemaker"
_LARGEST = 256 * 1024


def obeys_comments(root: Path) -> bool:
    """`root` is the repository's. GitHub starts the default branch's workflow; this one's is taken
    to be the same."""
    folder = root / ".github" / "workflows"
    files = [*folder.glob("*.yml"), *folder.glob("*.yaml")]
    return any(_obeys(_text(file)) for file in files)


def _obeys(workflow: str) -> bool:
    return "issue_comment" in workflow and _ORDER in workflow


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(_LARGEST).decode("utf-8", "replace")
    except OSError:
        return ""
