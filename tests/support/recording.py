"""The calls to AWS that commands make, as botocore sees them: service, operation, parameters."""

import io
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore

from ci.cli.main import main
from support.scratch import Result


@dataclass(frozen=True, slots=True)
class Request:
    service: str
    operation: str
    parameters: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.service}:{self.operation}"


@dataclass(slots=True)
class Recorder:
    """What was called while `on`."""

    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    on: bool = False

    def run(self, *arguments: str, cwd: Path, environ: Mapping[str, str]) -> Result:
        """A command of the command line, in this process, with its calls recorded."""
        out, err = io.StringIO(), io.StringIO()
        self.on = True
        try:
            code = main(arguments, environ, stdout=out, stderr=err, cwd=cwd)
        finally:
            self.on = False
        return Result(code=code, out=out.getvalue(), err=err.getvalue())

    def take(self) -> list[Request]:
        """What was recorded so far; recorded anew from here."""
        with self.lock:
            taken, self.requests = self.requests, []
        return taken

    def note(self, params: Mapping[str, Any], model: Any, **_event: object) -> None:
        if self.on:
            service = model.service_model.service_name
            with self.lock:
                self.requests.append(Request(service, model.name, dict(params)))


@contextmanager
def recording() -> Iterator[Recorder]:
    """Every botocore session that is opened in the block tells of its calls."""
    recorder = Recorder()

    def watch(session: Any) -> None:
        session.register("provide-client-params", recorder.note)

    botocore.register_initializer(watch)
    try:
        yield recorder
    finally:
        botocore.unregister_initializer(watch)
