"""What a command is handed: the composition root's values, and how it speaks."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ci.cli.workflow import in_github, workflow_command
from ci.errors import ForgeError
from ci.text.clean import inert_output
from ci.text.redact import Redactor

if TYPE_CHECKING:
    from ci.project.model import Project


_SLICE = 0.25  # seconds
# GitHub sends SIGTERM 7.5 s after SIGINT, which ends this program at once.
_LAST_SECONDS = 6.0


@dataclass(slots=True)
class Learned:
    """What became known while the command ran: secrets, whether accounts are masked, and when
    the job has to be over, by the shell's clock: never, until it is ending."""

    secrets: list[str] = field(default_factory=list)
    mask_accounts: bool = False
    ends: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """The outside world of one run.

    `clock` gives epoch seconds, `sleep` takes seconds. With `json` the one document on `stdout`
    is `emit`'s: what is done on the way is said on `stderr`, and what came of it is not shown.
    `columns` is the terminal's width, None where there is no terminal: then no line is wrapped.
    `project_file` is the option's value.
    """

    environ: Mapping[str, str]
    cwd: Path
    stdout: TextIO
    stderr: TextIO
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    stdin: TextIO | None = None
    json: bool = False
    color: bool = False
    columns: int | None = None
    project_file: Path | None = None
    secrets: tuple[str, ...] = ()
    learned: Learned = field(default_factory=Learned, repr=False)

    def learn(self, secret: str) -> None:
        """Hide this value from now on: a token that was read while the command ran."""
        if secret and secret not in self.learned.secrets:
            self.learned.secrets.append(secret)

    def mask_accounts(self) -> None:
        """Show no account id to people from now on; the JSON of `emit` is for programs, which
        call AWS with it."""
        self.learned.mask_accounts = True

    def hurry(self) -> None:
        """This job is ending: from now on the forge has seconds, for all that is still asked of
        it together. May be called in a signal handler."""
        self.learned.ends = min(self.learned.ends, self.clock() + _LAST_SECONDS)

    def left(self) -> float:
        """Seconds that the forge may still take; infinity until the job is ending."""
        return max(0.0, self.learned.ends - self.clock())

    def pause(self, seconds: float) -> None:
        """Wait for a forge to take requests again. ForgeError, also in the middle of a wait, where
        that takes longer than this job has."""
        left = seconds
        while left > 0:
            if left > self.left():
                raise ForgeError(
                    f"the forge asks to wait {seconds:.0f} seconds", why="this job is ending"
                )
            step = min(left, _SLICE)
            self.sleep(step)
            left -= step

    @property
    def hidden(self) -> tuple[str, ...]:
        """Every value that nobody may read."""
        return (*self.secrets, *self.learned.secrets)

    def say(self, text: str = "") -> None:
        """What is done on the way, for people: masked, and inert where a runner reads commands."""
        self._write(self.stderr if self.json else self.stdout, text)

    def show(self, text: str) -> None:
        """What came of it, for people; `emit` tells it to programs."""
        if not self.json:
            self._write(self.stdout, text)

    def warn(self, text: str) -> None:
        self._write(self.stderr, text)

    def ask(self, question: str) -> str:
        """A person's answer, at the end of the question's line; empty where the input has ended."""
        self.stderr.write(self.masked(question))
        self.stderr.flush()
        answer = "" if self.stdin is None else self.stdin.readline()
        if not answer:
            self.stderr.write("\n")
        return answer

    def emit(self, document: object) -> None:
        """The command's one JSON document; nothing without `--json`."""
        if self.json:
            shown = _redactor(self.hidden).value(document)
            self.stdout.write(json.dumps(shown, indent=2, ensure_ascii=False) + "\n")
            self.stdout.flush()

    def workflow(self, name: str, message: str = "", **properties: object) -> None:
        """A workflow command (`error`, `group`, `endgroup`, ...); nothing outside of GitHub."""
        if in_github(self.environ):
            line = workflow_command(name, self.masked(message), properties)
            self.stderr.write(line + "\n")
            self.stderr.flush()

    def masked(self, text: str) -> str:
        """`text` without secrets, and without accounts where those are masked."""
        return _redactor(self.hidden, mask_accounts=self.learned.mask_accounts).text(text)

    def find_project(self) -> Path:
        """The project file: the one that was named, else the nearest one upwards."""
        if self.project_file is not None:
            return self.cwd / self.project_file
        from ci.project.load import find_project

        return find_project(self.cwd)

    def load_project(self) -> "Project":
        from ci.project.load import load_project

        return load_project(self.find_project())

    def _write(self, stream: TextIO, text: str) -> None:
        text = self.masked(text)
        stream.write((inert_output(text) if in_github(self.environ) else text) + "\n")
        stream.flush()


@lru_cache(maxsize=4)
def _redactor(secrets: tuple[str, ...], *, mask_accounts: bool = False) -> Redactor:
    return Redactor(secrets, mask_accounts=mask_accounts)


def wants_color(environ: Mapping[str, str], *, is_tty: bool) -> bool:
    """no-color.org and force-color.org; a dumb terminal has none."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return environ["FORCE_COLOR"] != "0"
    return is_tty and environ.get("TERM") != "dumb"
