"""Which Python a pipeline module is compiled with, and what it sees of the environment."""

import os
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from ci.errors import CompileError

# What a program needs to run at all. Proxies, certificates and tokens are not among it: compile
# reaches nothing.
_KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SYSTEMROOT")


def find_python(setting: str | None, *, root: Path, environ: Mapping[str, str]) -> list[str]:
    """The command that runs the user's Python.

    `setting` is the project file's `python`: a path from `root` to an interpreter or to the
    folder of a virtual environment, or a command with arguments (`uv run python`). Without it:
    the active virtual environment, else `python3` on PATH.
    """
    if setting is None:
        active = environ.get("VIRTUAL_ENV")
        if active and (Path(active) / "bin" / "python").exists():
            return [str(Path(active) / "bin" / "python")]
        setting = "python3"
        root = Path(os.devnull)  # nobody named a file: one of this name in the repository is none
    path = root / setting
    if path.is_dir():
        path = path / "bin" / "python"
    if path.is_file():
        return [str(path)]
    try:
        command = shlex.split(setting)
    except ValueError:  # a quotation without an end
        command = []
    if command and "/" in command[0]:
        command[0] = str(root / command[0])  # from the root, wherever this process stands
    found = shutil.which(command[0], path=environ.get("PATH")) if command else None
    if found is None:
        raise CompileError(
            f"There is no Python {setting!r}.",
            where=str(path),
            why="`python` of the pipeline is a path from the project's root, or a command on PATH;"
            " neither is there",
            fix=_ways_to(setting),
        )
    return [found, *command[1:]]


def _ways_to(setting: str) -> str:
    """How to make the Python that is not there, or to name another; never that one again."""
    folder = re.sub(r"/bin/python[0-9.]*$|/$", "", setting)
    if re.search(r"\s", setting) or not re.search(r"/|^\.", setting):
        return "install it, or name another: python: .venv/bin/python"
    shown = shlex.quote(folder)
    make = f"python3 -m venv {shown} && {shown}/bin/pip install sagemaker"
    return f"{make}\nor name another: python: python3"


def program_environment(
    environ: Mapping[str, str], *, passed: tuple[str, ...] = ()
) -> dict[str, str]:
    """What a program of the user's needs to run at all, and the names that are passed to it."""
    return {name: environ[name] for name in (*_KEPT, *passed) if name in environ}


def child_environment(
    environ: Mapping[str, str], *, passed: tuple[str, ...], scratch: Path, region: str
) -> dict[str, str]:
    """The whole environment of the child of a hermetic compile, but for the endpoint's address."""
    return {
        **program_environment(environ, passed=passed),
        **_settings(scratch, region),
        # The SDK takes defaults from config.yaml in these folders, of this machine or user.
        "HOME": str(scratch / "home"),
        "XDG_CONFIG_DIRS": str(scratch / "home"),
        "AWS_ACCESS_KEY_ID": "AKIAHERMETICCOMPILE",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_RETRY_MODE": "standard",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
    }


def live_environment(environ: Mapping[str, str], *, scratch: Path, region: str) -> dict[str, str]:
    """The environment of the child of a live compile: this process's own."""
    return {**environ, **_settings(scratch, region)}


def _settings(scratch: Path, region: str) -> dict[str, str]:
    return {
        "TMPDIR": str(scratch / "tmp"),
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "SAGEMAKER_VALIDATE_ROLE": "false",
    }
