"""What the user's Python can reach of the process that compiles, before it is cut off."""

import subprocess
import sys
from pathlib import Path

import pytest

from ci.compile.shielding import start_shielded

ROOT = Path(__file__).parents[2]
# Run by a process with a token: starts another, which looks at its parent. Root may read
# everything, so it becomes another user, which alone would close it: it is opened again.
PARENT = """
import ctypes, os, subprocess, sys
sys.path.insert(0, sys.argv[1])
import concurrent.futures.thread
from ci.compile.shielding import start_shielded
if os.getuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
start = lambda: subprocess.Popen(["sh", "-c", sys.argv[2]], stdout=subprocess.PIPE)
process = start_shielded(start) if sys.argv[3] == "shielded" else start()
sys.stdout.buffer.write(process.communicate()[0])
"""
CHILD = """
for name in environ maps; do cat /proc/$PPID/$name >/dev/null 2>&1 && echo $name; done
grep NoNewPrivs /proc/self/status
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
@pytest.mark.parametrize(
    ("way", "reached"),
    [("plain", ["environ", "maps", "NoNewPrivs:", "0"]), ("shielded", ["NoNewPrivs:", "1"])],
)
def test_a_child_cannot_read_its_parent_nor_gain_rights(way: str, reached: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARENT, str(ROOT), CHILD, way], capture_output=True, check=True
    )
    assert done.stdout.decode().split() == reached


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_the_process_that_starts_keeps_its_rights() -> None:
    start_shielded(lambda: subprocess.Popen(["true"])).wait()
    assert "NoNewPrivs:\t0" in Path("/proc/self/status").read_text()
