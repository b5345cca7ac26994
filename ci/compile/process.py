"""One child process: started, answered, bounded in time, and read back."""

import json
import os
import shlex
import socket
import stat
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path, PurePath
from typing import Any

from ci.compile import failure
from ci.compile.cache import Reads
from ci.compile.capture import serve
from ci.compile.child import Job
from ci.compile.compiled import Compiled
from ci.compile.running import RUNNING, end
from ci.compile.services import Capture, function_arn
from ci.compile.shielding import start_shielded
from ci.compile.volatile import settle
from ci.definition.read import read_json
from ci.project.model import Target


def compile_module(job: Job, target: Target) -> Compiled:
    """Run the module's function in a child and collect what it made. See `compile_pipeline`."""
    scratch = Path(job.request["scratch"])
    for name in ("home", "tmp", "uploads"):
        (scratch / name).mkdir()
    capture = Capture(
        role=target.role, account=target.account, region=target.region, bucket=target.bucket
    )
    began = time.time_ns()
    reply = _run(job, capture)
    place = failure.Place(
        root=Path(job.request["root"]), source=job.source, python=job.python[0], log=job.log
    )
    try:
        if "error" in reply:
            raise failure.from_reply(reply, refused=capture.refused, place=place)
        return _collect(reply, capture, job, began)
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        raise failure.meddled(job.source, error) from None


def _collect(reply: Mapping[str, Any], capture: Capture, job: Job, began: int) -> Compiled:
    folder = Path(job.request["scratch"]) / "uploads"
    contents = {name: _upload(folder, name) for _, _, name in reply["objects"]}
    uploads = {f"s3://{bucket}/{key}": contents[name] for bucket, key, name in reply["objects"]}
    uploads |= {f"s3://{bucket}/{key}": body for (bucket, key), body in capture.objects.items()}
    document = read_json(reply["definition"], where=job.source)
    settled = settle(document, uploads, root=PurePath(job.request["root"]))
    return Compiled(
        document=settled.document,
        uploads=settled.uploads,
        folders=tuple(reply["folders"]),
        functions={
            name: (function_arn(capture, name), function.code, function.configuration)
            for name, function in capture.functions.items()
        },
        volatile=settled.steps,
        masks=settled.masks,
        level=reply["level"],
        isolation=reply["isolation"],
        reads=_reads(reply, job, began),
    )


def _upload(folder: Path, name: str) -> bytes:
    """A file that the child left. User code may have told any name and made any link: only a
    regular file of this folder is read."""
    file = folder / str(int(name))
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as stream:  # noqa: PTH123  no path: a descriptor
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(name)
        return stream.read()


def _reads(reply: Mapping[str, Any], job: Job, began: int) -> Reads | None:
    """What the child read, with the environment that it ran in; None for a live compile."""
    told = reply["reads"]
    if told is None:
        return None
    executable, blind = told["executable"], told["blind"]
    if job.python != [executable]:
        blind = blind or f"{shlex.join(job.python)} decides by itself which Python it starts"
    paths = [(kind, path) for kind, path in told["paths"]]
    paths += [("file", job.request["file"]), ("program", executable)]
    paths += [("packages", path) for path in told["packages"]]
    return Reads(began=began, paths=tuple(sorted(set(paths))), blind=blind)


def _run(job: Job, capture: Capture) -> dict[str, Any]:
    ours, theirs = socket.socketpair()
    with ExitStack() as stack:
        stack.enter_context(ours)
        log = stack.enter_context(job.log.open("wb"))
        with theirs:
            try:
                process = start_shielded(
                    lambda: subprocess.Popen(
                        [*job.command, str(theirs.fileno())],
                        env=dict(job.environment),
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        pass_fds=[theirs.fileno()],
                        start_new_session=True,
                    )
                )
            except OSError as error:
                raise failure.no_start(job.command[0], error) from None
        RUNNING.add(process)
        stack.callback(_end, process)
        return _converse(ours, job, capture, process, stack)


def _converse(
    ours: socket.socket,
    job: Job,
    capture: Capture,
    process: subprocess.Popen[bytes],
    stack: ExitStack,
) -> dict[str, Any]:
    deadline = time.monotonic() + job.timeout
    try:
        ours.settimeout(job.timeout)
        ours.sendall(json.dumps(job.request).encode() + b"\n")
        if job.hermetic:
            _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
            if not descriptors:
                raise ConnectionResetError
            stack.enter_context(serve(socket.socket(fileno=descriptors[0]), capture))
        data = bytearray()
        while not data.endswith(b"\n"):
            ours.settimeout(max(deadline - time.monotonic(), 0.001))
            chunk = ours.recv(1 << 20)
            if not chunk:
                raise ConnectionResetError
            data += chunk
        return json.loads(data)  # type: ignore[no-any-return]  # the child sends an object
    except TimeoutError:
        raise failure.too_slow(job.source, job.timeout, job.log) from None
    except ValueError as error:
        raise failure.meddled(job.source, error) from None
    except ConnectionError:
        try:
            status = process.wait(max(deadline - time.monotonic(), 0.001))
        except subprocess.TimeoutExpired:  # the module closed the socket, and goes on
            raise failure.too_slow(job.source, job.timeout, job.log) from None
        raise failure.died(job.source, status, job.log) from None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing of the child outlives the compile, nor what it started."""
    RUNNING.discard(process)
    end(process)
    process.wait()
