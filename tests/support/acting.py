"""The example workflows, run by a runner in host mode on real events, against loopback services."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.github import REPOSITORY
from support.scratch import Scratch

ROOT = Path(__file__).parents[2]
ACT = Path(sys.executable).parent / "act"
PLACEHOLDER = "your-org/sagemaker-gitops@" + "0" * 40
_OTHERS = ("AWS_", "GITHUB_", "ACTIONS_", "SAGEMAKER_")
# What a job shows of itself when it ends.
LAST = """
      - if: always()
        env:
          OUTPUTS: ${{ toJSON(steps.gitops.outputs) }}
          OUTCOME: ${{ steps.gitops.outcome }}
        run: |
          printf '%s' "$OUTPUTS" > "$SHOWN/outputs.json"
          printf '%s' "$OUTCOME" > "$SHOWN/outcome"
"""


# Stands for actions/checkout where a workflow names a commit: the runner has no network, and would
# copy the work tree only where it names none.
CHECKOUT = """
name: checkout
description: clone
inputs:
  ref: {description: commit, required: true}
  fetch-depth: {description: depth, default: "1"}
  persist-credentials: {description: unused, default: "true"}
runs:
  using: composite
  steps:
    - shell: bash
      env:
        REF: ${{ inputs.ref }}
        DEPTH: ${{ inputs.fetch-depth }}
      run: |
        git init -q -b none . && git remote add origin "file://$CHECKOUT_SOURCE"
        [ "$DEPTH" != 0 ] || git fetch -q origin
        [ "$DEPTH" = 0 ] || git fetch -q --depth "$DEPTH" origin "$REF"
        git checkout -q --force "$REF"
"""


# Stand for actions/upload-artifact and actions/download-artifact: a folder keeps the artifacts.
UPLOAD = """
name: upload
description: copy to the folder of artifacts
inputs:
  name: {description: name, required: true}
  path: {description: glob, required: true}
  if-no-files-found: {description: unused, required: false}
  retention-days: {description: unused, required: false}
runs:
  using: composite
  steps:
    - shell: bash
      env:
        NAME: ${{ inputs.name }}
        FILES: ${{ inputs.path }}
      run: mkdir -p "$ARTIFACTS/$NAME" && cp $FILES "$ARTIFACTS/$NAME"
"""
DOWNLOAD = """
name: download
description: copy from the folder of artifacts
inputs:
  pattern: {description: name, required: true}
  path: {description: folder, required: true}
  merge-multiple: {description: unused, required: false}
  github-token: {description: unused, required: true}
  run-id: {description: unused, required: true}
runs:
  using: composite
  steps:
    - shell: bash
      env:
        PATTERN: ${{ inputs.pattern }}
        FOLDER: ${{ inputs.path }}
      run: mkdir -p "$FOLDER" && cp -r "$ARTIFACTS/$PATTERN/." "$FOLDER"
"""
STANDINS = {
    "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8": CHECKOUT,
    "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02": UPLOAD,
    "actions/download-artifact@d3f86a106a0bac45b974a628896c90dbdf5c8093": DOWNLOAD,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A job that has ended. `outputs` are the action's."""

    code: int
    log: str
    outputs: dict[str, str]
    outcome: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """`scratch` is the repository, `action` a copy of the action, `environ` what jobs get."""

    scratch: Scratch
    action: Path
    folder: Path
    environ: Mapping[str, str]

    def install(self, name: str) -> None:
        """The example workflow as it stands, with a last step that shows what came of it."""
        text = (ROOT / "examples" / "github" / f"{name}.yml").read_text()
        uses = f"- uses: {PLACEHOLDER}"
        assert text.count(uses) == 1
        shown = text.replace(uses, f"- id: gitops\n        uses: {PLACEHOLDER}").rstrip() + LAST
        self.scratch.write(f".github/workflows/{name}.yml", shown)

    def start(self, workflow: str, name: str, event: Mapping[str, Any]) -> "subprocess.Popen[str]":
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in self.folder.iterdir():
            old.unlink()
        payload = self.folder.parent / "event.json"
        payload.write_text(json.dumps(event))
        given = {
            **self.environ,
            "GITHUB_REPOSITORY": REPOSITORY,
            "SHOWN": str(self.folder),
            "CHECKOUT_SOURCE": str(self.scratch.root),
            "ARTIFACTS": str(self.folder.parent / "artifacts"),
        }
        return subprocess.Popen(
            [
                ACT, name, "-C", self.scratch.root, "-e", payload, "-a", "octocat",
                "-W", f".github/workflows/{workflow}.yml",
                "-P", "ubuntu-latest=-self-hosted", "--no-cache-server", "--json",
                "-s", "GITHUB_TOKEN=t0ken", "--local-repository", f"{PLACEHOLDER}={self.action}",
                *(word for name in STANDINS for word in ("--local-repository", self._local(name))),
                *(word for pair in given.items() for word in ("--env", "=".join(pair))),
            ],
            cwd=self.scratch.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={key: os.environ[key] for key in os.environ if not key.startswith(_OTHERS)},
        )  # fmt: skip

    def _local(self, name: str) -> str:
        return f"{name}={self.action.parent / _folder_of(name)}"

    def end(self, process: "subprocess.Popen[str]") -> Ran:
        printed, _ = process.communicate(timeout=240)
        lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
        # The runner tells of a composite action's summary twice, for the action and for its step.
        summaries = [line["content"] for line in lines if line.get("command") == "summary"]
        shown = {file.name: file.read_text() for file in self.folder.iterdir()}
        return Ran(
            code=process.returncode,
            log="\n".join(str(line.get("msg", "")).rstrip() for line in lines),
            outputs=json.loads(shown.get("outputs.json") or "{}"),
            outcome=shown.get("outcome", ""),
            summary="".join(dict.fromkeys(summaries)),
        )

    def run(self, workflow: str, name: str, event: Mapping[str, Any]) -> Ran:
        return self.end(self.start(workflow, name, event))


