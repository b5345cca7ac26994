"""Seconds of wall clock and of processor that a command takes, with all that it starts.

A compile ends its children without waiting for them, so that the kernel's count of waited-for
children misses them. Where a control group can be made (root on Linux), it counts every process
that was ever in it; elsewhere processor time is not known.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_ROOTS = (Path("/sys/fs/cgroup/cpuacct"), Path("/sys/fs/cgroup"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """`processor` is not a number where it cannot be counted."""

    wall: float
    processor: float


def timed(command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> Used:
    """Run it; SystemExit with what it said where it fails."""
    with _group() as group:
        join = (
            []
            if group is None
            else ["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh"]
        )
        start = time.perf_counter()
        done = subprocess.run(
            [*join, *command], cwd=folder, env=environ, capture_output=True, text=True, check=False
        )
        wall = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return Used(wall=wall, processor=float("nan") if group is None else _used(group))


@contextmanager
def _group() -> Iterator[Path | None]:
    group = None
    for root in _ROOTS:
        made = root / f"benchmark-{os.getpid()}"
        try:
            made.mkdir()
        except OSError:
            continue
        if (made / "cgroup.procs").exists():
            group = made
            break
    try:
        yield group
    finally:
        if group is not None:
            _remove(group)


def _used(group: Path) -> float:
    usage = group / "cpuacct.usage"
    if usage.exists():
        return int(usage.read_text()) / 1e9
    return int((group / "cpu.stat").read_text().split()[1]) / 1e6


def _remove(group: Path) -> None:
    for _ in range(100):
        try:
            group.rmdir()
        except OSError:
            time.sleep(0.02)  # its last processes are about to end
        else:
            return
