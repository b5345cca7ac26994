"""Source to bundle: a definition file as it is, a pipeline module through the hermetic child."""

import atexit
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml

from ci.compile.bundle import Bundle
from ci.compile.cache import cache_folder, find, keep, request_key
from ci.compile.child import Job, plan_child
from ci.compile.compiled import Compiled
from ci.definition.canonical import canonical_bytes
from ci.definition.read import read_json
from ci.errors import CompileError
from ci.project.model import DefinitionSource, ModuleSource, Target

DEFAULT_TIMEOUT = 600.0
DEFAULT_MEMORY = 8 << 30
# How a pointer begins, as Git LFS's specification says.
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def compile_pipeline(
    target: Target,
    *,
    environ: Mapping[str, str],
    timeout: float = DEFAULT_TIMEOUT,
    memory: int = DEFAULT_MEMORY,
    scratch: Path | None = None,
    root: Path | None = None,
) -> Bundle:
    """The bundle of one pipeline in one environment.

    `timeout` is in seconds, `memory` in bytes (Linux; 0 for no bound). The artifacts' files lie
    in `scratch`, which must outlive the bundle; without it they live as long as this process.
    `root` is the project's root, found from the source where it is not given. CompileError says
    what is wrong with the source.
    """
    source = target.pipeline.source
    folder = _scratch(scratch)
    match source:
        case DefinitionSource():
            document = read_definition_file(source.file)
            return _assemble(Compiled(document=document), target, folder)
        case ModuleSource():
            job = plan_child(
                target,
                source,
                root=root or find_root(target, source),
                environ=environ,
                timeout=timeout,
                memory=memory,
                scratch=folder,
            )
            return _compile_or_find(job, target, cache_folder(environ), folder)


def _compile_or_find(job: Job, target: Target, cache: Path | None, folder: Path) -> Bundle:
    if cache is None or not job.hermetic:
        return _assemble(_compile(job, target), target, folder)
    key = request_key(job.request, job.environment, job.python, target, folder)
    found = find(cache, key, folder)
    if found is not None:
        return found
    compiled = _compile(job, target)
    bundle = _assemble(compiled, target, folder)
    if compiled.reads is not None:
        keep(cache, key, bundle, compiled.reads)
    return bundle


def _compile(job: Job, target: Target) -> Compiled:
    from ci.compile.process import compile_module  # brings a server, which a cached bundle spares

    return compile_module(job, target)


def _assemble(compiled: Compiled, target: Target, folder: Path) -> Bundle:
    from ci.compile.assemble import assemble  # brings archives, which a cached bundle spares

    return assemble(compiled, bucket=target.bucket, prefix=target.prefix, folder=folder)


def find_root(target: Target, source: ModuleSource) -> Path:
    """The folder of the project file, which stands above the source."""
    for parent in source.file.parents:
        if (parent / "sagemaker-gitops.yaml").exists():
            return parent
    return target.pipeline.working_directory or source.file.parent


def read_definition_file(file: Path) -> object:
    """A definition from JSON or YAML. CompileError where it is neither, or no definition."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CompileError(
            f"The definition cannot be read: {error.strerror}.",
            where=str(file),
            fix="Let `definition:` name a JSON or YAML file of the repository.",
        ) from None
    if data.startswith(_LFS_POINTER):
        raise CompileError(
            "The definition is in Git LFS, and only its pointer is checked out.",
            where=str(file),
            fix="git lfs pull\nor, in a workflow: actions/checkout with `lfs: true`",
        )
    if file.suffix.lower() in (".yaml", ".yml"):
        document = _read_yaml(data, file)
    else:
        document = read_json(data, where=str(file))
    if not isinstance(document, dict) or "Steps" not in document:
        raise CompileError(
            "The file is not a pipeline definition: it has no Steps.",
            where=str(file),
            fix='{"Version": "2020-12-01", "Parameters": [], "Steps": [...]}',
        )
    return document


def _read_yaml(data: bytes, file: Path) -> object:
    try:
        document = yaml.safe_load(data)
        return read_json(canonical_bytes(document), where=str(file))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise CompileError(
            "The definition is not YAML.", where=f"{file}{line}", why=str(problem)
        ) from None
    except (TypeError, ValueError) as error:
        raise CompileError(
            "The definition holds a value that JSON does not have.",
            where=str(file),
            why=str(error),
            fix='Quote dates and times: "2024-01-01".',
        ) from None
    except RecursionError:
        raise CompileError("The definition is nested too deeply.", where=str(file)) from None


def _scratch(scratch: Path | None) -> Path:
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="compile-", dir=scratch.resolve()))
    folder = tempfile.mkdtemp(prefix="sagemaker-gitops-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder).resolve()
