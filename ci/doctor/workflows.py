"""Checks of the repository's own workflows of GitHub Actions: the jobs that use the action. Reads
files and nothing else.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ci.bootstrap.github import CHAT_ENVIRONMENT
from ci.doctor.builds import MARGIN
from ci.doctor.documents import Document, mapping, names, read, seconds, steps
from ci.doctor.model import Finding, Site, fail, ok, warn
from ci.project.render import PLACEHOLDER

_ACTION = re.compile(r"(^|/)sagemaker-gitops(@|$)|^\./$")
_COMMAND = re.compile(r"\bsagemaker-gitops\b")
_COMMIT = re.compile(r"@[0-9a-f]{40}$")
_CHECKOUT = re.compile(r"^actions/checkout@")
_HEAD = ("pull_request.head", "head_ref", "github.event.number", "refs/pull")
_DEFAULT_BRANCH = frozenset(
    {"${{ github.sha }}", "${{ github.ref }}", "${{ github.event.repository.default_branch }}"}
)
_OWN = re.compile(r"head\.repo\.(full_name|fork|id|owner)")
_DEFAULT_MINUTES = 360.0
_READ_ONLY = frozenset({"validate", "plan", "drift", "post"})
# Commands that ask which pipelines a commit touches, and compare settings with its base.
_BY_HISTORY = frozenset({"auto", "deploy", "plan"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A job that uses the action, where it stands and what it is given."""

    file: str
    name: str
    workflow: Document
    job: Document
    step: Document

    @property
    def where(self) -> str:
        return f"{self.file}, job {self.name}"

    @property
    def inputs(self) -> Document:
        return mapping(self.step.get("with"))

    @property
    def events(self) -> frozenset[str]:
        # YAML 1.1 reads the key `on` as true.
        found = next((self.workflow[key] for key in self.workflow if key in ("on", True)), None)
        return names(found)

    @property
    def only_closes(self) -> bool:
        """Whether the workflow runs where pull requests are closed, and nowhere else."""
        on = next((self.workflow[key] for key in self.workflow if key in ("on", True)), None)
        types = names(mapping(mapping(on).get("pull_request")).get("types"))
        return self.events == {"pull_request"} and types == {"closed"}

    @property
    def permissions(self) -> Document | str | None:
        """Those of the job, else of the workflow; None where neither says."""
        found = self.job.get("permissions", self.workflow.get("permissions"))
        return found if isinstance(found, Mapping | str) else None


def check_workflows(site: Site) -> Iterator[Finding]:
    folder = site.root / ".github" / "workflows"
    files = sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")])
    uses: list[Use] = []
    for file in files:
        name = str(file.relative_to(site.root))
        document, problem = read(file)
        if problem is not None:
            yield fail(problem, where=name)
        elif document is not None:
            uses += _uses(name, document)
    if not uses:
        if files:
            yield warn(
                "no workflow uses sagemaker-gitops", where=str(folder), fix="sagemaker-gitops init"
            )
        else:
            yield ok("no workflows of GitHub Actions")
        return
    found = [each for use in uses for each in judge(use, site)]
    yield from _together(found)
    if not found:
        count = len(uses)
        yield ok(f"{count} job{'s' if count != 1 else ''} set up as needed", where=str(folder))


def _together(found: Iterable[Finding]) -> Iterator[Finding]:
    """One finding for all jobs that are to be mended alike."""
    alike: dict[Finding, list[str]] = {}
    for each in found:
        alike.setdefault(replace(each, where=None), []).append(each.where or "")
    for finding, places in alike.items():
        yield replace(finding, where="\n".join(places))


def judge(use: Use, site: Site) -> Iterator[Finding]:
    """All that is wrong with one job."""
    yield from _foreign_code(use)
    yield from _ordered_code(use)
    yield from _permissions(use)
    yield from _depth(use)
    yield from _concurrency(use)
    yield from _time(use, site)
    yield from _pinned(use)
    yield from _forks(use)


def _foreign_code(use: Use) -> Iterator[Finding]:
    """The worst of all: a stranger's code with the repository's secrets."""
    if "pull_request_target" not in use.events:
        return
    for step in steps(use.job):
        given = str(mapping(step.get("with")).get("ref", ""))
        if _is_checkout(step) and any(each in given for each in _HEAD):
            yield fail(
                "pull_request_target checks out the pull request's code: whoever opens one runs"
                " code with this repository's secrets",
                where=use.where,
                fix="on:\n  pull_request:\nand post the comment of forks from workflow_run",
            )


def _ordered_code(use: Use) -> Iterator[Finding]:
    """A comment's job has the default branch's subject, whatever it checks out: roles that deploy
    trust it, unless its environment gives it another."""
    if "issue_comment" not in use.events or not _may_assume(use):
        return
    if use.job.get("environment"):
        return
    for step in steps(use.job):
        given = str(mapping(step.get("with")).get("ref", ""))
        if _is_checkout(step) and given and given not in _DEFAULT_BRANCH:
            yield fail(
                "a comment's job runs the code of a pull request with the default branch's"
                " identity: the role of main trusts it",
                where=use.where,
                fix=f"environment: {CHAT_ENVIRONMENT}   # the role of pull requests trusts it",
            )


def _may_assume(use: Use) -> bool:
    """Whether its token can be had: by anything that runs in the job, asked for or not."""
    held = use.permissions
    if isinstance(held, str):
        return held == "write-all"
    return _assumes(use) if held is None else held.get("id-token") == "write"


