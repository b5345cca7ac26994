"""How well a hermetic compile is cut off on this machine, for people who ask.

The child decides it anew each time (`sagemaker_gitops_child.isolation`); here it is asked, and
told in sentences.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ci.compile.child import LEVELS, plan_child
from ci.project.model import Environment, ModuleSource, Pipeline, Target

_MODULE = """
class Pipeline:
    def definition(self):
        return '{"Version": "2020-12-01", "Steps": []}'
"""


class IsolationLevel(StrEnum):
    """Best first."""

    NAMESPACES = "namespaces"
    LANDLOCK = "landlock"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """`told` is the child's own sentence, which says why there is no better level."""

    level: IsolationLevel
    told: str


def isolation_level(environ: Mapping[str, str], *, levels: Sequence[str] = LEVELS) -> Isolation:
    """Compile a module of two lines, and say how it was cut off. Takes a few tenths of a second.

    `levels` are those that may be tried. CompileError where no child can be started at all.
    """
    from ci.compile.process import compile_module

    with tempfile.TemporaryDirectory(prefix="sagemaker-gitops-") as name:
        root = Path(name).resolve()
        source = ModuleSource(file=root / "pipeline.py", function="Pipeline")
        source.file.write_text(_MODULE, encoding="utf-8")
        (root / "scratch").mkdir()
        target = _target(source)
        job = plan_child(
            target,
            source,
            root=root,
            environ=environ,
            timeout=60,
            memory=0,
            scratch=root / "scratch",
            levels=levels,
        )
        compiled = compile_module(job, target)
    return Isolation(level=IsolationLevel(compiled.level), told=compiled.isolation)


def _target(source: ModuleSource) -> Target:
    account = "0" * 12
    return Target(
        pipeline=Pipeline(name="probe", source=source, line=1, python=sys.executable),
        environment=Environment(name="main", pipeline_name="{pipeline}"),
        pipeline_name="probe",
        role=f"arn:aws:iam::{account}:role/probe",
        account=account,
        region="us-east-1",
        bucket="probe",
        prefix="probe",
        parameters={},
        tags={},
    )
