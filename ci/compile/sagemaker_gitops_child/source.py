"""The user's function: found, called with what its signature accepts, its pipeline read."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from .refused import Refused

_SESSIONS = (
    "sagemaker.core.workflow.pipeline_context",
    "sagemaker.workflow.pipeline_context",
)


def compile_source(request: dict[str, Any]) -> str:
    """The definition, as the SDK writes it. Refused, or whatever user code raises."""
    file, root = Path(request["file"]), Path(request["root"])
    sys.argv = [str(file)]
    function = find_function(import_source(file, root), request["function"])
    pipeline = function(**arguments_for(function, request))
    return definition_of(pipeline, request["function"])


def import_source(file: Path, root: Path) -> Any:
    """Import the file as Python would: as part of its package where it stands in one."""
    top, parts = file.parent, [file.stem]
    while (top / "__init__.py").exists():
        parts.insert(0, top.name)
        top = top.parent
    for folder in (root, Path.cwd(), top):
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        sys.path.insert(0, str(folder))
    if len(parts) > 1 and all(part.isidentifier() for part in parts):
        return importlib.import_module(".".join(parts))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise Refused("not_python", f"{file.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def find_function(module: Any, name: str) -> Callable[..., Any]:
    """The callable of that name; its neighbours are told where there is none."""
    function: Any = getattr(module, name, None)
    if function is None:
        known = sorted(
            key
            for key, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__
        )
        raise Refused("no_function", f"there is no function {name}", known=known)
    if not callable(function):
        raise Refused("no_function", f"{name} is not a function", known=[])
    found: Callable[..., Any] = function
    return found


def arguments_for(function: Callable[..., Any], request: dict[str, Any]) -> dict[str, Any]:
    """The arguments that the function's signature accepts, the project's kwargs over our own."""
    parameters = inspect.signature(function).parameters.values()
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    named = {item.name: item for item in parameters if item.kind in by_name}
    takes_any = any(item.kind is item.VAR_KEYWORD for item in parameters)
    kwargs = dict(request["kwargs"])
    unknown = sorted(set(kwargs) - set(named))
    if unknown and not takes_any:
        raise Refused("unknown_kwargs", ", ".join(unknown), known=sorted(named))
    offered = {
        "region": request["region"],
        "role": request["role"],
        "role_arn": request["role"],
        "default_bucket": request["bucket"],
        "pipeline_name": request["pipeline_name"],
    }
    kwargs = {**{name: value for name, value in offered.items() if name in named}, **kwargs}
    for name in ("sagemaker_session", "pipeline_session"):
        if name in named and name not in kwargs:
            kwargs[name] = pipeline_session(request["bucket"])
    missing = [n for n, item in named.items() if item.default is item.empty and n not in kwargs]
    if missing:
        known = sorted((*offered, "sagemaker_session"))
        raise Refused("missing_kwargs", ", ".join(missing), known=known)
    return kwargs


def pipeline_session(bucket: str) -> Any:
    """A PipelineSession of whichever version of the SDK is installed."""
    for name in _SESSIONS:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        return module.PipelineSession(default_bucket=bucket)
    raise Refused("sdk_missing", "sagemaker")


def definition_of(pipeline: Any, function: str) -> str:
    """What `Pipeline.definition()` gives; known by its shape, for it comes from any SDK."""
    if inspect.iscoroutine(pipeline):
        pipeline.close()
    if isinstance(pipeline, type) or not callable(getattr(pipeline, "definition", None)):
        kind = type(pipeline)
        what = "nothing" if pipeline is None else f"{kind.__module__}.{kind.__qualname__}"
        raise Refused("not_a_pipeline", f"{function} returned {what}")
    definition = pipeline.definition()
    if not isinstance(definition, str):
        raise Refused("not_a_pipeline", f"{type(pipeline).__name__}.definition() is no text")
    return definition


def versions() -> dict[str, str]:
    """Of Python and the SDK."""
    found = {"python": ".".join(str(part) for part in sys.version_info[:3])}
    for name in ("sagemaker", "sagemaker-core"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def describe_error(error: BaseException, root: str) -> dict[str, Any]:
    """The error for the parent, with the frames of the user's own files, innermost last."""
    if isinstance(error, Refused):
        return {"kind": error.kind, "message": error.message, **error.details}
    frames = [
        [frame.filename, frame.lineno or 0, frame.name, frame.line or ""]
        for frame in traceback.extract_tb(error.__traceback__)
        if _is_own(frame.filename, root)
    ]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append([error.filename, error.lineno or 0, "<module>", error.text or ""])
    kind = "raised"
    if isinstance(error, SystemExit):
        kind = "exited"
    elif isinstance(error, ImportError) and (error.name or "").partition(".")[0] == "sagemaker":
        kind = "sdk_missing"
    elif isinstance(error, ModuleNotFoundError) and error.name:
        kind = "module_missing"
    return {
        "kind": kind,
        "type": type(error).__name__,
        "message": str(error),
        "module": getattr(error, "name", None),
        "variable": _variable(error),
        "frames": frames,
    }


def _variable(error: BaseException) -> str | None:
    """The environment variable that was asked for and is not there."""
    innermost = traceback.extract_tb(error.__traceback__)[-1:]
    asked = [frame.filename in (os.__file__, "<frozen os>") for frame in innermost]
    missing = isinstance(error, KeyError) and asked == [True] and error.args
    return str(error.args[0]) if missing else None


def _is_own(file: str, root: str) -> bool:
    """Whether a frame is of the user's code, and not of Python, a package or this child."""
    if file.startswith("<") or Path(file).parent == Path(__file__).parent:
        return False
    if "site-packages" in Path(file).parts:
        return False
    installed = (sys.prefix, sys.base_prefix, str(Path(os.__file__).parent))
    return file.startswith(root) or not file.startswith(installed)
