"""Why a module did not become a definition, as errors that say where and what to do."""

import signal
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ci.errors import CompileError

_TAIL = 12  # lines of the module's own output that an error shows
_LIVE = "compile: live  # this pipeline may read AWS while it compiles"


def no_source(file: Path, root: Path) -> CompileError:
    nearby = sorted(str(path.relative_to(root)) for path in root.glob("**/pipeline*.py"))[:5]
    return CompileError(
        "The pipeline's source does not exist.",
        where=str(file),
        why=f"files of that kind here: {', '.join(nearby)}" if nearby else None,
        fix="source: path/to/pipeline.py:get_pipeline",
    )


def no_start(python: str, error: OSError) -> CompileError:
    return CompileError(
        f"The Python for this pipeline cannot be started: {error.strerror}.",
        where=python,
        fix="python: .venv/bin/python",
    )


def too_slow(source: str, timeout: float, log: Path) -> CompileError:
    return CompileError(
        f"The pipeline did not compile within {timeout:g} seconds.",
        where=source,
        why=_with_tail("a loop without an end, or something it waits for that never comes", log),
        fix="Build the pipeline without waiting for anything: compile only makes a definition.",
    )


def died(source: str, status: int, log: Path) -> CompileError:
    if status < 0:
        name = signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
        what = f"Compiling was ended by {name}."
        why = "out of memory, most likely" if name == "SIGKILL" else "a crash in native code"
    else:
        what = f"Compiling ended with exit code {status} before there was a pipeline."
        why = "the module ends the process by itself, or this Python is older than 3.9"
    return CompileError(what, where=source, why=_with_tail(why, log))


def from_reply(
    reply: Mapping[str, Any],
    *,
    refused: Sequence[str],
    root: Path,
    source: str,
    python: str,
    log: Path,
) -> CompileError:
    """The error that the child's reply tells of."""
    error, versions = reply["error"], reply["versions"]
    message = error["message"]
    match error["kind"]:
        case "sdk_missing":
            return CompileError(
                "The SageMaker SDK is not installed in the Python that compiles this pipeline.",
                where=f"{python} (Python {versions['python']})",
                why=f"{source} imports {error.get('module') or 'sagemaker'}"
                + (f"; sagemaker {versions['sagemaker']} is" if "sagemaker" in versions else ""),
                fix=f"uv pip install --python {python} sagemaker\n"
                "or name another one in the project file:  python: .venv/bin/python",
            )
        case "module_missing":
            return CompileError(
                f"{source} imports {error['module']}, which cannot be found.",
                where=_place(error["frames"], root) or source,
                why=f"it is not installed in {python} (Python {versions['python']}), and stands"
                " in no folder that is searched",
                fix=f"uv pip install --python {python} {error['module'].split('.')[0]}",
            )
        case "no_function":
            known = error["known"]
            return CompileError(
                f"{source}: {message}.",
                where=source,
                why=f"its functions are {', '.join(known)}" if known else None,
                fix=f"source: {source.rpartition(':')[0]}:{known[0] if known else 'get_pipeline'}",
            )
        case "unknown_kwargs":
            return CompileError(
                f"{source} does not take {message}.",
                where=source,
                why=f"it takes {', '.join(error['known']) or 'no arguments'}",
                fix="Take it out of `kwargs:`, or add it to the function.",
            )
        case "missing_kwargs":
            return CompileError(
                f"{source} needs {message}, which nobody gives.",
                where=source,
                why=f"without asking it is given {', '.join(error['known'])}",
                fix=f"kwargs:\n  {message.split(', ')[0]}: ...",
            )
        case "not_a_pipeline" | "not_python":
            return CompileError(
                f"{source} did not return a pipeline: {message}.",
                where=source,
                fix="Return a sagemaker Pipeline: one pipeline, not a list and not its definition.",
            )
        case _:
            return _raised(error, reply["reached"], refused, root, source, log)


def _raised(
    error: Mapping[str, Any],
    reached: Sequence[str],
    refused: Sequence[str],
    root: Path,
    source: str,
    log: Path,
) -> CompileError:
    frames, message = error["frames"], str(error["message"]).strip()
    where = _place(frames, root) or source
    if error["kind"] == "exited":
        return CompileError(
            f"The module ended the process (SystemExit: {message or 0}).",
            where=where,
            why=_with_tail(_trace(frames, root), log),
            fix="Let the function return the pipeline; keep sys.exit() under __main__.",
        )
    told = f"{error['type']}: {message}" if message else error["type"]
    if reached or refused:
        wanted = [f"a connection to {host}" for host in reached] + list(refused)
        return CompileError(
            f"Compile is hermetic, and the module wanted {_listed(wanted)}.",
            where=where,
            why=textwrap.shorten(told, 500) + "\n" + _trace(frames, root),
            fix=_fix_for(refused),
        )
    return CompileError(
        f"The module raised {textwrap.shorten(told, 500)}",
        where=where,
        why=_trace(frames, root) or None,
    )


def _fix_for(refused: Sequence[str]) -> str:
    writes = ("Create", "Update", "Start", "Delete", "Put", "Add", "Stop")
    if any(name.startswith(f"sagemaker:{verb}") for name in refused for verb in writes):
        return "Return the pipeline and leave upsert() and start() to `sagemaker-gitops deploy`."
    return f"Take the value as an argument (kwargs:), or allow it:\n{_LIVE}"


def _listed(items: Sequence[str]) -> str:
    shown = list(items[:5])
    if len(items) > 5:
        shown.append(f"{len(items) - 5} more")
    return ", ".join(shown)


def _place(frames: Sequence[Sequence[Any]], root: Path) -> str | None:
    return f"{_relative(frames[-1][0], root)}:{frames[-1][1]}" if frames else None


def _trace(frames: Sequence[Sequence[Any]], root: Path) -> str:
    return "\n".join(
        f"{_relative(file, root)}:{line} in {name}: {text.strip()}"
        for file, line, name, text in frames[-6:]
    )


def _relative(file: str, root: Path) -> str:
    path = Path(file)
    return str(path.relative_to(root)) if path.is_relative_to(root) else file


def _with_tail(why: str, log: Path) -> str:
    try:
        size = log.stat().st_size
        with log.open("rb") as stream:
            stream.seek(max(size - 8192, 0))
            lines = stream.read().decode("utf-8", "replace").splitlines()[-_TAIL:]
    except OSError:
        lines = []
    shown = [textwrap.shorten(line, 200) for line in lines if line.strip()]
    return "\n".join([why, "its last output:", *shown] if shown else [why])
