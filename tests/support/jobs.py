"""The deploy job as a process of its own, between a faulty AWS and a faulty forge."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ci.local.lifecycle import down, up
from support.endpoint import client
from support.faults import Faults, faulty_proxy
from support.github import FakeGitHub, serve_github
from support.github_job import aws_environ, pull_request_environ
from support.scratch import COMMAND, PROJECT, Result, Scratch, new_scratch

ROLE = "role: arn:aws:iam::000000000000:role/sagemaker-gitops-local\n"


@dataclass(slots=True, kw_only=True)
class Site:
    """A repository, an endpoint and a forge, each behind its proxy. Every pull request is a
    pipeline of its own, so tests do not meet."""

    folder: Path
    scratch: Scratch
    aws: Faults
    forge: Faults
    github: FakeGitHub
    sagemaker: Any
    number: int = 0
    children: list["subprocess.Popen[str]"] = field(default_factory=list)

    def next_number(self) -> int:
        self.number += 1
        return self.number

    def job(self, number: int | None, commit: str) -> dict[str, str]:
        """The environment of a job for a pull request, or (None) of a run by hand on main."""
        home = self.folder / f"job-{number}"
        home.mkdir(exist_ok=True)
        if number is None:
            environ = aws_environ(self.aws.address)
        else:
            environ = pull_request_environ(
                home, number=number, commit=commit, forge=self.forge.address, aws=self.aws.address
            )
        return {"PATH": os.environ["PATH"], "HOME": str(home), **environ}

    def begin(
        self, environ: Mapping[str, str], *arguments: str, cwd: Path | None = None
    ) -> "subprocess.Popen[str]":
        child = subprocess.Popen(
            [COMMAND, "deploy", "--json", "--poll", "0.1", *arguments],
            cwd=cwd or self.scratch.root,
            env=dict(environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.children.append(child)
        return child

    def deploy(
        self, environ: Mapping[str, str], *arguments: str, cwd: Path | None = None
    ) -> Result:
        return ended(self.begin(environ, *arguments, cwd=cwd))

    def executions(self, pipeline: str) -> list[dict[str, Any]]:
        """Newest first."""
        listed: list[dict[str, Any]] = self.sagemaker.list_pipeline_executions(
            PipelineName=pipeline
        )["PipelineExecutionSummaries"]
        return listed

    def status(self, arn: str) -> str:
        described = self.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        return str(described["PipelineExecutionStatus"])


def ended(child: "subprocess.Popen[str]", timeout: float = 120) -> Result:
    out, err = child.communicate(timeout=timeout)
    return Result(code=child.returncode, out=out, err=err)


@contextmanager
def new_site(folder: Path, project: str = PROJECT) -> Iterator[Site]:
    home = folder / "local"
    endpoint = up(home, images=())
    try:
        with (
            serve_github() as github,
            faulty_proxy(endpoint.address) as aws,
            faulty_proxy(github.address) as forge,
        ):
            site = Site(
                folder=folder,
                scratch=new_scratch(folder / "repository", project + ROLE),
                aws=aws,
                forge=forge,
                github=github,
                sagemaker=client(endpoint, "sagemaker"),
            )
            yield site
            for child in site.children:
                child.kill()
                child.communicate()
    finally:
        down(home)
