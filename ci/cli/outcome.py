"""Errors become messages, annotations, JSON, and exit codes: here and nowhere else."""

import os
import tempfile
import traceback
from collections.abc import Iterator, Mapping

from ci.cli.shell import Shell
from ci.errors import ExitCode, GitOpsError
from ci.text.clean import clean

DEBUG = "SAGEMAKER_GITOPS_DEBUG"


def tell_error(error: GitOpsError, shell: Shell, **beside: object) -> int:
    """Say what went wrong; the error's exit code. `beside` stands beside it in the JSON."""
    shell.warn(clean(f"error: {error}", lines=True))
    for annotation in _annotations(error, shell):
        shell.workflow("error", **annotation)  # type: ignore[arg-type]  # message and properties
    shell.emit({**beside, "error": _document(error)})
    if shell.environ.get(DEBUG) and error.__cause__ is not None:
        shell.warn("".join(traceback.format_exception(error)))
    return int(error.exit_code)


def tell_interrupt(shell: Shell) -> int:
    shell.warn("interrupted")
    shell.emit({"error": {"type": "Interrupted", "exit_code": int(ExitCode.INTERRUPTED)}})
    return int(ExitCode.INTERRUPTED)


def tell_bug(error: BaseException, shell: Shell) -> int:
    """Anything that is no GitOpsError is this program's fault, and says so."""
    trace = shell.masked("".join(traceback.format_exception(error)))
    what = f"a bug in this program: {type(error).__name__}: {error}"
    if shell.environ.get(DEBUG):
        shell.warn(trace)
        place = None
    else:
        place = _keep(trace)
    shell.warn(f"error: {what}")
    fix = f"report it, with {place}" if place else f"report it, with what {DEBUG}=1 shows"
    shell.warn(f"  fix:   {fix}; what it was doing may be done in part: run it again")
    shell.workflow("error", what)
    document = {"type": type(error).__name__, "what": what, "where": place, "fix": fix}
    shell.emit({"error": {**document, "exit_code": int(ExitCode.BUG)}})
    return int(ExitCode.BUG)


def _keep(trace: str) -> str | None:
    """The file that holds the traceback, readable by this user alone; None on a full disk."""
    try:
        number, name = tempfile.mkstemp(prefix="sagemaker-gitops-bug-", suffix=".txt")
        with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(trace)
    except OSError:
        return None
    return name


def _document(error: GitOpsError) -> dict[str, object]:
    document: dict[str, object] = {
        "type": type(error).__name__,
        "what": error.what,
        "where": error.where,
        "why": error.why,
        "fix": error.fix,
        "exit_code": int(error.exit_code),
    }
    problems = [
        {"line": each.mark.line, "column": each.mark.column, "what": each.what, "fix": each.fix}
        for each in getattr(error, "problems", ())
    ]
    return {**document, "problems": problems} if problems else document


def _annotations(error: GitOpsError, shell: Shell) -> Iterator[Mapping[str, object]]:
    """One for each problem with a line, else one for the error."""
    problems = getattr(error, "problems", ())
    for problem in problems:
        mark = problem.mark
        file = _relative(str(getattr(error, "file", "")), shell.environ)
        place = {"file": file, "line": mark.line, "col": mark.column}
        yield {"message": problem.what + _fix(problem.fix), **place}
    if not problems:
        why = f"\n{error.why}" if error.why else ""
        yield {"message": error.what + why + _fix(error.fix), "title": type(error).__name__}


def _fix(text: str | None) -> str:
    return f"\nfix: {text}" if text else ""


def _relative(file: str, environ: Mapping[str, str]) -> str:
    workspace = environ.get("GITHUB_WORKSPACE", "").rstrip("/") + "/"
    return file.removeprefix(workspace) if workspace != "/" else file
