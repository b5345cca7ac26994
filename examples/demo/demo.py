"""The main job on this machine: three commits, three executions, three reports.

    act 1  first commit on main        trains, registers, deploys
    act 2  a pull request, better      metrics beat production, gates hold
    act 3  a pull request, worse       the gate fails, nothing is registered, exit 1

Every act is a real commit in a scratch repository and one `sagemaker-gitops deploy --local`.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "demo"
REPOSITORY = BUILD / "repository"
SDK = ROOT / "build" / "envs" / "sdk-v3"
MODEL = ROOT / "build" / "envs" / "model"
COMMAND = Path(sys.executable).with_name("sagemaker-gitops")
DATA = "s3://abalone-data/abalone/abalone.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One commit and what deploying it is expected to end in. `model` None keeps the code."""

    name: str
    title: str
    branch: str
    pull_request: int | None
    hyperparameters: Mapping[str, object] | None
    expected_exit: int


ACTS = (
    Act(
        name="first-model",
        title="First commit on main: train, register, deploy",
        branch="main",
        pull_request=None,
        hyperparameters=None,
        expected_exit=0,
    ),
    Act(
        name="better-model",
        title="A pull request with a better model",
        branch="boosted-trees",
        pull_request=1,
        hyperparameters={"model": "boosting"},
        expected_exit=0,
    ),
    Act(
        name="worse-model",
        title="A pull request with a worse model",
        branch="shallow-forest",
        pull_request=2,
        hyperparameters={"model": "forest", "depth": 2},
        expected_exit=1,
    ),
)


def main() -> int:
    started = time.monotonic()
    prepare_repository()
    try:
        for act in ACTS:
            perform(act)
        show_comment(BUILD / "report-better-model.md")
        predict()
    finally:
        run("local", "down")
    say(f"Done in {time.monotonic() - started:.0f} s. The reports are in build/demo/.")
    return 0


def perform(act: Act) -> None:
    say(act.title)
    commit(act)
    report = f"../report-{act.name}"
    arguments = ["deploy", "--local", "--poll", "1", "--report", report]
    if act.pull_request is not None:
        arguments += ["--pull-request", str(act.pull_request)]
    code = run(*arguments)
    if code != act.expected_exit:
        raise SystemExit(f"act {act.name} ended with {code}, not {act.expected_exit}")
    print(f"\nexit code {code}, as it should be", flush=True)


def prepare_repository() -> None:
    """A scratch repository with the reference pipeline, an endpoint, and the data in its S3."""
    say("A scratch repository, a local endpoint, and the data")
    if REPOSITORY.exists():
        run("local", "down")
    shutil.rmtree(BUILD, ignore_errors=True)
    shutil.copytree(
        ROOT / "pipelines" / "abalone",
        REPOSITORY / "pipelines" / "abalone",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (REPOSITORY / ".gitignore").write_text(".sagemaker-gitops/\n__pycache__/\n")
    git("init", "--quiet", "--initial-branch", "main")
    write_project_file(None)
    if run("local", "up") != 0:
        raise SystemExit("the local endpoint did not start")
    upload_data()


def write_project_file(hyperparameters: Mapping[str, object] | None) -> None:
    text = (HERE / "sagemaker-gitops.yaml").read_text()
    text = text.replace("@SDK@", str(SDK)).replace("@MODEL@", str(MODEL))
    if hyperparameters is not None:
        pairs = ", ".join(f"{key}: {value}" for key, value in hyperparameters.items())
        anchor = "      endpoint_name: abalone\n"
        text = text.replace(anchor, f"{anchor}      hyperparameters: {{{pairs}}}\n")
    (REPOSITORY / "sagemaker-gitops.yaml").write_text(text)


def upload_data() -> None:
    file = BUILD / "abalone.csv"
    subprocess.run(
        [MODEL / "bin" / "python", ROOT / "pipelines" / "abalone" / "data.py", file], check=True
    )
    bucket = DATA.removeprefix("s3://").split("/", 1)[0]
    aws("s3", "mb", f"s3://{bucket}")
    aws("s3", "cp", "--only-show-errors", f"../{file.name}", DATA)


def commit(act: Act) -> None:
    if act.pull_request is not None:
        git("checkout", "--quiet", "-b", act.branch, "main")
        write_project_file(act.hyperparameters)
    git("add", "--all")
    git("commit", "--quiet", "--message", act.title)


def show_comment(file: Path) -> None:
    say(f"The comment a reviewer gets ({file.relative_to(ROOT)})")
    print(file.with_suffix(".md").read_text(), flush=True)


def predict() -> None:
    """One abalone through the endpoint that act 1 deployed."""
    say("A prediction from the deployed endpoint")
    abalone = "F,0.53,0.415,0.15,0.7775,0.237,0.1415,0.33"
    answer = BUILD / "prediction.json"
    aws(
        *("sagemaker-runtime", "invoke-endpoint", "--endpoint-name", "abalone"),
        *("--content-type", "text/csv", "--accept", "application/json"),
        *("--body", abalone, f"../{answer.name}"),
    )
    print(f"{abalone} -> {answer.read_text()}", flush=True)


def run(*arguments: str) -> int:
    """The command as a user types it, in the scratch repository. Returns its exit code."""
    print(f"$ sagemaker-gitops {' '.join(arguments)}", flush=True)
    command = [COMMAND, *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env=laptop(), check=False).returncode


def laptop() -> dict[str, str]:
    """The environment without a CI's: its event is about another repository than the scratch."""
    foreign = ("GITHUB_", "ACTIONS_", "CODEBUILD_", "CODEPIPELINE_", "SAGEMAKER_GITOPS_")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(foreign) or name == "SAGEMAKER_GITOPS_EMULATOR_PYTHON"
    }


def aws(*arguments: str) -> None:
    """The AWS CLI, pointed at the endpoint by environment variables and nothing else."""
    print(f"$ aws {' '.join(arguments)}", flush=True)
    local = subprocess.run(
        [COMMAND, "local", "status", "--json"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    settings = json.loads(local.stdout)["environment"]
    subprocess.run(
        [COMMAND.with_name("aws"), *arguments],
        cwd=REPOSITORY,
        check=True,
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
    )


def git(*arguments: str) -> None:
    identity = ["-c", "user.name=Demo", "-c", "user.email=demo@example.invalid"]
    subprocess.run(["git", *identity, *arguments], cwd=REPOSITORY, check=True)


def say(title: str) -> None:
    print(f"\n=== {title}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
