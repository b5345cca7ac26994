"""The scripts of the reference pipeline, run as the processes they are in their containers."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.archives import model_archive
from support.model_env import PIPELINE, model_environment

HEADER = "sex,length,diameter,height,whole_weight,shucked_weight,viscera_weight,shell_weight,rings"
ROW = "M,0.455,0.365,0.095,0.514,0.2245,0.101,0.15,15"


def run(
    script: str,
    *arguments: object,
    environ: dict[str, str] | None = None,
    before: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    python = model_environment() / "bin" / "python"
    return subprocess.run(
        [*before, str(python), str(PIPELINE / script), *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1", **(environ or {})},
    )


def done(*arguments: Any, **more: Any) -> str:
    result = run(*arguments, **more)
    assert result.returncode == 0, result.stderr
    return result.stdout


def failed(*arguments: Any, **more: Any) -> str:
    result = run(*arguments, **more)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


def train(sets: Path, into: Path, *arguments: object) -> str:
    return done(
        "train.py", "--train", sets / "train", "--validation", sets / "validation",
        "--model-dir", into, *arguments,
    )  # fmt: skip


def archive(model: Path) -> bytes:
    return model_archive(
        {
            str(file.relative_to(model)): file.read_bytes()
            for file in sorted(model.rglob("*"))
            if file.is_file()
        }
    )
