"""What has become of other processes."""

import time
from pathlib import Path


def gone(pid: int) -> bool:
    """Whether a process has ended, waited for or not, within ten seconds."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
        except FileNotFoundError:
            return True
        if state == "Z" and threads == 1:
            return True
        time.sleep(0.02)
    return False
