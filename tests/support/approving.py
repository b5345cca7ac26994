"""A pipeline whose models are told apart by what they answer, and deployed by its own function."""

import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.acting import comment_event, pull_request_event
from support.archives import model_archive
from support.endpoint import client, running_endpoint
from support.forking import Forks, warm_process
from support.github import REPOSITORY, FakeGitHub, serve_github
from support.github_job import aws_environ
from support.jobs import ROLE
from support.scratch import PROJECT, Result, Scratch, new_scratch, quality_definition

DEPLOY = Path(__file__).parents[2] / "pipelines" / "abalone" / "deploy.py"
ROLE_ARN = ROLE.partition(": ")[2].strip()
POLICY = """\
  main:
    endpoint: quality
    on_approved: deploy
    on_rejected: rollback
"""
_OWN = 'pull_request: {parameters: {Group: "quality-pr-{pull_request}"}}'
_APART = """pull_request:
    parameters:
      Group: "quality-pr-{pull_request}"
      Function: "quality-pr-{pull_request}-deploy"
"""
APPROVALS = (
    PROJECT.replace("  main: {parameters: {Approval: Approved}}\n", POLICY).replace(_OWN, _APART)
    + ROLE
)
_SCRIPT = """
def model_fn(model_dir): return open(model_dir + "/answer").read()
def input_fn(body, content_type): return body
def predict_fn(data, model): return model
def output_fn(prediction, accept): return prediction, "text/plain"
"""


def deploying_definition(model: str, *, script: str = "") -> dict[str, Any]:
    """Evaluate -> Check -> Register, Deploy. The model answers its own name."""
    definition = quality_definition(2.0, script=script)
    check = definition["Steps"][1]["Arguments"]
    register = check["IfSteps"][0]
    [container] = register["Arguments"]["InferenceSpecification"]["Containers"]
    container["ModelDataUrl"] = f"s3://models/{model}/model.tar.gz"
    definition["Parameters"].append(
        {"Name": "Instance", "Type": "String", "DefaultValue": "ml.m5.large"}
    )
    definition["Parameters"].append(
        {"Name": "Function", "Type": "String", "DefaultValue": "quality-deploy"}
    )
    function = {
        "Std:Join": {
            "On": ":",
            "Values": [
                "arn:aws:lambda:us-east-1:000000000000:function",
                {"Get": "Parameters.Function"},
            ],
        }
    }
    deploy = {
        "Name": "Deploy",
        "Type": "Lambda",
        "FunctionArn": function,
        "Arguments": {
            "model_package_arn": {"Get": "Steps.Register.ModelPackageArn"},
            "endpoint_name": "quality",
            "role": ROLE_ARN,
            "instance_type": {"Get": "Parameters.Instance"},
        },
        "OutputParameters": [{"OutputName": "status", "OutputType": "String"}],
    }
    check["IfSteps"].append(deploy)
    return definition


