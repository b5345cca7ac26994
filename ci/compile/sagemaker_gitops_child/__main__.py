"""The conversation with the parent, over one Unix socket whose number is the only argument.

The parent sends a request. The child sends the socket its AWS calls will reach, so that it may
live in a network namespace of its own, and at the end one reply.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from .isolation import (
    guard_network,
    isolate,
    keep_source_folders_clean,
    limit,
    listen,
    name_temporary_files,
)
from .reads import Reads
from .sdk import Finder, Mends, Uploads
from .source import compile_source, describe_error, versions


def enter(request: dict[str, Any], connection: socket.socket, reached: list[str]) -> str:
    """Cut this process off; say how."""
    if not request["hermetic"]:
        return "none: compile: live"
    isolation = isolate([request["file"], request["root"], request["scratch"]])
    with listen() as listener:
        port = int(listener.getsockname()[1])
        socket.send_fds(connection, [b"L"], [listener.fileno()])
    os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
    guard_network(port, reached)
    return isolation


def main() -> None:
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    with connection.makefile("rb") as lines:
        request: dict[str, Any] = json.loads(lines.readline())
    limit(request["memory"])
    reached: list[str] = []
    isolation = enter(request, connection, reached)
    os.chdir(request["working_directory"])
    keep_source_folders_clean()
    name_temporary_files()
    uploads = Uploads(Path(request["scratch"]) / "uploads")
    reads = Reads([request["scratch"]]) if request["hermetic"] else None
    if reads is not None:
        reads.watch()
    sys.meta_path.insert(0, Finder(Mends(request, uploads).apply))
    reply: dict[str, Any] = {}
    try:
        reply["definition"] = compile_source(request)
    except BaseException as error:  # noqa: BLE001  user code may raise anything at all
        reply["error"] = describe_error(error, request["root"])
    reply.update(
        isolation=isolation,
        reached=reached,
        objects=uploads.objects,
        folders=uploads.folders,
        reads=reads and reads.report(),
        versions=versions(),
    )
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError, AttributeError):
            stream.flush()  # user code may have closed it
    connection.sendall(json.dumps(reply).encode("utf-8") + b"\n")
    os._exit(0)  # threads that user code left behind must not hold the compile


if __name__ == "__main__":
    main()
