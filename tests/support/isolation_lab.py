"""Modules compiled at a given level of isolation, in a home that has secrets."""

import os
import textwrap
from pathlib import Path
from typing import Any

import pytest

from ci.compile.child import plan_child
from ci.compile.compiled import Compiled
from ci.compile.process import compile_module
from support.compiling import make_target

SECRET = "ghs_not_for_user_code"
PRELUDE = """
import json, os, subprocess, sys, socket
from pathlib import Path

class Pipeline:
    def __init__(self, *steps):
        self.steps = list(steps)

    def definition(self):
        return json.dumps({"Version": "2020-12-01", "Parameters": [], "Steps": self.steps})

def attempt(call):
    try:
        return str(call())
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def shell(command):
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    return done.stdout + done.stderr
"""


class Lab:
    """A project in a repository, a home with secrets beside it, and one level of isolation."""

    def __init__(self, folder: Path, level: str) -> None:
        self.level = level
        self.home = folder / "home"
        self.root = self.home / "work" / "project"
        self.root.mkdir(parents=True)
        (self.home / ".aws").mkdir()
        (self.home / ".aws" / "credentials").write_text(f"aws_secret_access_key = {SECRET}\n")
        self.scratch = folder / "scratch"

    @property
    def environ(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "GITHUB_TOKEN": SECRET}

    def compile(self, code: str, **settings: Any) -> Compiled:
        source = self.root / "pipeline.py"
        source.write_text(PRELUDE + textwrap.dedent(code))
        number = len(list(self.scratch.glob("*"))) if self.scratch.exists() else 0
        scratch = self.scratch / str(number)
        scratch.mkdir(parents=True)
        target = make_target(source, **settings)
        module: Any = target.pipeline.source
        job = plan_child(
            target,
            module,
            root=self.root,
            environ=self.environ,
            timeout=30,
            memory=4 << 30,
            scratch=scratch,
            levels=(self.level,),
        )
        compiled = compile_module(job, target)
        if compiled.level != self.level:
            pytest.skip(f"{self.level} are not allowed here: {compiled.isolation}")
        return compiled

    def steps(self, code: str, **settings: Any) -> list[str]:
        document: Any = self.compile(code, **settings).document
        return list(document["Steps"])

    def inside(self, *expressions: str) -> list[str]:
        """What expressions come to inside, one step for each."""
        calls = ", ".join(f"attempt(lambda: {each})" for each in expressions)
        return self.steps(f"def get_pipeline():\n    return Pipeline({calls})")
