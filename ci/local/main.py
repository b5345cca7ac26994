"""The process of the local endpoint: `python -I -m ci.local.main --home FOLDER`.

Puts the parts together, answers until told to end, and leaves a state that the next start goes
on from. It holds a lock on its folder while it lives, so that two never share one.
"""

import argparse
import asyncio
import fcntl
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from ci.errors import GitOpsError
from ci.local.settings import LOCK_NAME, Settings

ALREADY_RUNNING = 75
_LOOKS, _LOOK_SECONDS = 20, 0.01


def main(arguments: Sequence[str] | None = None) -> int:
    from ci.local.endpoint import serve

    settings = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / LOCK_NAME).open("a") as lock:
        if not take_lock(lock):
            sys.stderr.write(f"another endpoint already serves {settings.home}\n")
            return ALREADY_RUNNING
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            asyncio.run(serve(settings))
        except GitOpsError as error:
            sys.stderr.write(f"{error}\n")
            return int(error.exit_code)
    return 0


def parse_arguments(arguments: Sequence[str]) -> Settings:
    parser = argparse.ArgumentParser(prog="python -m ci.local.main", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder of the state")
    parser.add_argument("--port", type=int, default=0, help="default: as last time, else any")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument(
        "--images", default="[]", help='JSON: [["image pattern", "environment folder"], ...]'
    )
    given = parser.parse_args(arguments)
    return Settings(
        home=given.home.resolve(),
        port=given.port,
        region=given.region,
        images=tuple((pattern, Path(folder)) for pattern, folder in json.loads(given.images)),
    )


def take_lock(file: IO[str]) -> bool:
    """Hold the lock as long as the file is open; False where another server holds it. Whoever
    looks whether one does holds it for a moment, which is waited out."""
    for _ in range(_LOOKS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOOK_SECONDS)
        else:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())
