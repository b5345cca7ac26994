"""The outside world of one call, as values: environment, clock, disk, log."""

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ci.execution.model import Change
from ci.execution.words import format_change
from ci.project.target import region_of_job
from ci.sagemaker.clients import Clients, open_clients
from ci.text.environment import secrets_in
from ci.text.redact import Redactor

_SCRATCH = "sagemaker-gitops"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """`clock` gives epoch seconds, `left` the seconds until the function is ended, `scratch` is a
    folder that may be there from an earlier call. `write` takes what goes into the log."""

    environ: Mapping[str, str]
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    left: Callable[[], float]
    scratch: Path
    redactor: Redactor
    write: Callable[[str], None]
    secrets: tuple[str, ...] = field(default=(), repr=False)
    _masks: list[Redactor] = field(default_factory=list, repr=False)
    _clients: dict[str, Clients] = field(default_factory=dict, repr=False)

    @property
    def region(self) -> str:
        """The function's own."""
        return region_of_job(self.environ) or "us-east-1"

    def clients(self) -> Clients:
        """With the function's own role, in its own region: CodePipeline's is the same."""
        if self.region not in self._clients:
            self._clients[self.region] = open_clients(self.region, self.environ, sleep=self.sleep)
        return self._clients[self.region]

    def clients_with(self, credentials: Mapping[str, str]) -> Clients:
        """With credentials that were handed over, for the artifacts of a job alone."""
        own = {key: value for key, value in self.environ.items() if key != "AWS_PROFILE"}
        return open_clients(self.region, {**own, **credentials}, sleep=self.sleep)

    def say(self, text: str) -> None:
        self.write(self.hidden(text))

    def hidden(self, text: str) -> str:
        """`text` as the log may hold it: without secrets, and without accounts where those are
        masked. CodePipeline itself is told the accounts: it names the execution's ARN anyway."""
        text = self.redactor.text(text)
        return self._masks[0].text(text) if self._masks else text

    def mask_accounts(self) -> None:
        """The log holds no account id from now on."""
        self._masks[:] = [Redactor(mask_accounts=True)]


def open_world(
    environ: Mapping[str, str], left: Callable[[], float], secrets: Sequence[str] = ()
) -> World:
    """The world of this process. `secrets` are those that came with the call."""
    hidden = (*secrets_in(environ), *secrets)
    return World(
        environ=environ,
        clock=time.time,
        sleep=time.sleep,
        left=left,
        scratch=Path(tempfile.gettempdir()) / _SCRATCH,
        redactor=Redactor(hidden),
        secrets=hidden,
        write=lambda text: print(text, file=sys.stdout, flush=True),
    )


class Journal:
    """Shows changes as lines of the function's log."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def change(self, change: Change) -> None:
        self._say(format_change(change))

    def lines(self, step: str, lines: Sequence[str]) -> None:
        self._say("\n".join(f"{step}: {line}" for line in lines))
