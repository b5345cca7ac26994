"""A CodePipeline with the function behind it: a repository, an endpoint, and jobs driven to
their end by the handler's own code."""

import io
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ci.door.codepipeline import answer_job
from ci.door.invocation import secrets_of
from ci.door.world import World, open_world
from support.codepipeline import BUCKET, ENVIRONMENT, FakeCodePipeline, Job, serve_codepipeline
from support.endpoint import client, running_endpoint
from support.github import REPOSITORY
from support.scratch import PROJECT, Scratch, new_scratch, quality_definition

OURS = {"repository": REPOSITORY}
ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"


@dataclass(slots=True, kw_only=True)
class Stage:
    """`clock` is added to the real time, so that hours pass at once; `more` to the function's
    environment."""

    scratch: Scratch
    service: FakeCodePipeline
    folder: Path
    said: list[str] = field(default_factory=list)
    clock: float = 0.0
    number: int = 0
    more: dict[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        address = self.service.address
        aws = {"AWS_ENDPOINT_URL": address, "AWS_REGION": "us-east-1"}
        return {**ENVIRONMENT, **aws, **self.more}

    def world(
        self,
        *,
        seconds: float = 300.0,
        left: Callable[[], float] | None = None,
        event: object = None,
    ) -> World:
        ends = time.monotonic() + seconds
        left = left or (lambda: ends - time.monotonic())
        world = open_world(self.environ, left, secrets_of(event))
        return replace(
            world,
            clock=lambda: time.time() + self.clock,
            sleep=lambda seconds: time.sleep(seconds / 100),
            scratch=self.folder / "scratch",
            write=self.said.append,
        )

    def deliver(self, rmse: float) -> tuple[str, str]:
        """A commit whose model has this error, as an artifact: the commit and the artifact's
        key."""
        self.scratch.define(quality_definition(rmse))
        return self.scratch.commit(f"rmse {rmse}"), self.upload()

    def upload(self, files: Mapping[str, bytes | str] | None = None) -> str:
        """An artifact of the repository as it is, or of `files`; its key."""
        if files is None:
            names = self.scratch.git("ls-files").splitlines()
            files = {name: (self.scratch.root / name).read_bytes() for name in names}
        return self.put(zipped(files))

    def put(self, data: bytes) -> str:
        self.number += 1
        key = f"mlops/Source/{self.number}"
        s3 = client(self.service.address, "s3")
        s3.put_object(Bucket=BUCKET, Key=key, Body=data)
        return key

    def read(self, key: str) -> bytes:
        s3 = client(self.service.address, "s3")
        body: bytes = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return body

    def invoke(self, job: Job, world: World | None = None) -> dict[str, object]:
        return answer_job(job.id, job.event, world or self.world(event=job.event))

    def run(self, job: Job, *, seconds: float = 90.0) -> tuple[str, dict[str, Any], int]:
        """Call after call until the job is done: the last answer, and how many calls it took."""
        ends, calls = time.monotonic() + seconds, 0
        while time.monotonic() < ends:
            self.invoke(job)
            calls += 1
            following = self.service.following(job)
            if following is None:
                assert job.answer is not None
                return (*job.answer, calls)
            job = following
            time.sleep(0.2)
        raise AssertionError("the job did not end")


@contextmanager
def open_stage(folder: Path, more: str = "") -> Iterator[Stage]:
    """A stage of the project of `support.scratch`, with `more` in its project file."""
    project = PROJECT.replace("region: us-east-1", f"region: us-east-1\nrole: {ROLE}") + more
    scratch = new_scratch(folder / "repository", project)
    scratch.git("remote", "add", "origin", f"https://github.com/{REPOSITORY}.git")
    with (
        running_endpoint(folder / "endpoint") as endpoint,
        serve_codepipeline(endpoint.address) as service,
    ):
        client(endpoint, "s3").create_bucket(Bucket=BUCKET)
        yield Stage(scratch=scratch, service=service, folder=folder)


def zipped(files: Mapping[str, bytes | str], links: Mapping[str, str] | None = None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as held:
        for name, data in files.items():
            held.writestr(name, data)
        for name, to in (links or {}).items():
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.external_attr = 0o120777 << 16
            held.writestr(info, to)
    return out.getvalue()
