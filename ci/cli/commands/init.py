"""`init`: finds the pipelines of a repository; writes the project file and the workflows."""

import argparse
import difflib
import json
import os
import posixpath
import re
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from ci.cli.shell import Shell
from ci.errors import ExitCode, ProjectError, UsageError

if TYPE_CHECKING:
    from ci.project.discover import Found
    from ci.trigger.laptop import Checkout

_FOLDER = ".sagemaker-gitops"
_SHOWN = 5
_EXAMPLE = "your-org/sagemaker-gitops@COMMIT"
_REFERENCE = re.compile(r"[\w.-]+/[\w./-]+@[\w./-]+(?: # .*)?|\./[\w./-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A file to write. `old` is what stands there now, None where nothing does; `own` is a file
    whose settings are the user's, which is never overwritten."""

    path: str
    new: str
    old: str | None
    own: bool = False

    @property
    def state(self) -> str:
        if self.old is None:
            return "new"
        return "unchanged" if self.old == self.new else "different"

    def written(self, *, yes: bool) -> bool:
        return self.state == "new" or (self.state == "different" and yes and not self.own)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--yes",
        action="store_true",
        help="overwrite workflows and the schema where they differ; never the project file",
    )
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
    from ci.session.writing import write_whole

    root = _root(shell.cwd)
    checkout = _checkout(root)
    remote = (checkout.repository if checkout else None) or ""
    found = discover_pipelines(root, remote.rpartition("/")[2] or None)
    if not found:
        raise _nothing(root)
    branch = (checkout.default_branch if checkout else None) or "main"
    drafts = _drafts(arguments, shell, root, found, branch)
    written = [draft for draft in drafts if draft.written(yes=arguments.yes)]
    for draft in drafts:
        if draft in written:
            write_whole(root / draft.path, draft.new, what=draft.path)
        _show(draft, shell, written=draft in written)
    _tell_next(found, drafts, shell, yes=arguments.yes)
    if not (root / ".git").exists():
        shell.warn(f"warning: {root} is in no git repository; all but validate needs one: git init")
    shell.emit(
        {
            "root": str(root),
            "pipelines": {each.name: each.source for each in found},
            "files": {draft.path: draft.state for draft in drafts},
            "written": [draft.path for draft in written],
        }
    )
    return ExitCode.OK


def _nothing(root: Path) -> ProjectError:
    """With the places where a pipeline is built, and never given back."""
    from ci.project.discover import discover_builders

    builders = discover_builders(root)
    places = [each.where for each in builders[:_SHOWN]]
    if len(builders) > _SHOWN:
        places.append(f"and {len(builders) - _SHOWN} more")
    if not builders:
        return ProjectError(
            "no module with a function get_pipeline was found",
            where=str(root),
            why="nor is a pipeline of the SageMaker SDK built anywhere in it",
            fix="write pipelines/NAME/pipeline.py with get_pipeline(region, role, default_bucket)",
        )
    return ProjectError(
        "no function gives a pipeline back",
        where="\n".join(places),
        why="pipelines are built there; upsert and start are this program's to do",
        fix="write a module with this function:\n"
        "def get_pipeline(region, role, default_bucket, pipeline_session):\n"
        "    ...   # what builds it, with pipeline_session as its session\n"
        "    return pipeline",
    )