def _permissions(use: Use) -> Iterator[Finding]:
    needed = {"contents": "read"} if any(map(_is_checkout, steps(use.job))) else {}
    if _assumes(use):
        needed["id-token"] = "write"
    comments = str(use.inputs.get("comment", "")).lower() != "false" and not use.only_closes
    if comments and use.events & {"pull_request", "push", "workflow_run", "issue_comment"}:
        needed["pull-requests"] = "write"
    held = use.permissions
    if held == "write-all":
        yield warn("the job may do everything", where=use.where, fix=_yaml(needed))
        return
    if held is None:
        if "id-token" in needed:
            yield fail(
                "nothing grants id-token: write: no role can be assumed",
                where=use.where,
                fix=_yaml(needed),
            )
        return
    given = held if isinstance(held, Mapping) else {}
    missing = [
        name for name, access in needed.items() if not _grants(given.get(name), access, held)
    ]
    for name in missing:
        grave = name in {"id-token", "contents"}
        said = {
            "id-token": "no role can be assumed",
            "contents": "the repository cannot be checked out",
            "pull-requests": "no comment can be posted",
        }[name]
        kind = fail if grave else warn
        yield kind(f"{name}: {needed[name]} is missing: {said}", where=use.where, fix=_yaml(needed))


def _grants(held: object, access: str, everything: object) -> bool:
    if everything == "read-all":
        return access == "read"
    return held in {"write", access}


def _depth(use: Use) -> Iterator[Finding]:
    if _command(use) not in _BY_HISTORY or use.only_closes:
        return
    for step in steps(use.job):
        if not _is_checkout(step):
            continue
        depth = str(mapping(step.get("with")).get("fetch-depth", 1))
        if depth != "0" and "${{" not in depth:
            yield warn(
                f"fetch-depth is {depth}: every pipeline counts as touched by every commit",
                where=use.where,
                fix="with:\n  fetch-depth: 0",
            )


def _concurrency(use: Use) -> Iterator[Finding]:
    """Two deploys at once, or one that is cut off halfway."""
    if not use.events & {"push", "merge_group"} or _command(use) not in _BY_HISTORY:
        return
    group = use.job.get("concurrency", use.workflow.get("concurrency"))
    if group is None:
        yield warn(
            "two pushes deploy at once: there is no concurrency group",
            where=use.where,
            fix="concurrency:\n  group: sagemaker-main\n  cancel-in-progress: false",
        )
        return
    cancels = mapping(group).get("cancel-in-progress", False)
    if cancels is True or str(cancels).lower() == "true":
        yield fail(
            "a newer push cancels the deploy of main that is under way",
            where=use.where,
            fix="concurrency:\n  cancel-in-progress: false",
        )


def _time(use: Use, site: Site) -> Iterator[Finding]:
    minutes = use.job.get("timeout-minutes", _DEFAULT_MINUTES)
    if isinstance(minutes, str | bool):
        return
    deadline = seconds(use.inputs.get("deadline"))
    if deadline is None:
        deadline = site.deadline
    if deadline is None:
        if _command(use) not in _READ_ONLY and _assumes(use) and not use.only_closes:
            yield warn(
                f"no deadline: the job is cut off after {minutes:g} minutes without a report",
                where=use.where,
                fix=f"with:\n  deadline: {max(1, int(minutes) - 20)}m",
            )
    elif deadline + MARGIN > minutes * 60:
        yield fail(
            f"a deadline of {deadline / 60:g} minutes is not {MARGIN / 60:g} minutes before the"
            f" job's timeout of {minutes:g}: it would be cut off without a report",
            where=use.where,
            fix=f"timeout-minutes: {int((deadline + MARGIN) / 60) + 1}",
        )


def _pinned(use: Use) -> Iterator[Finding]:
    action = str(use.step.get("uses", ""))
    if action.partition("@")[0] == PLACEHOLDER.partition("@")[0]:
        yield fail(
            "the action is not named yet: GitHub finds none there",
            where=use.where,
            fix="sagemaker-gitops init --yes --action OWNER/sagemaker-gitops@COMMIT",
        )
    elif action and action != "./" and not _COMMIT.search(action):
        yield warn(
            f"{action} is not pinned to a commit: what it names can change",
            where=use.where,
            fix="uses: OWNER/sagemaker-gitops@COMMIT # the release",
        )


def _forks(use: Use) -> Iterator[Finding]:
    if "pull_request" not in use.events or not _assumes(use):
        return
    condition = f"{use.job.get('if', '')} {use.step.get('if', '')}"
    if not _OWN.search(condition):
        yield warn(
            "pull requests from forks have no credentials: their jobs fail here",
            where=use.where,
            fix="if: github.event.pull_request.head.repo.full_name == github.repository",
        )


def _uses(file: str, document: Document) -> Iterator[Use]:
    for name, job in mapping(document.get("jobs")).items():
        for step in steps(mapping(job)):
            action, script = str(step.get("uses", "")), str(step.get("run", ""))
            if _ACTION.search(action) or _COMMAND.search(script):
                yield Use(file=file, name=str(name), workflow=document, job=job, step=step)
                break


def _command(use: Use) -> str:
    return str(use.inputs.get("command", "auto")).partition(" ")[0]


def _is_checkout(step: Document) -> bool:
    return _CHECKOUT.match(str(step.get("uses", ""))) is not None


def _assumes(use: Use) -> bool:
    """Whether the job gets credentials by OIDC."""
    others = " ".join(str(step.get("uses", "")) for step in steps(use.job))
    return bool(use.inputs.get("role-to-assume")) or "configure-aws-credentials" in others


def _yaml(needed: Mapping[str, str]) -> str:
    return "permissions:\n" + "\n".join(f"  {name}: {access}" for name, access in needed.items())
