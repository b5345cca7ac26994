"""`init`: finds the pipelines of a repository; writes the project file and the workflows."""

import argparse
import difflib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ci.cli.shell import Shell
from ci.errors import ExitCode, ProjectError, UsageError

if TYPE_CHECKING:
    from ci.project.discover import Found

_FOLDER = ".sagemaker-gitops"
_REFERENCE = re.compile(r"[\w.-]+/[\w./-]+@[\w./-]+(?: # .*)?|\./[\w./-]*")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+")
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A file to write. `old` is what stands there now, None where nothing does."""

    path: str
    new: str
    old: str | None

    @property
    def state(self) -> str:
        if self.old is None:
            return "new"
        return "unchanged" if self.old == self.new else "different"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="overwrite what differs")
    parser.add_argument("--role", help="ARN of the execution role")
    parser.add_argument("--region", help="default: AWS_REGION")
    parser.add_argument(
        "--action",
        metavar="OWNER/NAME@COMMIT",
        help="how workflows reach the action; default: where this program was installed from",
    )
    parser.add_argument(
        "--reviewed",
        action="store_true",
        help="models of the default branch are approved by the reviewers of a GitHub Environment",
    )
    parser.add_argument("--no-workflows", action="store_true", help="write the project file alone")


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.project.discover import discover_pipelines

    root = _root(shell.cwd)
    found = discover_pipelines(root)
    if not found:
        raise ProjectError(
            "no module with a function get_pipeline was found",
            where=str(root),
            fix="write pipelines/NAME/pipeline.py with get_pipeline(region, role, default_bucket)",
        )
    drafts = _drafts(arguments, shell, root, found)
    refused = [draft for draft in drafts if draft.state == "different" and not arguments.yes]
    for draft in drafts:
        _show(draft, shell)
        if draft.state == "new" or (draft.state == "different" and arguments.yes):
            _write(root / draft.path, draft.new)
    _tell_next(found, refused, drafts, shell)
    shell.emit(
        {
            "root": str(root),
            "pipelines": {each.name: f"{each.file}:{each.function}" for each in found},
            "files": {draft.path: draft.state for draft in drafts},
            "written": [
                draft.path
                for draft in drafts
                if draft.state != "unchanged" and draft not in refused
            ],
        }
    )
    return ExitCode.OK


def _root(start: Path) -> Path:
    """The root of the repository around `start`; `start` itself outside of any."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / ".git").exists():
            return folder
    return start


def _drafts(
    arguments: argparse.Namespace, shell: Shell, root: Path, found: "tuple[Found, ...]"
) -> list[Draft]:
    from ci.project.load import FILE_NAME
    from ci.project.render import (
        REVIEWED_MAIN,
        WORKFLOWS,
        render_project,
        render_schema,
        render_workflow,
    )

    region = arguments.region or shell.environ.get("AWS_REGION") or None
    _check(arguments.role, _ROLE, "--role", "arn:aws:iam::123456789012:role/NAME")
    _check(region, _REGION, "--region", "us-east-1")
    _check(arguments.action, _REFERENCE, "--action", "your-org/sagemaker-gitops@COMMIT")
    texts = {
        FILE_NAME: render_project(
            found, region=region, role=arguments.role, schema=f"{_FOLDER}/schema.json"
        )
    }
    texts[f"{_FOLDER}/schema.json"] = render_schema()
    # The local endpoint keeps its state beside the schema.
    texts[f"{_FOLDER}/.gitignore"] = "local/\n"
    if not arguments.no_workflows:
        action, branch = arguments.action or _installed_from(), _default_branch(root)
        for name in WORKFLOWS:
            path = f".github/workflows/sagemaker-{name}.yml"
            shown = REVIEWED_MAIN if name == "main" and arguments.reviewed else name
            texts[path] = render_workflow(shown, action=action, branch=branch)
    return [Draft(path=path, new=text, old=_read(root / path)) for path, text in texts.items()]


def _check(value: str | None, form: re.Pattern[str], option: str, example: str) -> None:
    if value is not None and not form.fullmatch(value):
        raise UsageError(f"{value!r} does not have the right form", fix=f"{option} {example}")


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(file)) from error


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(file)) from error


def _show(draft: Draft, shell: Shell) -> None:
    shell.say(f"{draft.state:<10} {draft.path}")
    if draft.state == "different":
        lines = difflib.unified_diff(
            (draft.old or "").splitlines(),
            draft.new.splitlines(),
            f"{draft.path} (as it stands)",
            f"{draft.path} (as init would write it)",
            lineterm="",
        )
        shell.say("\n".join(lines))


def _tell_next(
    found: "tuple[Found, ...]", refused: list[Draft], drafts: list[Draft], shell: Shell
) -> None:
    from ci.project.render import PLACEHOLDER

    for pipeline in found:
        shell.say(f"found      {pipeline.name}: {pipeline.file}")
        for name in pipeline.needed:
            shell.say(f"  {name} has no default: set it under kwargs")
    if refused:
        shell.say("kept what differs; sagemaker-gitops init --yes overwrites it")
    if any(PLACEHOLDER in draft.new for draft in drafts):
        shell.say(f"change {PLACEHOLDER.partition('@')[0]} in the workflows, or give --action")
    shell.say("next: sagemaker-gitops validate")


def _installed_from() -> str:
    """`owner/name@commit` where this program was installed from git; else a placeholder."""
    from importlib.metadata import PackageNotFoundError, distribution

    from ci.project.render import PLACEHOLDER
    from ci.trigger.values import known_commit, parse_repository

    try:
        origin = json.loads(distribution("sagemaker-gitops").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        origin = {}
    repository = parse_repository(str(origin.get("url", "")))
    commit = known_commit(origin.get("vcs_info", {}).get("commit_id"))
    return f"{repository}@{commit}" if repository and commit else f"{PLACEHOLDER} # change this"


def _default_branch(root: Path) -> str:
    from ci.errors import TriggerError
    from ci.trigger.laptop import read_checkout

    try:
        return read_checkout(root).default_branch or "main"
    except TriggerError:
        return "main"
