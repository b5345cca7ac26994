"""Why a module did not become a definition, as errors that say where and what to do."""

import re
import signal
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.errors import CompileError
from ci.project.requirements import install_sdk
from ci.text.paths import shown_path

_RELATIVE = re.compile(r"(?<![\w./-])(?:\.\./)*[\w-]+[./][\w./-]{1,200}")
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


def meddled(source: str, error: Exception) -> CompileError:
    return CompileError(
        "What the compile gave back is not what it gives.",
        where=source,
        why=f"the module changed what compiles it ({type(error).__name__}: {error})",
        fix="Build the pipeline with the SDK alone.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a compile took place: `source` is `file:function` from `root`, `python` the
    interpreter, `log` the file with the module's own output."""

    root: Path
    source: str
    python: str
    log: Path


def from_reply(reply: Mapping[str, Any], *, refused: Sequence[str], place: Place) -> CompileError:
    """The error that the child's reply tells of."""
    error = reply["error"]
    match error["kind"]:
        case "sdk_missing" | "module_missing":
            return _missing(error, reply["versions"], place)
        case "no_function" | "unknown_kwargs" | "missing_kwargs":
            return _signature(error, place.source)
        case "not_a_pipeline" | "not_python":
            return CompileError(
                f"{place.source} is no pipeline: {error['message']}.",
                where=place.source,
                fix="Return a sagemaker Pipeline: one pipeline, not a list and not its definition.",
            )
        case "exited":
            message = str(error["message"]).strip()
            return CompileError(
                f"The module ended the process (SystemExit: {message or 0}).",
                where=_place(error["frames"], place.root) or place.source,
                why=_with_tail(_trace(error["frames"], place.root), place.log),
                fix="Let the function return the pipeline; keep sys.exit() under __main__.",
            )
        case _:
            return _raised(error, reply["reached"], refused, place)


def _missing(error: Mapping[str, Any], versions: Mapping[str, str], place: Place) -> CompileError:
    python = f"{place.python} (Python {versions['python']})"
    module = str(error.get("module") or "sagemaker")
    if error["kind"] == "module_missing":
        return CompileError(
            f"{place.source} needs the module {module}, which cannot be found.",
            where=_place(error["frames"], place.root) or place.source,
            why=f"it is not installed in {python}, and stands in no folder that is searched",
            fix=f"uv pip install --python {place.python} {module.partition('.')[0]}",
        )
    found = versions.get("sagemaker")
    return CompileError(
        "The SageMaker SDK that this pipeline needs is not in the Python that compiles it.",
        where=python,
        why=f"{place.source} imports {module}" + (f"; sagemaker {found} is there" if found else ""),
        fix=install_sdk(place.root, [place.source.rpartition(":")[0]]),
    )


def _signature(error: Mapping[str, Any], source: str) -> CompileError:
    message, known = error["message"], error["known"]
    match error["kind"]:
        case "no_function":
            fix = f"source: {source.rpartition(':')[0]}:{known[0] if known else 'get_pipeline'}"
            why = f"its functions are {', '.join(known)}" if known else None
            return CompileError(f"{source}: {message}.", where=source, why=why, fix=fix)
        case "unknown_kwargs":
            return CompileError(
                f"{source} does not take {message}.",
                where=source,
                why=f"it takes {', '.join(known) or 'no arguments'}",
                fix="Take it out of `kwargs:`, or add it to the function.",
            )
        case _:
            return CompileError(
                f"{source} needs {message}, which nobody gives.",
                where=source,
                why=f"without asking it can be given {', '.join(known)}",
                fix=f"kwargs:\n  {message.split(', ')[0]}: ...",
            )


def _raised(
    error: Mapping[str, Any], reached: Sequence[str], refused: Sequence[str], place: Place
) -> CompileError:
    frames, message = error["frames"], str(error["message"]).strip()
    where = _place(frames, place.root) or place.source
    trace = _trace(frames, place.root)
    told = textwrap.shorten(f"{error['type']}: {message}" if message else error["type"], 500)
    if not reached and not refused:
        variable = error.get("variable")
        fix = _let_through(variable) if variable else _working_directory(message, place)
        return CompileError(f"The module raised {told}", where=where, why=trace or None, fix=fix)
    wanted = [*reached, *refused]
    return CompileError(
        f"Compile is hermetic, and the module wanted {_listed(wanted)}.",
        where=where,
        why=f"{told}\n{trace}".strip(),
        fix=_fix_for(refused),
    )


def _working_directory(message: str, place: Place) -> str | None:
    """Where the message names a file by a path that counts from another folder: from which."""
    module = place.root / place.source.rpartition(":")[0]
    for named in _RELATIVE.findall(message):
        for folder in module.parents:
            if folder == place.root or not folder.is_relative_to(place.root):
                break
            if (folder / named).exists():
                return f"working_directory: {shown_path(folder, place.root)}   # for {named}"
    return None


def _let_through(variable: str) -> str:
    argument = (
        "Take the value as an argument (kwargs:); or, if it is no secret, have the job set it"
    )
    return f"{argument}, and name it:\npass_environment: [{variable}]"


def _fix_for(refused: Sequence[str]) -> str:
    writes = ("Create", "Update", "Start", "Delete", "Put", "Add", "Stop")
    if any(name.startswith(f"sagemaker:{verb}") for name in refused for verb in writes):
        return "Return the pipeline and leave upsert() and start() to `sagemaker-gitops deploy`."
    if any(name.startswith("iam:GetRole") for name in refused):
        # The SDK looks up what is no ARN.
        return f"Take the role as an argument, get_pipeline(role, ...); or allow it:\n{_LIVE}"
    return f"Take the value as an argument (kwargs:), or allow it:\n{_LIVE}"


def _listed(items: Sequence[str]) -> str:
    shown = list(items[:5])
    if len(items) > 5:
        shown.append(f"{len(items) - 5} more")
    return ", ".join(shown)


def _place(frames: Sequence[Sequence[Any]], root: Path) -> str | None:
    return f"{shown_path(Path(frames[-1][0]), root)}:{frames[-1][1]}" if frames else None


def _trace(frames: Sequence[Sequence[Any]], root: Path) -> str:
    return "\n".join(
        f"{shown_path(Path(file), root)}:{line} in {name}: {text.strip()}"
        for file, line, name, text in frames[-6:]
    )


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
