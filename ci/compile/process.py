"""One child process: started, answered, bounded in time, and read back."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from ci.compile import failure
from ci.compile.capture import serve
from ci.compile.interpreter import child_environment, find_python, live_environment
from ci.compile.services import Capture, function_arn
from ci.compile.volatile import settle
from ci.definition.read import read_json
from ci.project.model import CompileMode, ModuleSource, Target

# The child's package is put on its path only until it is imported: no module of `ci` is.
_START = (
    "import sys; sys.path[0] == '' and sys.path.pop(0); sys.path.insert(0, sys.argv.pop(1));"
    " import sagemaker_gitops_child.__main__ as child; del sys.path[0]; child.main()"
)
_CHILD = ["-c", _START, str(Path(__file__).parent)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What a source came to. `uploads` holds contents by `s3://` URI, `folders` the URIs that
    stand for all below them, `functions` (ARN, zip, configuration) by name."""

    document: object
    uploads: Mapping[str, bytes] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    functions: Mapping[str, tuple[str, bytes, Mapping[str, object]]] = field(default_factory=dict)
    volatile: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    isolation: str = "none: no code was run"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One child to run: the command, its environment, the request it is sent."""

    command: list[str]
    environment: Mapping[str, str]
    request: Mapping[str, Any]
    source: str
    hermetic: bool
    timeout: float
    log: Path


def compile_module(
    target: Target,
    source: ModuleSource,
    *,
    root: Path,
    environ: Mapping[str, str],
    timeout: float,
    memory: int,
    scratch: Path,
) -> Compiled:
    """Run the module's function in a child and collect what it made. See `compile_pipeline`."""
    pipeline = target.pipeline
    if not source.file.is_file():
        raise failure.no_source(source.file, root)
    hermetic = pipeline.compile is CompileMode.HERMETIC
    for name in ("home", "tmp", "uploads"):
        (scratch / name).mkdir()
    environment = (
        child_environment(
            environ, passed=pipeline.pass_environment, scratch=scratch, region=target.region
        )
        if hermetic
        else live_environment(environ, scratch=scratch, region=target.region)
    )
    job = _Job(
        command=[*find_python(pipeline.python, root=root, environ=environ), *_CHILD],
        environment=environment,
        request={
            "file": str(source.file),
            "function": source.function,
            "root": str(root),
            "working_directory": str(pipeline.working_directory or root),
            "scratch": str(scratch),
            "kwargs": dict(pipeline.kwargs),
            "region": target.region,
            "role": target.role,
            "account": target.account,
            "bucket": target.bucket,
            "pipeline_name": target.pipeline_name,
            "hermetic": hermetic,
            "memory": memory,
        },
        source=f"{_relative(source.file, root)}:{source.function}",
        hermetic=hermetic,
        timeout=timeout,
        log=scratch / "log",
    )
    capture = Capture(
        role=target.role, account=target.account, region=target.region, bucket=target.bucket
    )
    reply = _run(job, capture)
    if "error" in reply:
        raise failure.from_reply(
            reply,
            refused=capture.refused,
            place=failure.Place(root=root, source=job.source, python=job.command[0], log=job.log),
        )
    return _collect(reply, capture, job)


def _collect(reply: Mapping[str, Any], capture: Capture, job: _Job) -> Compiled:
    uploads = {
        f"s3://{bucket}/{key}": Path(file).read_bytes() for bucket, key, file in reply["objects"]
    }
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
        isolation=reply["isolation"],
    )


def _run(job: _Job, capture: Capture) -> dict[str, Any]:
    ours, theirs = socket.socketpair()
    with ExitStack() as stack:
        stack.enter_context(ours)
        log = stack.enter_context(job.log.open("wb"))
        with theirs:
            try:
                process = subprocess.Popen(
                    [*job.command, str(theirs.fileno())],
                    env=dict(job.environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            except OSError as error:
                raise failure.no_start(job.command[0], error) from None
        stack.callback(_end, process)
        return _converse(ours, job, capture, process, stack)


def _converse(
    ours: socket.socket,
    job: _Job,
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
    except (ConnectionError, ValueError):
        raise failure.died(job.source, process.wait(), job.log) from None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing of the child outlives the compile, nor what it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _relative(file: Path, root: Path) -> str:
    return str(file.relative_to(root)) if file.is_relative_to(root) else str(file)
