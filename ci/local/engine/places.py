"""What a step's jobs are called, and where the attempts at it lie."""

import re
import secrets
import string
from contextlib import suppress
from itertools import count
from pathlib import Path

_UNSAFE = re.compile(r"[^A-Za-z0-9-]+")
_LETTERS = string.ascii_letters + string.digits


def job_name(execution: str, step: str) -> str:
    """`pipelines-<execution id>-<step>-<random>`, as the service names jobs; at most 63."""
    end = "".join(secrets.choice(_LETTERS) for _ in range(10))
    start = f"pipelines-{execution.rpartition('/')[2]}"
    room = 63 - len(start) - len(end) - 2
    return f"{start}-{_UNSAFE.sub('-', step)[:room].strip('-') or 'step'}-{end}"


def step_folder(home: Path, execution: str, step: str) -> Path:
    """Where the attempts at a step are kept. No step name leads elsewhere."""
    safe = _UNSAFE.sub("_", step)[:80]
    if safe != step:
        safe += f"-{step.encode().hex()[:40]}"
    return home / "steps" / (_UNSAFE.sub("_", execution.rpartition("/")[2]) or "_") / safe


def attempt_folder(home: Path, execution: str, step: str) -> Path:
    """A fresh folder, numbered after those of earlier attempts."""
    folder = step_folder(home, execution, step)
    folder.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        attempt = folder / str(number)
        with suppress(FileExistsError):
            attempt.mkdir()
            return attempt
    raise AssertionError
