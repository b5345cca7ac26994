"""Every forge behind one bench: one scene on each, set up and asserted in the forge's state."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from ci.forge.bitbucket import Bitbucket, open_bitbucket
from ci.forge.codecommit import CodeCommit
from ci.forge.form import form_of
from ci.forge.github import PERMISSIONS, GitHub
from ci.forge.gitlab import MANNERS, GitLab
from ci.forge.http import GITHUB, Client, Manners
from ci.forge.model import Forge
from ci.sagemaker.clients import Clients
from ci.sagemaker.codecommit import CodeCommit as Calls
from support import bitbucket, codecommit, gitlab
from support.github import REPOSITORY as GITHUB_REPOSITORY
from support.github import FakeGitHub, Fault, serve_github
from support.loopback_forge import BASE, Loopback, serve_forge

PR = 42
OLD, NEW, NEWEST = "a" * 40, "b" * 40, "c" * 40


class Bench(Protocol):
    """Pull request 42 with the commits OLD, NEW, NEWEST. `me` writes the forge's own comments."""

    me: str
    address: str

    def forge(self) -> Forge:
        """One more, as another run of the same account opens it."""

    def add(self, author: str, body: str) -> None: ...

    def bodies(self) -> list[str]:
        """What stands on the pull request, oldest first."""

    def writes(self) -> list[str]: ...

    def fail(self, what: str, status: int, *, count: int = 1, after: bool = False) -> None:
        """`what` is `list`, `create`, `update` or `delete`. A status of 0 breaks the connection."""

    def after(self, what: str, hook: Callable[[], None]) -> None:
        """Run `hook` once, when the next `list` was answered."""

    def forbid(self) -> None:
        """The account may read, and no longer write."""


def dressed(bench: Bench, body: str) -> str:
    return form_of(bench.forge()).dress(body)


class _Web:
    """A forge with a REST API: what its calls are named, and where its comments are."""

    me = ""
    calls: Mapping[str, tuple[str, str]] = {}
    place = ""

    def __init__(self, fake: FakeGitHub | Loopback) -> None:
        self._fake, self.address = fake, fake.address

    def writes(self) -> list[str]:
        return [
            method
            for method, path in self._fake.requests
            if method != "GET" and "graphql" not in path
        ]

    def fail(self, what: str, status: int, *, count: int = 1, after: bool = False) -> None:
        method, path = self.calls[what]
        self._fake.faults.append(Fault(method, path, status, count=count, after_effect=after))

    def after(self, what: str, hook: Callable[[], None]) -> None:
        self._fake.hooks[f"{self.calls[what][0]} {self.place}"] = hook


def _calls(update: str, noun: str) -> Mapping[str, tuple[str, str]]:
    return {
        "list": ("GET", f"/{noun}$"),
        "create": ("POST", f"/{noun}$"),
        "update": (update, f"/{noun}/"),
        "delete": ("DELETE", f"/{noun}/"),
    }


class GitHubBench(_Web):
    me = "github-actions[bot]"
    calls = _calls("PATCH", "comments")
    place = f"/repos/{GITHUB_REPOSITORY}/issues/{PR}/comments"

    def __init__(self, fake: FakeGitHub) -> None:
        super().__init__(fake)
        self.fake = fake
        fake.add_pull(PR, NEWEST)
        fake.commits[PR] = [OLD, NEW, NEWEST]

    def forge(self) -> Forge:
        return GitHub(_client(self.address, permissions=PERMISSIONS), GITHUB_REPOSITORY)

    def add(self, author: str, body: str) -> None:
        self.fake.add_comment(PR, author, body)

    def bodies(self) -> list[str]:
        return self.fake.bodies(PR)

    def forbid(self) -> None:
        self.fake.readers.add(self.me)


class GitLabBench(_Web):
    me = "project_7_bot"
    calls = _calls("PUT", "notes")
    place = f"/api/v4/projects/{gitlab.PROJECT.replace('/', '%2F')}/merge_requests/{PR}/notes"

    def __init__(self, fake: gitlab.FakeGitLab) -> None:
        super().__init__(fake)
        self.fake = fake
        fake.commits[PR] = [OLD, NEW, NEWEST]
        fake.merge_requests[PR] = gitlab.merge_request(PR)
        fake.add_note(PR, "mlee", "added 3 commits", system=True)

    def forge(self) -> GitLab:
        return GitLab(_client(f"{self.address}/api/v4", manners=MANNERS), gitlab.PROJECT)

    def add(self, author: str, body: str) -> None:
        self.fake.add_note(PR, author, body)

    def bodies(self) -> list[str]:
        notes = self.fake.notes.values()
        return [n["body"] for n in notes if n["noteable_iid"] == PR and not n["system"]]

    def forbid(self) -> None:
        self.fake.readers.add(self.me)