@dataclass(slots=True, kw_only=True)
class ApprovalLab:
    """A repository on a forge and an AWS. Commands run as jobs of the forge."""

    scratch: Scratch
    github: FakeGitHub
    address: str
    forks: Forks
    folder: Path
    extra: dict[str, str] = field(default_factory=dict)
    begun: Callable[[int], None] = lambda _pid: None

    @property
    def sagemaker(self) -> Any:
        return client(self.address, "sagemaker")

    def begin(self) -> None:
        """A first commit on main, and production's function."""
        self.scratch.define(deploying_definition("start"))
        self.scratch.commit("start")
        self.make_function("quality-deploy")

    def make_function(self, name: str, code: bytes | None = None) -> None:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("deploy.py", code or DEPLOY.read_bytes())
        client(self.address, "lambda").create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=ROLE_ARN,
            Handler="deploy.handler",
            Timeout=60,
            Code={"ZipFile": out.getvalue()},
        )

    def make_model(self, name: str) -> None:
        archive = model_archive({"code/inference.py": _SCRIPT, "answer": name})
        s3 = client(self.address, "s3")
        s3.create_bucket(Bucket="models")
        s3.put_object(Bucket="models", Key=f"{name}/model.tar.gz", Body=archive)

    def commit(self, model: str, *, branch: str | None = None, script: str = "") -> str:
        self.scratch.git("checkout", "-q", "main")
        self.make_model(model)
        if branch is not None:
            self.scratch.git("checkout", "-q", "-B", branch, "main")
        self.scratch.define(deploying_definition(model, script=script))
        return self.scratch.commit(model)

    def merged(self, model: str, number: int) -> str:
        """A commit on main that came of a pull request."""
        commit = self.commit(model)
        self.github.pulls[commit] = [
            {"number": number, "merge_commit_sha": commit, "merged_at": "2026-03-02T09:00:00Z"}
        ]
        self.github.commits[number] = [commit]
        return commit

    def run(
        self,
        *arguments: str,
        event: Mapping[str, Any] | None = None,
        name: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Result:
        """A job of the forge on what is checked out; decisions are started by hand."""
        by_hand = arguments[0] in {"approve", "reject"}
        head = self.scratch.git("rev-parse", "HEAD")
        payload = event or {
            "ref": "refs/heads/main",
            "before": "0" * 40,
            "after": head,
            "repository": {"id": 1, "full_name": REPOSITORY, "default_branch": "main"},
        }
        file = self.folder / "event.json"
        file.write_text(json.dumps(payload))
        for left in ("outputs", "summary.md"):
            (self.folder / left).unlink(missing_ok=True)
        settled = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": name or ("workflow_dispatch" if by_hand else "push"),
            "GITHUB_EVENT_PATH": str(file),
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_ACTOR": "octocat",
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_SHA": head,
            "GITHUB_RUN_ID": "77",
            "GITHUB_TOKEN": "t0ken",
            "GITHUB_API_URL": self.github.address,
            "GITHUB_OUTPUT": str(self.folder / "outputs"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
            **aws_environ(self.address),
            **self.extra,
            **(environ or {}),
        }
        return self.forks.run(arguments, cwd=self.scratch.root, environ=settled, begun=self.begun)

    def outputs(self) -> dict[str, str]:
        file = self.folder / "outputs"
        lines = file.read_text().splitlines() if file.exists() else []
        return {
            head.partition("<<")[0]: value
            for head, value in zip(lines[::3], lines[1::3], strict=False)
        }

    def propose(self, number: int, model: str, *, script: str = "", follow: bool = True) -> str:
        """A pull request of one commit, pushed before anyone wrote on it and run; its head."""
        head = self.commit(model, branch=f"topic-{number}", script=script)
        self.github.add_pull(number, head)
        self.github.commits[number] = [head]
        self.github.push(f"topic-{number}", head, "2026-03-02T09:00:00Z")
        self.make_function(f"quality-pr-{number}-deploy")
        event = pull_request_event("opened", number, head=head, base="0" * 40)
        onwards = () if follow else ("--detach",)
        done = self.run("deploy", "--poll", "0.1", *onwards, event=event, name="pull_request")
        assert done.code == 0, done.err
        self.scratch.git("checkout", "-q", "main")
        return head

    def say(
        self, number: int, body: str, *, author: str = "anna", **more: Any
    ) -> tuple[Result, list[str]]:
        """Someone comments; what the job did, and the reactions that the comment got."""
        return self.obey(number, self.github.add_comment(number, author, body), author, **more)

    def obey(
        self, number: int, comment: int, author: str = "anna", **more: Any
    ) -> tuple[Result, list[str]]:
        """The job of a comment that stands there."""
        event = comment_event(number, self.github.comments[comment], author=author, **more)
        done = self.run("auto", "--json", "--poll", "0.1", event=event, name="issue_comment")
        return done, [content for _, content in self.github.reactions.get(comment, [])]

    def answers(self, number: int) -> list[str]:
        """The comments in which orders on a pull request are answered."""
        return [b for b in self.github.bodies(number) if "sagemaker-gitops-answers" in b]

    def reports(self, number: int) -> list[str]:
        return [b for b in self.github.bodies(number) if b.startswith("<!-- sagemaker-gitops: ")]

    def deploy(self, *arguments: str, **more: Any) -> str:
        """Deploy what is checked out; the ARN of the package that was registered."""
        done = self.run("deploy", "--json", "--poll", "0.1", *arguments, **more)
        assert done.code == 0, done.err + done.out
        arn: str = done.report["model_package"]["arn"]
        return arn

    def decide(self, package: str, status: str, **more: str) -> None:
        """As from Studio: a plain call, by nobody this project knows."""
        self.sagemaker.update_model_package(
            ModelPackageArn=package, ModelApprovalStatus=status, **more
        )

    def answer(self) -> str:
        """What the endpoint's model says."""
        runtime = client(self.address, "sagemaker-runtime")
        body = runtime.invoke_endpoint(EndpointName="quality", Body=b"x", ContentType="text/plain")
        text: str = body["Body"].read().decode()
        return text


@contextmanager
def open_lab(folder: Path, project: str = APPROVALS) -> Iterator[ApprovalLab]:
    """A lab of its own under `folder`: a repository with `project`, its first commit made."""
    (folder / "job").mkdir()
    with (
        running_endpoint(folder / "endpoint", images=()) as endpoint,
        serve_github() as github,
        warm_process(folder / "forks") as forks,
    ):
        lab = ApprovalLab(
            scratch=new_scratch(folder / "repository", project),
            github=github,
            address=endpoint.address,
            forks=forks,
            folder=folder / "job",
        )
        lab.begin()
        yield lab
