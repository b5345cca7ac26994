"""Shows what happens: on a terminal one live table, in CI one line for each change."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Protocol

from ci.execution.model import Change, ChangeKind
from ci.execution.words import (
    DURATION,
    FROM_CACHE,
    STEP_COLUMNS,
    format_change,
    format_duration,
    status_icon,
)
from ci.sagemaker.arn import pipeline_of
from ci.text.clean import output_line

_STYLES = {
    "Succeeded": "green",
    "Failed": "bold red",
    "Stopped": "yellow",
    "Stopping": "yellow",
    "Executing": "cyan",
}

_REMARK = 80


class Output(Protocol):
    """What lines are written to."""

    def write(self, text: str, /) -> int: ...

    def flush(self) -> None: ...


class Show(Protocol):
    """Where changes go. A context: what it opens it closes, whatever happens inside."""

    def __enter__(self) -> "Show": ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def change(self, change: Change) -> None:
        """Show it. Never raises for what it says."""

    def lines(self, step: str, lines: Sequence[str]) -> None:
        """Show what a running step wrote since."""


class PlainShow:
    """Lines for CI and files. `groups` wraps them in GitHub's foldable log groups."""

    def __init__(
        self, out: Output, *, title: str, groups: bool, now: Callable[[], datetime] | None = None
    ) -> None:
        self._out = out
        self._title = output_line(title)
        self._groups = groups
        self._now = now or (lambda: datetime.now(UTC))

    def __enter__(self) -> "PlainShow":
        self._open(self._title)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def change(self, change: Change) -> None:
        moment = (change.at or self._now()).astimezone(UTC)
        self._write(f"{moment:%H:%M:%S}Z  {format_change(change)}")

    def lines(self, step: str, lines: Sequence[str]) -> None:
        for line in lines:
            self._write(f"{output_line(step)} | {output_line(line, limit=None)}")

    def _open(self, title: str) -> None:
        self._write(f"::group::{output_line(title)}" if self._groups else output_line(title))

    def _close(self) -> None:
        if self._groups:
            self._write("::endgroup::")

    def _write(self, line: str) -> None:
        encoding = getattr(self._out, "encoding", None) or "utf-8"
        safe = line.encode(encoding, errors="replace").decode(encoding)
        self._out.write(safe + "\n")
        self._out.flush()


class LateShow(PlainShow):
    """Lines for what happens from now on: of an execution that has ended, most likely nothing."""

    def __init__(self, out: Output, *, since: datetime) -> None:
        super().__init__(out, title="", groups=False)
        self._since = since

    def __enter__(self) -> "LateShow":
        return self

    def change(self, change: Change) -> None:
        if change.at is None or change.at >= self._since:
            super().change(change)


class LiveShow:
    """One table on a terminal: a row for each step, with its status and how long it takes. It goes
    when the show ends: the report that follows has the same table, and more."""

    def __init__(self, *, title: str, clock: Callable[[], float] = time.time) -> None:
        from rich.console import Console
        from rich.live import Live

        self._title = output_line(title)
        self._clock = clock
        self._rows: dict[tuple[str, str], _Row] = {}
        self._status: dict[str, str] = {}
        self._console: Any = Console(file=sys.stderr)
        self._live: Any = Live(
            get_renderable=self.render, console=self._console, refresh_per_second=2, transient=True
        )

    def __enter__(self) -> "LiveShow":
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def change(self, change: Change) -> None:
        match change.kind:
            case ChangeKind.STATUS:
                self._status[change.arn] = format_change(change)
            case ChangeKind.TROUBLE | ChangeKind.RECOVERED | ChangeKind.UNKNOWN:
                self.say(format_change(change))
            case _ if change.step is not None:
                row = self._rows.setdefault((change.arn, change.step), _Row())
                row.take(change, self._clock())

    def lines(self, step: str, lines: Sequence[str]) -> None:
        for line in lines:
            self.say(f"{output_line(step)} | {output_line(line, limit=None)}")

    def render(self) -> Any:
        """The table as it is now; rich asks for it twice a second."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        several = len({arn for arn, _ in self._rows}) > 1
        said = Text("\n".join(self._status.values()) or self._title)
        table = Table(
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            show_edge=False,
            caption=said,
            caption_justify="left",
        )
        for heading in STEP_COLUMNS:
            justify: Literal["left", "right"] = "right" if heading == DURATION else "left"
            table.add_column(heading, overflow="fold", justify=justify)
        for (arn, step), row in list(self._rows.items()):
            name = f"{pipeline_of(arn)}/{step}" if several else step
            table.add_row(
                Text(f"{status_icon(row.status)} {output_line(name)}"),
                Text(output_line(row.kind)),
                Text(output_line(row.status), style=_STYLES.get(row.status, "")),
                Text(row.took(self._clock())),
                Text(output_line(row.remark, limit=_REMARK)),
            )
        return table

    def say(self, line: str) -> None:
        """A line above the table; whole, so that what is copied from it is."""
        from rich.text import Text

        self._console.print(Text(line), soft_wrap=True)


class _Row:
    def __init__(self) -> None:
        self.kind = ""
        self.status = ""
        self.remark = ""
        self._began: float | None = None
        self._seconds: float | None = None

    def take(self, change: Change, now: float) -> None:
        self.kind = change.step_kind or self.kind
        if change.kind is ChangeKind.STEP:
            self.status = change.status or self.status
            self._seconds = change.seconds
            if self._began is None:
                self._began = change.at.timestamp() if change.at and not change.seconds else now
            if change.detail:
                self.remark = change.detail
        elif change.kind is ChangeKind.CACHE_HIT:
            self.remark = FROM_CACHE
        else:
            self.remark = format_change(change).partition(": ")[2]

    def took(self, now: float) -> str:
        if self._seconds is not None:
            return format_duration(self._seconds)
        if self._began is None or self.status in {"Succeeded", "Failed", "Stopped"}:
            return ""
        return format_duration(now - self._began)


def open_show(out: Output, environ: Mapping[str, str], *, title: str) -> Show:
    """The live table where a person watches, lines everywhere else (CI sets CI=true)."""
    in_ci = environ.get("CI", "").lower() in {"true", "1"} or "CODEBUILD_BUILD_ID" in environ
    if not in_ci and sys.stderr.isatty() and environ.get("TERM") != "dumb":
        return LiveShow(title=title)
    return PlainShow(out, title=title, groups=environ.get("GITHUB_ACTIONS") == "true")