def _folder_of(action: str) -> str:
    return action.partition("@")[0].replace("/", "-")


def pull_request_event(
    action: str,
    number: int,
    *,
    head: str,
    base: str,
    fork: bool = False,
    author: str = "octocat",
) -> dict[str, Any]:
    own = {"id": 1, "full_name": REPOSITORY}
    theirs = {"id": 2, "full_name": "stranger/mlops"} if fork else own
    return {
        "action": action,
        "number": number,
        "pull_request": {
            "number": number,
            "title": "A $(better) `model`",
            "user": {"login": author},
            "head": {"sha": head, "ref": f"topic-{number}", "repo": theirs},
            "base": {"sha": base, "ref": "main", "repo": own},
        },
        "repository": {**own, "default_branch": "main"},
    }


def workflow_run_event(*, head: str, branch: str) -> dict[str, Any]:
    """A fork's pull request was planned. GitHub names none of them in this event."""
    return {
        "action": "completed",
        "workflow_run": {
            "id": 99,
            "event": "pull_request",
            "conclusion": "success",
            "head_sha": head,
            "head_branch": branch,
            "head_repository": {
                "id": 2,
                "full_name": "stranger/mlops",
                "owner": {"login": "stranger"},
            },
            "pull_requests": [],
        },
        "repository": {"id": 1, "full_name": REPOSITORY, "default_branch": "main"},
    }


def comment_event(
    number: int, comment: Mapping[str, Any], *, author: str = "anna", **more: Any
) -> dict[str, Any]:
    """Someone has written a comment, as GitHub keeps it, on a pull request."""
    return {
        "action": "created",
        "issue": {"number": number, "title": "A $(better) `model`", "pull_request": {"url": "x"}},
        "comment": {
            **{key: comment[key] for key in ("id", "body", "created_at")},
            "user": {"login": author, "type": "User"},
            **more,
        },
        "repository": {"id": 1, "full_name": REPOSITORY, "default_branch": "main"},
    }


def push_event(branch: str, *, before: str, after: str) -> dict[str, Any]:
    return {
        "ref": f"refs/heads/{branch}",
        "before": before,
        "after": after,
        "head_commit": {"id": after, "message": "Merge\n\nmore"},
        "repository": {"id": 1, "full_name": REPOSITORY, "default_branch": "main"},
    }


def copy_action(folder: Path) -> Path:
    """What a release of the action holds; beside it the stand-ins for those of GitHub."""
    for name in ("ci", "doors", "requirements"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    shutil.copy(ROOT / "action.yml", folder)
    for name, text in STANDINS.items():
        standin = folder.parent / _folder_of(name)
        standin.mkdir()
        (standin / "action.yml").write_text(text)
    return folder


def program_below(process: int, *, seconds: float = 60) -> int:
    """The process id of the program that a runner started; AssertionError where none appears."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for found in _below(process):
            command = Path(f"/proc/{found}/cmdline")
            try:
                words = command.read_bytes().split(b"\0")
            except OSError:
                continue
            if words[1:4] == [b"-I", b"-m", b"ci"]:
                return found
        time.sleep(0.05)
    raise AssertionError("the program did not appear below the runner")


def _below(process: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = [int(word) for word in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *_below(child)]
    return found
