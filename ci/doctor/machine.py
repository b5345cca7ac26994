"""Checks of the project and of this machine: nothing here calls AWS or a forge."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ci.compile.interpreter import find_python, program_environment
from ci.compile.isolation import Isolation, IsolationLevel, isolation_level
from ci.doctor.model import Finding, Site, fail, ok, warn
from ci.errors import CompileError
from ci.project.model import ModuleSource, Pipeline, Project
from ci.project.requirements import install_sdk
from ci.trigger.access import guarding, refused, work_tree

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

_MOUNTS, _USER_AND_MOUNTS = 0x00020000, 0x10020000  # flags of unshare(2)
_ENTER = (
    "import ctypes, os, sys\n"
    "libc, user, flags = ctypes.CDLL(None), os.getuid(), int(sys.argv[1])\n"
    "if libc.unshare(flags): sys.exit(1)\n"
    "if flags & 0x10000000: open('/proc/self/uid_map', 'w').write(f'{user} {user} 1')\n"
    "slave = ctypes.c_ulong((1 << 14) | (1 << 19))\n"
    "sys.exit(libc.mount(b'none', b'/', None, slave, None) != 0)\n"
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
    if site.region is None:
        yield fail(
            "no AWS region is named, neither there nor by AWS_REGION",
            where=str(site.project.file),
            fix="region: eu-west-1   # where the pipelines run",
        )
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
    asked: dict[tuple[str, ...], list[Pipeline]] = {}
    for pipeline in site.project.pipelines.values():
        if not isinstance(pipeline.source, ModuleSource):
            continue
        try:
            command = find_python(pipeline.python, root=site.project.root, environ=site.environ)
        except CompileError as error:
            where = f"{site.project.file.name}:{pipeline.line}"
            yield fail(f"{pipeline.name}: {error.what}", where=where, fix=error.fix)
            continue
        asked.setdefault(tuple(command), []).append(pipeline)
    if not asked and not any(_is_module(site.project)):
        yield ok("no pipeline is a module: none is compiled")
    for words, pipelines in asked.items():
        yield _interpreter(words, pipelines, site)


def _is_module(project: Project) -> Iterator[bool]:
    return (isinstance(each.source, ModuleSource) for each in project.pipelines.values())


def _interpreter(command: Sequence[str], pipelines: Sequence[Pipeline], site: Site) -> Finding:
    shown, names = " ".join(command), ", ".join(each.name for each in pipelines)
    try:
        done = subprocess.run(
            [*command, "-c", _ASK],
            cwd=site.root,
            # It is the checkout's to say which program this is: no token is for it.
            env=program_environment(site.environ, passed=("HOME",)),
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
            fix=install_sdk(site.root, [str(each.source.file) for each in pipelines]),
        )
    return ok(f"{names}: Python {python}, SageMaker SDK {sdk}", where=shown)


def check_isolation(site: Site) -> Iterator[Finding]:
    """How well foreign code is cut off while it compiles. Nothing of the project is compiled."""
    try:
        yield judge_isolation(isolation_level(site.environ))
    except (CompileError, OSError) as error:
        told = error.what if isinstance(error, CompileError) else str(error)
        yield fail(
            f"no child can be started, and nothing compiles here: {told}",
            where=sys.executable,
            fix="let this user start processes (ulimit -u, seccomp), and write to TMPDIR",
        )


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
    yield judge_local(platform=sys.platform, missing=missing, namespaces=can_isolate_steps())


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
        return warn(
            "no mount namespace can be made here: steps see each other's /opt/ml",
            fix="sysctl -w kernel.unprivileged_userns_clone=1",
        )
    return ok("the local endpoint can run here")


def can_isolate_steps() -> bool:
    """Whether a process may make the namespace that a step runs in: many systems have them, and
    forbid them, or what can be done in them."""
    return any(_enters(flags) for flags in (_USER_AND_MOUNTS, _MOUNTS))


def _enters(flags: int) -> bool:
    command = [sys.executable, "-I", "-c", _ENTER, str(flags)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def check_history(site: Site) -> Iterator[Finding]:
    """Which pipelines a commit touches is told by the history."""
    command = ["git", "rev-parse", "--is-shallow-repository"]
    try:
        done = subprocess.run(
            command,
            cwd=work_tree(site.root) or site.root,
            env={**site.environ, "LC_ALL": "C", **guarding(site.environ, site.root)},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        yield fail(f"git does not run: {error}", fix="apt-get install -y git")
        return
    if done.returncode != 0:
        told = refused(done.stderr.strip(), site.root)
        yield fail(told.what, where=told.where, fix=told.fix)
    elif done.stdout.strip() == "true":
        yield warn(
            "the clone is shallow: every pipeline counts as touched by every commit",
            where=str(site.root),
            fix="with:\n  fetch-depth: 0\nor: git fetch --unshallow",
        )
    else:
        yield ok("the whole history is there")