def _root(start: Path) -> Path:
    """The root of the repository around `start`; `start` itself outside of any."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / ".git").exists():
            return folder
    return start


def _drafts(
    arguments: argparse.Namespace,
    shell: Shell,
    root: Path,
    found: "tuple[Found, ...]",
    branch: str,
) -> list[Draft]:
    from ci.project.discover import discover_python
    from ci.project.load import FILE_NAME
    from ci.project.render import (
        REVIEWED_MAIN,
        WORKFLOWS,
        render_project,
        render_schema,
        render_workflow,
    )
    from ci.project.requirements import sdk_requirements
    from ci.project.target import region_of_job

    region = region_of_job(shell.environ) if arguments.region is None else arguments.region
    _check(arguments, region)
    texts = {
        FILE_NAME: render_project(
            found,
            region=region,
            role=arguments.role,
            schema=f"{_FOLDER}/schema.json",
            python=discover_python(root),
        )
    }
    texts[f"{_FOLDER}/schema.json"] = render_schema()
    # The local endpoint keeps its state beside the schema, and deploy its reports.
    texts[f"{_FOLDER}/.gitignore"] = "local/\nreports/\n"
    if not arguments.no_workflows:
        action = arguments.action or _installed_from()
        modules = [each.file for each in found if each.function is not None]
        sdk = sdk_requirements(root, modules) if modules else None
        for name in WORKFLOWS:
            path = f".github/workflows/sagemaker-{name}.yml"
            shown = REVIEWED_MAIN if name == "main" and arguments.reviewed else name
            texts[path] = render_workflow(shown, action=action, branch=branch, sdk=sdk)
    return [
        Draft(path=path, new=text, old=_read(root, path), own=path == FILE_NAME)
        for path, text in texts.items()
    ]


def _check(arguments: argparse.Namespace, region: str | None) -> None:
    from ci.project.validate import has_form

    role, action = arguments.role, arguments.action
    for value, fits, example in (
        (role, lambda: has_form("role", role), "--role arn:aws:iam::123456789012:role/NAME"),
        (region, lambda: has_form("region", region or ""), "--region us-east-1"),
        (action, lambda: _REFERENCE.fullmatch(action), f"--action {_EXAMPLE}"),
    ):
        if value is not None and not fits():
            raise UsageError(f"{value!r} does not have the right form", fix=example)


def _read(root: Path, path: str) -> str | None:
    from ci.project.load import irregular

    file = root / path
    kind = irregular(file)
    if kind is not None:
        raise UsageError(f"{path} is {kind}", where=str(file), fix=f"remove it, or move it: {path}")
    if not Path(os.path.realpath(file)).is_relative_to(root):
        raise UsageError(
            f"{path} is not in this repository",
            where=str(file),
            why=f"a link leads to {os.path.realpath(file)}",
        )
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(file)) from error


def _show(draft: Draft, shell: Shell, *, written: bool) -> None:
    if draft.state != "different":
        shell.show(f"{draft.state:<10} {draft.path}")
        return
    shell.show(f"{'overwritten' if written else 'kept':<10} {draft.path}")
    if draft.own:
        return
    lines = difflib.unified_diff(
        (draft.old or "").splitlines(),
        draft.new.splitlines(),
        f"{draft.path} (as it {'stood' if written else 'stands'})",
        f"{draft.path} (as init writes it)",
        lineterm="",
    )
    shell.show("\n".join(lines))


def _tell_next(found: "tuple[Found, ...]", drafts: list[Draft], shell: Shell, *, yes: bool) -> None:
    from ci.project.render import PLACEHOLDER

    for pipeline in found:
        shell.show(f"found      {pipeline.name}: {pipeline.file}")
        for name in pipeline.needed:
            shell.show(f"  {name} has no default: set it under kwargs")
    for draft in drafts:
        if draft.own and draft.state == "different":
            _tell_missing(found, draft, shell)
    if not yes and any(draft.state == "different" and not draft.own for draft in drafts):
        shell.show("kept what differs; sagemaker-gitops init --yes overwrites it")
    if any(PLACEHOLDER in draft.new for draft in drafts):
        shell.show(f"change {PLACEHOLDER.partition('@')[0]} in the workflows, or give --action")
    shell.show("next: sagemaker-gitops validate --compile")


def _tell_missing(found: "tuple[Found, ...]", draft: Draft, shell: Shell) -> None:
    """The pipelines that an existing project file does not have, as YAML to add to it."""
    from ci.project.render import render_project

    named, sources = _listed(draft.old or "")
    missing = []
    for each in found:
        if each.source not in sources:
            name, number = each.name, 1
            while name in named:
                number += 1
                name = f"{each.name}-{number}"
            named.add(name)
            missing.append(replace(each, name=name))
    if missing:
        text = render_project(missing, region=None, role=None, schema="")
        shell.show(f"not in {draft.path} yet; add under `pipelines:`")
        lines = text.partition("\npipelines:\n")[2].splitlines()
        shell.show("\n".join(takewhile(lambda line: line.startswith(" "), lines)))


def _listed(text: str) -> tuple[set[str], set[str]]:
    """The names and sources of the pipelines of a project file, as far as it can be read."""
    from ci.project.document import parse_document

    data = parse_document(text).data
    pipelines = data.get("pipelines") if isinstance(data, dict) else None
    entries = pipelines if isinstance(pipelines, dict) else {}
    sources = set()
    for entry in entries.values():
        own = entry if isinstance(entry, dict) else {}
        file, _, function = str(own.get("source") or "").rpartition(":")
        sources.add(f"{posixpath.normpath(file)}:{function}")
        sources.add(posixpath.normpath(str(own.get("definition") or "")))
    return {str(name) for name in entries}, sources


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


def _checkout(root: Path) -> "Checkout | None":
    """None where there is no commit, or no repository."""
    from ci.errors import TriggerError
    from ci.trigger.laptop import read_checkout

    try:
        return read_checkout(root)
    except TriggerError:
        return None
