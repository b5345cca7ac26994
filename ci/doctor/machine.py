"""Checks of the project and of this machine: nothing here calls AWS or a forge."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ci.compile.interpreter import find_python
from ci.compile.isolation import Isolation, IsolationLevel, isolation_level
from ci.doctor.model import Finding, Site, fail, ok, warn
from ci.errors import CompileError
from ci.project.model import ModuleSource, Project

if TYPE_CHECKING:
    from botocore.model import ServiceModel

_SECONDS = 20.0
_OLDEST = (3, 9)
_ASK = (
    "import json, platform\n"
    "from importlib.metadata import version, PackageNotFoundError\n"
    "try:\n    sdk = version('sagemaker')\n"
    "except PackageNotFoundError:\n    sdk = None\n"
    "print(json.dumps([platform.python_version(), sdk]))\n"
)


def check_project_file(site: Site) -> Iterator[Finding]:
    if site.project is None:
        problem = site.problem
        yield fail(
            problem.what if problem else "there is no project file",
            where=problem.where if problem else None,
            fix=_problems(site) or (problem.fix if problem else None) or "sagemaker-gitops init",
        )
        return
    count = len(site.project.pipelines)
    yield ok(f"{count} pipeline{'s' if count != 1 else ''}", where=str(site.project.file))
    for pipeline in site.project.pipelines.values():
        if not pipeline.source.file.is_file():
            yield fail(
                f"the source of {pipeline.name} is not there",
                where=f"{site.project.file.name}:{pipeline.line}",
                fix=f"source: a path below {site.project.root}",
            )


def _problems(site: Site) -> str:
    found = getattr(site.problem, "problems", ())
    return "\n".join(
        f"line {each.mark.line}: {each.what}" + (f" ({each.fix})" if each.fix else "")
        for each in found[:5]
    )


def check_python(site: Site) -> Iterator[Finding]:
    """The Python of each pipeline module, and the SDK in it."""
    if site.project is None:
        return
    asked: dict[tuple[str, ...], list[str]] = {}
    for pipeline in site.project.pipelines.values():
        if not isinstance(pipeline.source, ModuleSource):
            continue
        try:
            command = find_python(pipeline.python, root=site.project.root, environ=site.environ)
        except CompileError as error:
            where = f"{site.project.file.name}:{pipeline.line}"
            yield fail(f"{pipeline.name}: {error.what}", where=where, fix=error.fix)
            continue
        asked.setdefault(tuple(command), []).append(pipeline.name)
    if not asked and not any(_is_module(site.project)):
        yield ok("no pipeline is a module: none is compiled")
    for words, names in asked.items():
        yield _interpreter(words, ", ".join(names), site)


def _is_module(project: Project) -> Iterator[bool]:
    return (isinstance(each.source, ModuleSource) for each in project.pipelines.values())


def _interpreter(command: Sequence[str], names: str, site: Site) -> Finding:
    shown = " ".join(command)
    try:
        done = subprocess.run(
            [*command, "-c", _ASK],
            cwd=site.root,
            env=dict(site.environ),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
        python, sdk = json.loads(done.stdout.strip().splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return fail(
            f"{names}: {shown} does not run: {str(said).strip()[-300:]}",
            where=shown,
            fix="python: .venv/bin/python",
        )
    if tuple(int(part) for part in python.split(".")[:2]) < _OLDEST:
        return fail(f"{names}: Python {python} is too old", where=shown, fix="python: a newer one")
    if sdk is None:
        return warn(
            f"{names}: Python {python} has no SageMaker SDK",
            where=shown,
            fix=f"{shown} -m pip install sagemaker\nor name another: python: .venv/bin/python",
        )
    return ok(f"{names}: Python {python}, SageMaker SDK {sdk}", where=shown)


def check_isolation(site: Site) -> Iterator[Finding]:
    """How well foreign code is cut off while it compiles."""
    yield judge_isolation(isolation_level(site.environ))


def judge_isolation(found: Isolation) -> Finding:
    match found.level:
        case IsolationLevel.NAMESPACES:
            return ok(found.told)
        case IsolationLevel.LANDLOCK:
            return warn(found.told, fix="sysctl -w kernel.unprivileged_userns_clone=1")
        case IsolationLevel.AUDIT:
            return warn(
                found.told,
                fix="compile foreign pull requests on Linux that allows user namespaces"
                " (or has Landlock, 5.13 and later)",
            )


def check_aliases(_: Site) -> Iterator[Finding]:
    """promote and rollback move an alias, which older botocore does not know."""
    from botocore import __version__
    from botocore.session import get_session

    yield judge_aliases(get_session().get_service_model("sagemaker"), __version__)


def judge_aliases(model: "ServiceModel", version: str) -> Finding:
    """`model` is what botocore of this version knows of SageMaker."""
    name = "UpdatePipelineVersion"
    known = name in model.operation_names
    shape = model.operation_model(name).input_shape if known else None
    if shape is not None and "PipelineVersionAliasOperations" in shape.members:
        return ok(f"botocore {version} knows versions and aliases")
    return warn(
        f"botocore {version} knows no aliases: promote and rollback refuse",
        fix="pip install --upgrade boto3",
    )


def check_local(site: Site) -> Iterator[Finding]:
    """What `--local` needs of this machine."""
    missing = []
    if find_spec("aiohttp") is None:
        missing.append("aiohttp")
    if find_spec("uv") is None and shutil.which("uv", path=site.environ.get("PATH")) is None:
        missing.append("uv")
    spaces = (Path("/proc/self/ns") / name for name in ("user", "mnt"))
    namespaces = all(each.exists() for each in spaces)
    yield judge_local(platform=sys.platform, missing=missing, namespaces=namespaces)


def judge_local(*, platform: str, missing: Sequence[str], namespaces: bool) -> Finding:
    """`missing` are programs and packages that are not there."""
    if platform != "linux":
        return warn(
            f"the local endpoint needs Linux, and this is {platform}",
            fix="run against AWS, or in a container",
        )
    if missing:
        return warn(
            f"the local endpoint needs {' and '.join(missing)}",
            fix="pip install 'sagemaker-gitops[local]'",
        )
    if not namespaces:
        return warn("this kernel has no namespaces: steps see each other's /opt/ml")
    return ok("the local endpoint can run here")


def check_history(site: Site) -> Iterator[Finding]:
    """Which pipelines a commit touches is told by the history."""
    done = subprocess.run(
        ["git", "rev-parse", "--is-shallow-repository"],
        cwd=site.root,
        env=dict(site.environ),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        yield fail("this is no checkout of git", where=str(site.root), fix="git init")
    elif done.stdout.strip() == "true":
        yield warn(
            "the clone is shallow: every pipeline counts as touched by every commit",
            where=str(site.root),
            fix="with:\n  fetch-depth: 0\nor: git fetch --unshallow",
        )
    else:
        yield ok("the whole history is there")