class BitbucketBench(_Web):
    me = bitbucket.BOT
    calls = _calls("PUT", "comments")
    place = f"/2.0/repositories/{bitbucket.REPOSITORY}/pullrequests/{PR}/comments"

    def __init__(self, fake: bitbucket.FakeBitbucket) -> None:
        super().__init__(fake)
        self.fake = fake
        fake.commits[PR] = [OLD, NEW, NEWEST]
        fake.pulls[PR] = bitbucket.pull_request(PR)
        fake.known += [NEW, BASE]

    def forge(self, token: str = "t0ken") -> Bitbucket:
        return open_bitbucket(f"{self.address}/2.0", token, bitbucket.REPOSITORY, sleep=_no_wait)

    def add(self, author: str, body: str) -> None:
        self.fake.add_comment(PR, author, body)

    def bodies(self) -> list[str]:
        return [c["content"]["raw"] for c in self.fake.comments.values() if not c["deleted"]]

    def forbid(self) -> None:
        self.fake.readers.add(self.me)


class CodeCommitBench:
    me = f"{codecommit.ROLE}/build-1"
    calls: Mapping[str, str] = {
        "list": "^GetCommentsForPullRequest$",
        "create": "^PostCommentForPullRequest$",
        "update": "^UpdateComment$",
        "delete": "^DeleteCommentContent$",
    }

    def __init__(self, fake: codecommit.FakeCodeCommit) -> None:
        self.fake, self.address = fake, fake.address
        fake.pulls[PR] = codecommit.pull_request(PR)
        for commit in (OLD, NEW, NEWEST):
            fake.push(PR, commit)

    def forge(self, key: str = "AKIDBUILD1") -> CodeCommit:
        return CodeCommit(Calls(clients(self.address, key), codecommit.REPOSITORY), "mlops")

    def add(self, author: str, body: str) -> None:
        self.fake.add_comment(PR, author, body)

    def bodies(self) -> list[str]:
        return [c["content"] for c in self.fake.comments.values() if not c["deleted"]]

    def writes(self) -> list[str]:
        writing = ("Post", "Update", "Delete")
        return [name for _, name in self.fake.requests if name.startswith(writing)]

    def fail(self, what: str, status: int, *, count: int = 1, after: bool = False) -> None:
        fault = Fault("POST", self.calls[what], status, count=count, after_effect=after)
        self.fake.faults.append(fault)

    def after(self, what: str, hook: Callable[[], None]) -> None:
        self.fake.hooks[f"POST {self.calls[what].strip('^$')}"] = hook

    def forbid(self) -> None:
        self.fake.denied |= {"PostCommentForPullRequest", "UpdateComment", "DeleteCommentContent"}


def clients(address: str, key: str = "AKIDBUILD1") -> Clients:
    """Clients that try once: what is tried again is botocore's affair."""
    environ = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": "s" * 20}
    return Clients("eu-west-1", environ=environ, endpoint=address, attempts=1, sleep=_no_wait)


@contextmanager
def open_bench(kind: str) -> Iterator[Bench]:
    match kind:
        case "github":
            with serve_github() as hub:
                yield GitHubBench(hub)
        case "gitlab":
            with serve_forge(gitlab.FakeGitLab()) as lab:
                yield GitLabBench(lab)
        case "bitbucket":
            with serve_forge(bitbucket.FakeBitbucket()) as bucket:
                yield BitbucketBench(bucket)
        case _:
            with serve_forge(codecommit.FakeCodeCommit()) as commit:
                yield CodeCommitBench(commit)


KINDS = ("github", "gitlab", "bitbucket", "codecommit")


def _client(
    address: str, *, manners: Manners = GITHUB, permissions: Mapping[str, str] | None = None
) -> Client:
    return Client(
        address,
        "t0ken",
        sleep=_no_wait,
        jitter=lambda: 0.0,
        permissions=permissions,
        manners=manners,
    )


def _no_wait(_seconds: float) -> None:
    return
