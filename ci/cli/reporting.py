"""Where the reports of a command go: files, the comment, the job's summary and outputs, JSON."""

import argparse
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ci.cli.outcome import tell_error
from ci.cli.shell import Shell
from ci.cli.workflow import write_outputs
from ci.errors import ExitCode, GitOpsError, Interrupted, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ci.report.model import Report
    from ci.session.session import Session


class Reporter:
    """One for each run of a command. `publish` may be called often, `conclude` once."""

    def __init__(
        self, arguments: argparse.Namespace, shell: Shell, session: "Session", *, several: bool
    ) -> None:
        from ci.cli.forging import open_session_forge
        from ci.posting.board import Time, marks_commits, open_board
        from ci.posting.place import find_place
        from ci.posting.publish import ReportFiles, default_base
        from ci.text.redact import Redactor

        self._shell = shell
        self._trigger = session.trigger
        settings = session.project.report
        # First: what it reads to be opened must be hidden from all that follows.
        forge = None
        comment = arguments.comment != "false"
        if comment or marks_commits(session):
            forge = open_session_forge(shell, session, warn=self._warn)
        self._redactor = Redactor(shell.hidden, mask_accounts=settings.mask_accounts)
        base = shell.cwd / arguments.report if arguments.report else None
        self._files = ReportFiles(
            base=base or default_base(session.project.root, session.environment),
            several=several or base is None,
            redactor=self._redactor,
        )
        self._place = find_place(session.project.file, session.environ)
        self._board = None
        if forge is not None:
            self._board = open_board(
                forge,
                session,
                place=self._place,
                redactor=self._redactor,
                warn=self._warn,
                comment=comment,
                oidc=bool(arguments.role_to_assume),
                time=Time(left=shell.left, hurry=shell.hurry),
            )
        self._file: Path | None = None
        self._unwritten: GitOpsError | None = None

    def mask(self, text: str) -> str:
        """Text without the secrets that reports hide."""
        return self._redactor.text(text)

    def commit_order(self) -> "Sequence[str]":
        return () if self._board is None else self._board.commit_order()

    def publish(self, report: "Report") -> None:
        """Bring files, comment and marks to this report. Files that cannot be written end nothing:
        an execution may be running, and the comment is still there to tell of it."""
        report = replace(report, project=self._place.project)
        try:
            self._file, self._unwritten = self._files.write(report), None
        except UsageError as error:
            if self._unwritten is None:
                self._warn(str(error))
            self._unwritten = error
        if self._board is not None:
            self._board.post(report)

    def refuse(
        self, error: GitOpsError, pipelines: "Sequence[str]", *, planned: bool = False
    ) -> None:
        """What ended the run before anything was started, where the commit's check runs stand;
        `planned` where nothing was to be started."""
        if self._board is not None:
            self._board.refuse(error, self._trigger, tuple(pipelines), planned=planned)
            self._board.close(self._warn)

    def hurry(self) -> None:
        """A signal asked this job to end: from now on posting has seconds."""
        self._shell.hurry()

    def wait(self) -> None:
        """Until what is being posted stands there, or no time is left."""
        if self._board is not None:
            self._board.wait()

    def close(self) -> None:
        """Wait for what is being posted, and tell what was refused."""
        if self._board is not None:
            self._board.close(self._warn)

    def conclude(
        self,
        reports: "Sequence[Report]",
        error: GitOpsError | None = None,
        *,
        beside: "Mapping[str, object] | None" = None,
        brief: bool = False,
    ) -> ExitCode:
        """What a command shows at its end; `error` is what ended it early, `beside` what its JSON
        tells besides; `brief` leaves out how the execution went. The code says whether all of it
        could be written."""
        from ci.report.document import report_to_json
        from ci.report.terminal import list_outcomes, render_terminal

        reports = [replace(report, project=self._place.project) for report in reports]
        for index, report in enumerate(reports):
            shown = render_terminal(
                report,
                width=self._shell.columns,
                color=self._shell.color,
                redactor=self._redactor,
                brief=brief,
            )
            self._shell.show(("\n" if index else "") + shown.rstrip("\n"))
        if len(reports) > 1:
            self._shell.show("\n" + self._redactor.text(list_outcomes(reports)))
        try:
            self._write_job_files(reports)
        except UsageError as broken:
            self._unwritten = broken
        except OSError as broken:
            self._unwritten = UsageError(
                f"the job's files cannot be written: {broken.strerror}", where=str(broken.filename)
            )
        self.close()
        documents = [report_to_json(report, redactor=self._redactor) for report in reports]
        told = error or self._unwritten
        if told is None:
            self._shell.emit({**(beside or {}), "reports": documents})
        else:
            tell_error(told, self._shell, **(beside or {}), reports=documents)
        return ExitCode.OK if self._unwritten is None else self._unwritten.exit_code

    def _write_job_files(self, reports: "Sequence[Report]") -> None:
        from ci.posting.forging import job_outputs, write_job_summary
        from ci.text.redact import Redactor

        write_job_summary(reports, self._shell.environ, self._redactor)
        # Accounts stay in the outputs: later steps call AWS with these ARNs.
        whole = Redactor(self._shell.hidden)
        write_outputs(self._shell.environ, job_outputs(reports, self._file, whole))

    def _warn(self, problem: str) -> None:
        self._shell.warn(f"warning: {problem}")
        self._shell.workflow("warning", problem)


@contextmanager
def told_on_checks(
    arguments: argparse.Namespace,
    shell: Shell,
    session: "Session",
    pipelines: "Sequence[str]",
    *,
    planned: bool = False,
) -> "Iterator[None]":
    """Around what comes before anything is started: its errors are told beside the commit too.
    `planned`: nothing is to be started."""
    try:
        yield
    except GitOpsError as error:
        if not isinstance(error, Interrupted):
            Reporter(arguments, shell, session, several=False).refuse(
                error, pipelines, planned=planned
            )
        raise
