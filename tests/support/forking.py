"""The real command in processes that start in milliseconds: forked from one that has imported it.

A forked run is a process of its own, with its own environment, folder and streams; it dies by any
signal like one that was started anew. What it saves is the half second of imports, and reading
the models of the services that every run calls.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from support.scratch import Result

_WARM = (
    "boto3.s3.transfer botocore.client botocore.httpsession s3transfer.manager requests git "
    "jsonschema rich.console rich.table jsonpath yaml ci.cli.main ci.cli.following "
    "ci.compile.assemble ci.compile.process ci.delivery.deploy ci.delivery.planning "
    "ci.delivery.reviewed ci.forge.opening ci.posting.annotating ci.posting.board "
    "ci.posting.errands ci.posting.forging ci.posting.publish ci.project.select ci.execution.show "
    "ci.cli.commands.deploy ci.report.terminal ci.report.html ci.sagemaker.jobs "
    "ci.session.preparing ci.trigger.changes ci.trigger.detect"
)

_PARENT = """
import gc, importlib, json, os, sys
for name in sys.argv[1].split():
    importlib.import_module(name)
from ci.sagemaker.clients import open_clients
clients = open_clients("us-east-1", {}, endpoint="http://127.0.0.1:9")  # called by nobody
for name in ("sagemaker", "s3", "logs"):
    clients.client(name)
gc.freeze()  # a fork that collects would copy every page
for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if child == 0:
        for number, name in ((0, "/dev/null"), (1, job["out"]), (2, job["err"])):
            flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            os.dup2(os.open(name, flags), number)
        os.chdir(job["cwd"])
        os.environ.clear()
        os.environ.update(job["environ"])
        sys.argv = ["sagemaker-gitops", *job["argv"]]
        from ci.cli.main import run_process
        code = 70
        try:
            code = run_process()
        finally:
            sys.stdout.flush()
            os._exit(code)
    print(json.dumps({"pid": child}), flush=True)
    _, status = os.waitpid(child, 0)
    print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)
"""


@dataclass(slots=True, kw_only=True)
class Forks:
    """Runs one command at a time; a lane of its own for each thread that wants to."""

    parent: subprocess.Popen[str]
    folder: Path

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        environ: Mapping[str, str],
        begun: Callable[[int], None] = lambda _pid: None,
    ) -> Result:
        """Run the command to its end; `begun` is told its process id at once. A run that was
        ended by a signal has that signal's negative number as its code."""
        out, err = self.folder / "out", self.folder / "err"
        job = {"argv": list(argv), "cwd": str(cwd), "environ": dict(environ)}
        requests, answers = _pipes(self.parent)
        requests.write(json.dumps({**job, "out": str(out), "err": str(err)}) + "\n")
        requests.flush()
        begun(int(json.loads(answers.readline())["pid"]))
        code = int(json.loads(answers.readline())["code"])
        return Result(code=code, out=out.read_text(), err=err.read_text())


@contextmanager
def warm_process(folder: Path) -> Iterator[Forks]:
    """The process to fork from, gone with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, _WARM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
        cwd=folder,
    )
    try:
        yield Forks(parent=parent, folder=folder)
    finally:
        for pipe in _pipes(parent):
            pipe.close()
        parent.wait(timeout=60)


def _pipes(parent: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert parent.stdin is not None
    assert parent.stdout is not None
    return parent.stdin, parent.stdout
