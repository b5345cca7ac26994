"""Whether an endpoint runs for a folder, and how it comes up and goes down.

A running server holds a lock on its folder, so it is the lock that tells, never a number of a
process that may be another's by now.
"""

import atexit
import contextlib
import fcntl
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from ci import __version__
from ci.errors import LocalError
from ci.local.settings import BIND, LOCK_NAME, LOG_NAME, read_record

_LOOPBACK = "127.0.0.1,localhost"
_READY_SECONDS = 180.0
_GOODBYE_SECONDS = 20.0
_POLL = 0.02
_TAIL = 2000
_HEALTH_PATH = "/_sagemaker-gitops/health"
# fmt: off
_INHERITED = frozenset({
    "HOME", "HTTPS_PROXY", "HTTP_PROXY", "LANG", "LANGUAGE", "LOGNAME", "PATH", "PYTHONDEVMODE",
    "REQUESTS_CA_BUNDLE", "SAGEMAKER_GITOPS_EMULATOR_PYTHON", "SHELL", "TMPDIR", "TZ", "USER",
    "http_proxy", "https_proxy",
})
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A running endpoint. `started` says that this call started it."""

    address: str
    pid: int
    home: Path
    region: str
    started: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """`endpoint` is None where none runs; `ready` False while it starts or its emulator does."""

    home: Path
    endpoint: Endpoint | None = None
    ready: bool = False


def up(
    home: Path,
    *,
    port: int | None = None,
    images: tuple[tuple[str, Path], ...] | None = None,
    region: str = "us-east-1",
    environ: Mapping[str, str] | None = None,
) -> Endpoint:
    """The endpoint of this folder, started where none runs. Returns once it is ready.

    Two at once get one server. `images` None takes a running server as it is; where one runs with
    other images, or is of another version of this program, it is started anew and goes on with
    its executions. Raises LocalError, with the end of the log, where it does not come up, and
    where one runs on another port or in another region than asked for.
    """
    home = home.resolve()
    with _alone(home):
        if _is_outdated(_health(home), images):
            _end(home)
        launch = partial(
            _spawn,
            _command(home, port or 0, images or (), region),
            home,
            os.environ if environ is None else environ,
        )
        endpoint = _wait_until_ready(home, launch, time.monotonic() + _READY_SECONDS)
    _check_same(endpoint, port, region)
    return endpoint


def down(home: Path) -> bool:
    """End the endpoint of this folder, in order. False where none ran."""
    home = home.resolve()
    return _is_locked(home) and _end(home)


def _end(home: Path) -> bool:
    deadline = time.monotonic() + _GOODBYE_SECONDS
    pid: int | None = None
    for number in (signal.SIGTERM, signal.SIGKILL):
        pid = _holder(home)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        while time.monotonic() < deadline:
            if not _is_locked(home):
                return True
            time.sleep(_POLL)
        deadline = time.monotonic() + 5
    raise LocalError(
        "The local endpoint does not end", where=f"process {pid}", fix=f"kill -9 {pid}"
    )


def _holder(home: Path) -> int | None:
    """The process that holds the lock: it wrote its number into the file it locked. None where
    none holds it, or where it has not come to writing yet."""
    if not _is_locked(home):
        return None
    try:
        return int((home / LOCK_NAME).read_text())
    except (OSError, ValueError):
        return None


def status(home: Path) -> Status:
    home = home.resolve()
    if not _is_locked(home):
        return Status(home=home)
    health = _health(home)
    return Status(home=home, endpoint=_endpoint(health), ready=health.get("ready") is True)


def reset(home: Path) -> None:
    """End the endpoint and forget everything it kept: records, objects, logs."""
    home = home.resolve()
    if not home.is_dir():
        return
    with _alone(home):
        if _is_locked(home):
            _end(home)
        for entry in home.iterdir():
            if entry.name in {".gitignore", "up.lock", LOCK_NAME}:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """While in here, no other process starts or resets this folder's endpoint."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        # The state stands in the user's repository, and must not make it dirty.
        (home / ".gitignore").write_text("*\n")
        lock = (home / "up.lock").open("w")
    except OSError as error:
        raise LocalError(
            "The local endpoint cannot keep its state", where=str(home), why=str(error)
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_outdated(health: Mapping[str, object], images: tuple[tuple[str, Path], ...] | None) -> bool:
    if not health:
        return False
    if health.get("version") != __version__:
        return True
    return images is not None and health.get("images") != _listed(images)


def _listed(images: tuple[tuple[str, Path], ...]) -> list[list[str]]:
    return [[pattern, str(folder)] for pattern, folder in images]


def _command(home: Path, port: int, images: tuple[tuple[str, Path], ...], region: str) -> list[str]:
    listed = json.dumps(_listed(images))
    # -I keeps the current folder and PYTHONPATH out: a repository may well have a `ci` of its own.
    return [
        sys.executable,
        "-I",
        "-m",
        "ci.local.main",
        f"--home={home}",
        f"--port={port}",
        f"--region={region}",
        f"--images={listed}",
    ]


def _spawn(command: list[str], home: Path, environ: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """A process of its own session, that outlives this one. Steps run as its user and can read
    its environment: so it inherits what it needs by name, and no secret of a CI job."""
    if find_spec("aiohttp") is None:
        raise LocalError(
            "The packages of the local endpoint are not installed",
            fix="pip install 'sagemaker-gitops[local]'",
        )
    kept = {
        name: value
        for name, value in environ.items()
        if name in _INHERITED or name.startswith(("LC_", "UV_", "SSL_", "XDG_", "PIP_"))
    }
    kept |= dict.fromkeys(("NO_PROXY", "no_proxy"), _LOOPBACK)
    log_file = home / LOG_NAME
    if log_file.exists():
        log_file.replace(log_file.with_suffix(".previous.log"))
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=home,
            env=kept,
            start_new_session=True,
        )
    atexit.register(_let_go, process)
    return process


def _let_go(process: "subprocess.Popen[bytes]") -> None:
    """A server outlives whoever launched it, and is no child that was left by mistake: Python
    would warn of one whose code nobody asked for."""
    if process.poll() is None:
        process.returncode = 0


def _wait_until_ready(
    home: Path, launch: "Callable[[], subprocess.Popen[bytes]]", deadline: float
) -> Endpoint:
    """Wait for the server of this folder; launch one as soon as none holds the folder's lock.

    A server that was just killed holds it for a moment more, so looking once is not enough.
    """
    process: subprocess.Popen[bytes] | None = None
    while time.monotonic() < deadline:
        if process is None and not _is_locked(home):
            process = launch()
        health = _health(home)
        endpoint = _endpoint(health)
        ours = process is None or (endpoint is not None and endpoint.pid == process.pid)
        if endpoint is not None and ours and health.get("ready") is True:
            return replace(endpoint, started=process is not None)
        if process is not None and process.poll() is not None:
            raise _did_not_start(home, f"its process ended with code {process.returncode}")
        time.sleep(_POLL)
    raise _did_not_start(home, "it is not ready in time")


def _did_not_start(home: Path, why: str) -> LocalError:
    log = home / LOG_NAME
    try:
        tail = log.read_text(errors="replace").strip()[-_TAIL:]
    except OSError:
        tail = ""
    return LocalError(
        "The local endpoint did not start",
        where=str(log),
        why=f"{why}\n{tail}".rstrip(),
        fix="sagemaker-gitops local down && sagemaker-gitops local up",
    )


def _check_same(endpoint: Endpoint, port: int | None, region: str) -> None:
    if port and not endpoint.address.endswith(f":{port}"):
        wanted = f"port {port}"
    elif endpoint.region != region:
        wanted = f"region {region}"
    else:
        return
    raise LocalError(
        f"The local endpoint runs at {endpoint.address} in {endpoint.region}, not with {wanted}",
        where=str(endpoint.home),
        fix="sagemaker-gitops local down  # then up again",
    )


def _endpoint(health: Mapping[str, object]) -> Endpoint | None:
    address, pid, home = health.get("address"), health.get("pid"), health.get("home")
    if not isinstance(pid, int):
        return None
    region = str(health.get("region"))
    return Endpoint(address=str(address), pid=pid, home=Path(str(home)), region=region)


def _health(home: Path) -> dict[str, object]:
    """What the server of this folder says of itself; empty where it does not answer."""
    port = read_record(home).get("port")
    if not isinstance(port, int):
        return {}
    connection = http.client.HTTPConnection(BIND, port, timeout=2)
    try:
        connection.request("GET", _HEALTH_PATH)
        document = json.loads(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    finally:
        connection.close()
    # Another program, or another folder's endpoint, may have last time's port by now.
    if not isinstance(document, dict) or document.get("home") != str(home):
        return {}
    return document


def _is_locked(home: Path) -> bool:
    try:
        file = (home / LOCK_NAME).open("r")
    except OSError:
        return False
    with file:
        try:
            # Shared: whoever looks at the same moment must not be taken for a server.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
