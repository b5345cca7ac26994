"""The emulator that serves everything but SageMaker: MiniStack, as a child process.

It lives in an environment of its own, because it pins a botocore that this project cannot share,
made once per lock file in the user's cache. It binds loopback alone and sees no real credential.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from ci.errors import LocalError

_LOG = logging.getLogger("ci.local")
_HERE = Path(__file__).parent
REQUIREMENTS = _HERE / "emulator-requirements.txt"
PYTHON_VARIABLE = "SAGEMAKER_GITOPS_EMULATOR_PYTHON"
SERVICES = (
    "s3,sts,iam,lambda,events,scheduler,sns,sqs,logs,ssm,secretsmanager,codebuild,monitoring,"
    "cloudformation"
)
_READY_SECONDS = 60.0
_GOODBYE_SECONDS = 10.0
_RESTART_SECONDS = 0.5
_MOST_FAILURES = 3
_TAIL = 1500


def emulator_python(environ: Mapping[str, str]) -> Path:
    """The emulator's Python; its environment is made where it is missing (uv, locked, hashed).

    Raises LocalError where it cannot be made.
    """
    given = environ.get(PYTHON_VARIABLE)
    if given:
        if not Path(given).is_file():
            raise LocalError(f"{PYTHON_VARIABLE} names no file", where=given)
        return Path(given)
    cache = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sagemaker-gitops"
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:16]
    target = cache / f"emulator-{digest}"
    if not (target / "ready").is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / f"emulator-{digest}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (target / "ready").is_file():
                _make_environment(target, environ)
    return target / "bin" / "python"


def _make_environment(target: Path, environ: Mapping[str, str]) -> None:
    """Made in its final place, since environments hold their own path; `ready` comes last."""
    shutil.rmtree(target, ignore_errors=True)
    uv = find_uv(environ)
    _run_uv([uv, "venv", "--quiet", "--python", sys.executable, str(target)], environ)
    python = str(target / "bin" / "python")
    install = [uv, "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
    install += ["--compile-bytecode", "--python", python, "-r", str(REQUIREMENTS)]
    _run_uv(install, environ)
    (target / "ready").write_text(f"{REQUIREMENTS.name}\n")


def find_uv(environ: Mapping[str, str]) -> str:
    """The uv that this program brings, else the one on PATH. LocalError where there is none."""
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv", path=environ.get("PATH"))
        if found is None:
            raise LocalError(
                "uv is needed to install packages, and is not there",
                fix="pip install 'sagemaker-gitops[local]'",
            ) from None
        return found


def _run_uv(command: list[str], environ: Mapping[str, str]) -> None:
    # In the root folder: settings for uv that a repository holds are about that repository.
    result = subprocess.run(
        command, capture_output=True, text=True, env=environ, cwd="/", check=False
    )
    if result.returncode != 0:
        raise LocalError(
            "The emulator of the local endpoint could not be installed",
            where=" ".join(command),
            why=result.stderr.strip()[-2000:],
            fix=f"see that the package index can be reached, or set {PYTHON_VARIABLE} to the"
            " Python of an environment made from emulator-requirements.txt",
        )


class Emulator:
    """The child process, watched: where it dies it is started again on the same port."""

    def __init__(
        self,
        *,
        python: Path,
        home: Path,
        region: str,
        front: str,
        ready_seconds: float = _READY_SECONDS,
    ) -> None:
        self._python = python
        self._home = home
        self._region = region
        self._front = front
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self.port = _free_port()
        self.ready = asyncio.Event()
        self.failed = asyncio.Event()
        self._was_ready = False
        self._ready_seconds = ready_seconds
        self._fault = ""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start the child. `ready` is set when it answers."""
        await self._end_leftover()
        await self._spawn()
        self._watch = asyncio.create_task(self._guard())

    async def stop(self) -> None:
        """End the child the orderly way, so that it saves its state."""
        if self._watch is not None:
            self._watch.cancel()
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._process.wait(), _GOODBYE_SECONDS)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._pid_file.unlink(missing_ok=True)

    @property
    def _log_file(self) -> Path:
        return self._home / "emulator.log"

    @property
    def _pid_file(self) -> Path:
        return self._home / "emulator.pid"

    async def _spawn(self) -> None:
        for folder in ("s3", "emulator", "tmp"):
            (self._home / folder).mkdir(parents=True, exist_ok=True)
        with self._log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(self._python),
                "-I",
                str(_HERE / "emulator_child.py"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                cwd=self._home / "tmp",
            )
        self._pid_file.write_text(f"{self._process.pid}\n")

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | {
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "SERVICES": SERVICES,
            "SFTP_ENABLED": "0",
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self._home / "s3"),
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self._home / "emulator"),
            "TMPDIR": str(self._home / "tmp"),
            "MINISTACK_REGION": self._region,
            "LOG_LEVEL": "WARNING",
            # What Lambda functions are given: the front, which knows SageMaker too.
            "AWS_ENDPOINT_URL": self._front,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    async def _guard(self) -> None:
        """Nobody waits for an emulator that nobody starts."""
        try:
            await self._keep_alive()
        except Exception as error:  # noqa: BLE001 - told to whoever started the endpoint
            _LOG.exception("the emulator cannot be started again")
            self._fault = f"{type(error).__name__}: {error}"
            self.failed.set()

    async def _keep_alive(self) -> None:
        failures = 0
        while self._process is not None:
            process = self._process
            answering = asyncio.create_task(self._wait_until_ready())
            code = await process.wait()
            answering.cancel()
            failures = 0 if self.ready.is_set() else failures + 1
            self.ready.clear()
            if failures == _MOST_FAILURES:
                self.failed.set()
                return
            _LOG.error("the emulator ended with code %s; starting it again", code)
            await asyncio.sleep(_RESTART_SECONDS)
            if failures and not self._was_ready:
                # Nobody knows the port yet, and another program may have been given it.
                self.port = _free_port()
            await self._spawn()

    def failure(self) -> LocalError:
        """Why it does not run, in its own last words."""
        try:
            tail = self._log_file.read_text(errors="replace").strip()[-_TAIL:]
        except OSError as error:
            tail = str(error)
        return LocalError(
            "The emulator of the local endpoint cannot be kept running",
            where=str(self._log_file),
            why=self._fault or tail or f"it did not answer within {self._ready_seconds:.0f} s",
        )

    async def _wait_until_ready(self) -> None:
        deadline = asyncio.get_running_loop().time() + self._ready_seconds
        while asyncio.get_running_loop().time() < deadline:
            if await _answers(self.port):
                self.ready.set()
                self._was_ready = True
                return
            await asyncio.sleep(0.02)
        _LOG.error("the emulator did not answer within %.0f s", self._ready_seconds)
        if self._process is not None and self._process.returncode is None:
            # One that hangs is as good as one that ended: it is started anew, or given up.
            self._process.kill()

    async def _end_leftover(self) -> None:
        """Wait for the emulator of a killed server to save its state and go."""
        try:
            pid = int(self._pid_file.read_text())
        except (OSError, ValueError):
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not _is_emulator(pid):
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            for _ in range(200):
                if not _is_emulator(pid):
                    return
                await asyncio.sleep(0.025)


def _is_emulator(pid: int) -> bool:
    """Whether this process is one of ours: numbers of dead processes are given out again."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"emulator_child.py" in command


async def _answers(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(b"GET /_ministack/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return b" 200 " in await asyncio.wait_for(reader.readline(), 5)
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
