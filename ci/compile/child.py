"""What a child is told: its command, its environment, its request. Starts nothing."""

import os
import pwd
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.compile import failure
from ci.compile.interpreter import child_environment, find_python, live_environment
from ci.project.model import CompileMode, ModuleSource, Target
from ci.text.paths import shown_path

# The child's package is put on its path only until it is imported: no module of `ci` is.
_START = (
    "import sys; sys.path[0] == '' and sys.path.pop(0); sys.path.insert(0, sys.argv.pop(1));"
    " import sagemaker_gitops_child.__main__ as child; del sys.path[0]; child.main()"
)
_CHILD = ["-c", _START, str(Path(__file__).parent)]


LEVELS = ("namespaces", "landlock", "audit")  # of isolation, the best first


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One child to run. `python` is the command that runs the user's Python, `source` is
    `file:function` from the project's root, `log` the file its output goes to."""

    python: list[str]
    environment: Mapping[str, str]
    request: Mapping[str, Any]
    source: str
    hermetic: bool
    timeout: float
    log: Path

    @property
    def command(self) -> list[str]:
        return [*self.python, *_CHILD]


def plan_child(
    target: Target,
    source: ModuleSource,
    *,
    root: Path,
    environ: Mapping[str, str],
    timeout: float,
    memory: int,
    scratch: Path,
    levels: Sequence[str] = LEVELS,
) -> Job:
    """The job that compiles one module. CompileError where there is no source or no Python."""
    pipeline = target.pipeline
    if not source.file.is_file():
        raise failure.no_source(source.file, root)
    hermetic = pipeline.compile is CompileMode.HERMETIC
    environment = (
        child_environment(
            environ, passed=pipeline.pass_environment, scratch=scratch, region=target.region
        )
        if hermetic
        else live_environment(environ, scratch=scratch, region=target.region)
    )
    return Job(
        python=find_python(pipeline.python, root=root, environ=environ),
        environment=environment,
        request={
            "file": str(source.file),
            "function": source.function,
            "root": str(root),
            "working_directory": str(pipeline.working_directory or root),
            "scratch": str(scratch),
            "kwargs": dict(pipeline.kwargs),
            "region": target.region,
            "role": target.role,
            "account": target.account,
            "bucket": target.bucket,
            "pipeline_name": target.pipeline_name,
            "hermetic": hermetic,
            "memory": memory,
            "levels": list(levels),
            "hidden": hidden_folders(environ),
        },
        source=f"{shown_path(source.file, root)}:{source.function}",
        hermetic=hermetic,
        timeout=timeout,
        log=scratch / "log",
    )


def hidden_folders(environ: Mapping[str, str]) -> list[str]:
    """Folders where people and machines keep secrets, which a hermetic compile does not see."""
    named = [environ.get(name) for name in ("HOME", "RUNNER_TEMP", "XDG_RUNTIME_DIR")]
    home = pwd.getpwuid(os.getuid()).pw_dir if _is_known(os.getuid()) else None
    found = [*named, home, "/root", "/tmp", "/var/tmp", "/run"]  # noqa: S108  hidden, not used
    return sorted({path for path in found if path and Path(path).is_absolute()})


def _is_known(user: int) -> bool:
    """Whether the user has a line in passwd: in a container it need not."""
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True
