"""The environment that the reference pipeline's scripts run in, made once from its lock."""

import fcntl
import hashlib
import os
import subprocess
from functools import cache
from pathlib import Path

PIPELINE = Path(__file__).resolve().parents[2] / "pipelines" / "abalone"


@cache
def model_environment() -> Path:
    """A virtual environment with exactly `pipelines/abalone/requirements.txt`.

    Kept in the user's cache folder under the lock's hash; made with uv where it is not there yet.
    """
    from uv import find_uv_bin

    lock = PIPELINE / "requirements.txt"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "sagemaker-gitops" / "test-envs" / digest
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{digest}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            uv = find_uv_bin()
            _run(uv, "venv", "--quiet", "--clear", "--python", "3.11", str(folder))
            python = str(folder / "bin" / "python")
            _run(
                uv, "pip", "install", "--quiet", "--require-hashes", "--compile-bytecode",
                "--python", python, "-r", str(lock),
            )  # fmt: skip
            (folder / "complete").touch()
    return folder


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
