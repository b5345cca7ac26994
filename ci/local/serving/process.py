"""One serving process: started with its socket, asked over loopback, stopped with its group."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SERVER = Path(__file__).with_name("model_server.py")
_POLL = 0.05
_GRACE = 2.0
_LOG_TAIL = 4000


class NotReady(Exception):
    """The process did not come to answer; the text ends with its last lines of log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What /invocations said."""

    status: int
    content_type: str
    body: bytes


class ServingProcess:
    """A running model server. Dies with this process: its standard input is the lifeline."""

    def __init__(
        self,
        *,
        command: Sequence[str],
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        """`command` runs a Python script. `on_stop` is called once the process has been stopped,
        with its whole log in `folder/log`."""
        self.log = folder / "log"
        self._on_stop = on_stop
        with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
            self.port: int = listener.getsockname()[1]
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    [*command, str(_SERVER), str(listener.fileno()), *arguments],
                    env=dict(environment),
                    cwd=folder,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=[listener.fileno()],
                    start_new_session=True,
                )

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return self._process.poll() is None

    def wait_ready(self, timeout: float) -> None:
        """Ping until it answers. NotReady where it ends first, or where the time is over."""
        end = time.monotonic() + timeout
        while True:
            if not self.alive():
                raise NotReady(f"it ended with code {self._process.returncode}{self._tail()}")
            left = end - time.monotonic()
            if left <= 0:
                raise NotReady(f"no answer to GET /ping within {timeout:g} s{self._tail()}")
            try:
                if self._request("GET", "/ping", b"", {}, min(left, 2.0)).status == 200:
                    return
            except OSError:
                pass
            time.sleep(_POLL)

    def invoke(self, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
        """OSError (TimeoutError among them) where no answer comes."""
        return self._request("POST", "/invocations", body, headers, timeout)

    def _request(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return Answer(
                status=response.status,
                content_type=response.getheader("Content-Type", "application/octet-stream"),
                body=response.read(),
            )
        except http.client.HTTPException as error:
            raise ConnectionError(f"no HTTP answer: {error!r}") from error
        finally:
            connection.close()

    def _tail(self) -> str:
        text = self.log.read_bytes()[-_LOG_TAIL:].decode("utf-8", "replace").strip()
        return ". Its log ends with:\n" + text if text else ", and its log is empty"

    def stop(self) -> None:
        """End the whole process group: asked first, then killed."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        self._signal(signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        on_stop, self._on_stop = self._on_stop, lambda: None
        on_stop()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
