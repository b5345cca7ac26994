"""What a job installs to compile a repository's modules: where it says that it needs the SDK."""

import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from ci.project.imports import LARGEST_SOURCE

_LINE = re.compile(r"^\s*sagemaker\s*(?:$|[\[=<>!~;#@])", re.MULTILINE)
# In setup.py, setup.cfg and pyproject.toml, whoever builds it.
_DECLARED = re.compile(r"""(?:^\s*|["'])sagemaker\s*(?:["'\[=<>!~;]|$)""", re.MULTILINE)
_PACKAGES = ("pyproject.toml", "setup.py", "setup.cfg")
_V3 = re.compile(r"^\s*(?:from|import)\s+sagemaker\.(?:core|mlops|train|serve)\b", re.MULTILINE)


def sdk_requirements(root: Path, sources: Iterable[str]) -> str:
    """Arguments of `pip install`, quoted for a shell. From the folders of the sources upwards, the
    first file that names the SDK; else the version of the SDK that the sources import."""
    files = [root / source for source in sources]
    for folder in _folders(root, files):
        for file in sorted(folder.glob("requirements*.txt")):
            if _LINE.search(_text(file)):
                return f"-r {shlex.quote(file.relative_to(root).as_posix())}"
        if any(_DECLARED.search(_text(folder / name)) for name in _PACKAGES):
            place = folder.relative_to(root).as_posix()
            return "." if place == "." else shlex.quote(f"./{place}")
    third = any(_V3.search(_text(file)) for file in files)
    return "'sagemaker>=3,<4'" if third else "'sagemaker>=2,<3'"


def install_sdk(root: Path, sources: Iterable[str]) -> str:
    """The way to a Python that has the SDK: commands, and what to write into the project file."""
    return (
        f"uv venv && uv pip install {sdk_requirements(root, sources)}\n"
        "and name that one in the project file:  python: .venv/bin/python"
    )


def _folders(root: Path, files: Iterable[Path]) -> Iterator[Path]:
    """Innermost first; the root, which all share, last."""
    for file in files:
        for folder in file.parents:
            if folder == root or not folder.is_relative_to(root):
                break
            yield folder
    yield root


def _text(file: Path) -> str:
    try:
        small = file.is_file() and file.stat().st_size <= LARGEST_SOURCE
        return file.read_text(encoding="utf-8", errors="replace") if small else ""
    except OSError:
        return ""
