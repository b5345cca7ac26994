"""A work tree on a laptop, in every state that a repository can be in."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ci.errors import TriggerError
from ci.trigger.access import refused
from ci.trigger.changes import changed_paths, relative_to
from ci.trigger.detect import detect_trigger
from ci.trigger.history import tracked_names
from ci.trigger.laptop import read_checkout, resolve_commit
from ci.trigger.model import Door, Event, Trigger
from ci.trigger.values import parse_host, parse_repository


def git(folder: Path, *words: str) -> str:
    environ = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_AUTHOR_NAME": "Ann",
        "GIT_AUTHOR_EMAIL": "ann@example.com",
        "GIT_COMMITTER_NAME": "Ann",
        "GIT_COMMITTER_EMAIL": "ann@example.com",
    }
    done = subprocess.run(
        ["git", *words], cwd=folder, env=environ, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(folder: Path, name: str = "file", message: str = "Change") -> str:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{message} {name}")
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


def detect(folder: Path) -> Trigger:
    return detect_trigger({}, folder)


def test_a_clean_default_branch(work: Path) -> None:
    head = commit(work, message="First\n\nbody")
    git(work, "remote", "add", "origin", "git@github.com:acme/mlops.git")
    deep = work / "a" / "b"
    deep.mkdir(parents=True)
    trigger = detect(deep)
    assert trigger == Trigger(
        door=Door.LAPTOP,
        event=Event.MANUAL,
        commit=head,
        branch="main",
        default_branch="main",
        is_default_branch=True,
        actor="Ann",
        host="github.com",
        repository="acme/mlops",
        subject="First",
    )


def test_a_commit_may_be_named_as_git_names_it(work: Path) -> None:
    first, second = commit(work, "a"), commit(work, "b")
    git(work, "tag", "-a", "v1", "-m", "one", first)
    for name, found in (("HEAD", second), ("HEAD~1", first), ("main", second), ("v1", first)):
        assert resolve_commit(work, name) == found
    assert resolve_commit(work, second[:5]) == second
    for name in ("", "HEAD~9", "nope", "--all", "HEAD:a", "a\0b", "HEAD..main", "HEAD^@"):
        assert resolve_commit(work, name) is None, name
    assert resolve_commit(work.parent, "HEAD") is None


@pytest.mark.parametrize(
    "name",
    [
        "feature/$(touch${IFS}x)",
        "日本",
        "-dash",
        "a'b\"c",
        "x" * 200,
        "a\u2028b",
        "a\x85b",
        "a\xa0b",
    ],
)
def test_branches_with_hostile_names(work: Path, name: str) -> None:
    commit(work)
    git(work, "symbolic-ref", "HEAD", f"refs/heads/{name}")
    commit(work, "other")
    trigger = detect(work)
    assert (trigger.branch, trigger.is_default_branch) == (name, False)


@pytest.mark.parametrize("kind", ["changed", "staged", "untracked"])
def test_a_work_tree_that_differs_is_dirty(work: Path, kind: str) -> None:
    commit(work)
    assert not detect(work).dirty
    (work / ("new" if kind == "untracked" else "file")).write_text("different")
    if kind == "staged":
        git(work, "add", "--all")
    assert detect(work).dirty


def test_a_renamed_file_is_no_header_of_the_status(work: Path) -> None:
    head = commit(work, name=f"# branch.oid {'0' * 40}")
    git(work, "mv", f"# branch.oid {'0' * 40}", "# renamed")
    trigger = detect(work)
    assert (trigger.commit, trigger.dirty) == (head, True)


def test_a_detached_head_has_no_branch(work: Path) -> None:
    head = commit(work)
    git(work, "checkout", "-q", "--detach")
    trigger = detect(work)
    assert (trigger.branch, trigger.is_default_branch, trigger.commit) == (None, False, head)


def test_a_repository_without_commits_is_told(work: Path) -> None:
    with pytest.raises(TriggerError, match="there is no commit yet"):
        detect(work)


def test_a_folder_outside_of_any_repository_is_told(tmp_path: Path) -> None:
    with pytest.raises(TriggerError, match="in no git repository"):
        detect(tmp_path)
    with pytest.raises(TriggerError, match="in no git repository"):
        detect(tmp_path / "missing")


def test_a_bare_repository_is_told(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    with pytest.raises(TriggerError, match="bare"):
        detect(tmp_path / "bare.git")


def test_a_linked_work_tree(work: Path, tmp_path: Path) -> None:
    commit(work)
    git(work, "worktree", "add", "-q", "-b", "topic", str(tmp_path / "linked"))
    head = commit(tmp_path / "linked", "other")
    trigger = detect(tmp_path / "linked")
    assert (trigger.branch, trigger.commit) == ("topic", head)


def test_the_default_branch_is_what_the_remote_says(work: Path, tmp_path: Path) -> None:
    git(work, "checkout", "-q", "-b", "trunk")
    head = commit(work)
    git(tmp_path, "clone", "-q", str(work), "clone")
    checkout = read_checkout(tmp_path / "clone")
    assert checkout.default_branch == "trunk"
    assert checkout.heads["trunk"] == head
    assert detect(tmp_path / "clone").is_default_branch


@pytest.mark.skipif(os.getuid() != 0, reason="only root can hand a folder to another user")
def test_another_users_repository_is_told_with_the_command_that_helps(
    work: Path,
) -> None:
    commit(work)
    os.chown(work, 12345, 12345)
    os.chown(work / ".git", 12345, 12345)
    with pytest.raises(TriggerError, match="belongs to another user") as caught:
        detect(work)
    assert caught.value.fix == f"git config --global --add safe.directory {work}"


# What the history and the checkout tell, in a process of its own: git reads this one's environment.
TELL = """
import sys
from pathlib import Path
from ci.errors import TriggerError
from ci.trigger.changes import changed_paths
from ci.trigger.history import tracked_names
from ci.trigger.laptop import read_checkout
work, base, head = Path(sys.argv[1]), *sys.argv[2:]
for ask in (
    lambda: read_checkout(work).commit == head,
    lambda: sorted(changed_paths(work, base, head) or ["unknown"]),
    lambda: tracked_names(work / "first"),
):
    try:
        print(ask())
    except TriggerError as error:
        print(error.fix)
"""
READ = ["True", "['second']", "('first',)"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can hand a folder to another user")
@pytest.mark.parametrize(
    ("job", "old", "read"),
    [
        ({"GITHUB_ACTIONS": "true"}, False, True),
        ({"CODEBUILD_BUILD_ID": "x:1"}, False, True),
        ({"GITHUB_ACTIONS": "true"}, True, False),
        ({}, False, False),
    ],
)
def test_the_checkout_of_a_job_is_read_whoever_owns_it(
    work: Path, tmp_path: Path, job: dict[str, str], old: bool, read: bool
) -> None:
    """As in the containers of GitHub's jobs, where the runner's user has checked it out."""
    base, head = commit(work, "first"), commit(work, "second")
    os.chown(work, 12345, 12345)
    os.chown(work / ".git", 12345, 12345)
    path = os.environ["PATH"]
    if old:
        # Git before 2.38 takes no trust from its environment.
        (tmp_path / "git").write_text(
            f'#!/bin/sh\nunset GIT_CONFIG_COUNT\nexec {shutil.which("git")} "$@"\n'
        )
        (tmp_path / "git").chmod(0o755)
        path = f"{tmp_path}:{path}"
    settings = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "x.y", "GIT_CONFIG_VALUE_0": "z"}
    done = subprocess.run(
        [sys.executable, "-c", TELL, work, base, head],
        env={**os.environ, "HOME": str(tmp_path), "PATH": path, **settings, **job},
        capture_output=True,
        text=True,
        check=True,
    )
    closed = [f"git config --global --add safe.directory {work}"] * 3
    assert done.stdout.splitlines() == (READ if read else closed)


def disguised(folder: Path, ran: Path) -> None:
    """A folder that git takes for a repository of its own, with a program to run."""
    for name in ("objects", "refs"):
        (folder / name).mkdir(parents=True)
        (folder / name / "kept").touch()
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    settings = f"repositoryformatversion = 0\nbare = false\nworktree = .\nfsmonitor = touch {ran}"
    (folder / "config").write_text(f"[core]\n{settings}\n")


def test_content_that_looks_like_a_repository_configures_no_git(work: Path, tmp_path: Path) -> None:
    """A commit can bring such a folder: the job that reads the commit holds a token."""
    ran, inner = tmp_path / "ran", work / "first"
    disguised(inner, ran)
    commit(work, "first/second")
    assert git(inner, "rev-parse", "--absolute-git-dir") == str(inner)
    head = git(work, "rev-parse", "HEAD")
    assert read_checkout(inner).commit == head
    assert resolve_commit(inner, "HEAD") == head
    assert "first/second" in tracked_names(inner)
    assert tracked_names(inner / "second") == ("first/second",)
    assert not ran.exists()


def test_content_that_looks_like_a_repository_is_none_where_there_is_none(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    disguised(tmp_path / "source", ran)
    for ask in (read_checkout, tracked_names):
        with pytest.raises(TriggerError, match="bare"):
            ask(tmp_path / "source")
    assert not ran.exists()


def test_a_git_that_is_too_old_is_told(tmp_path: Path) -> None:
    assert refused("fatal: unsupported porcelain version 'v2'", tmp_path).fix == (
        "git 2.15 or newer is needed"
    )


@pytest.mark.parametrize("action", ["synchronize", "closed", "edited"])
@pytest.mark.parametrize("checked_out", ["head", "merge", "newer head", "base"])
def test_a_strangers_code_is_refused_where_secrets_are(
    work: Path, tmp_path: Path, checked_out: str, action: str
) -> None:
    """What a workflow checks out by the head's commit, by `refs/pull/1/merge`, by the branch. That
    it was closed makes it nobody else's: its author may edit it then, too."""
    at = {"base": commit(work, "base"), "head": commit(work, "head")}
    at["merge"] = at["newer head"] = commit(work, "more")
    git(work, "checkout", "-q", at[checked_out])
    event: dict[str, Any] = {
        "action": action,
        "pull_request": {
            "number": 1,
            "state": "open" if action == "synchronize" else "closed",
            "merged": False,
            "head": {"sha": at["head"], "ref": "x", "repo": {"id": 2}},
            "base": {"sha": at["base"], "ref": "main", "repo": {"id": 1}},
        },
    }
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event))
    environ = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "pull_request_target",
        "GITHUB_EVENT_PATH": str(file),
        "GITHUB_SHA": at["base"],
    }
    if checked_out == "base":
        assert detect_trigger(environ, work).from_fork
        return
    with pytest.raises(TriggerError, match="pull_request_target"):
        detect_trigger(environ, work)
    if (action, checked_out) == ("closed", "head"):
        # Merged as it is: the base's last commit is the head.
        event["pull_request"] |= {"merged": True}
        file.write_text(json.dumps(event))
        merged = detect_trigger({**environ, "GITHUB_SHA": at["head"]}, work)
        assert merged.event is Event.PULL_REQUEST_CLOSED


@pytest.mark.parametrize(
    ("address", "repository"),
    [
        ("https://github.com/acme/mlops.git", "acme/mlops"),
        ("https://github.com/acme/mlops/", "acme/mlops"),
        ("https://x-access-token:ghs_secret@github.com/acme/mlops", "acme/mlops"),
        ("git@github.com:acme/mlops.git", "acme/mlops"),
        ("ssh://git@ghe.acme.example:2222/acme/mlops.git", "acme/mlops"),
        ("git@ghe.acme.example:acme/ml.ops", "acme/ml.ops"),
        ("https://gitlab.com/group/sub/name.git", "group/sub/name"),
        ("https://bitbucket.acme.example/scm/team/name.git", "team/name"),
        ("https://git-codecommit.eu-central-1.amazonaws.com/v1/repos/mlops", "mlops"),
        ("ssh://APKA@git-codecommit.us-east-1.amazonaws.com/v1/repos/mlops", "mlops"),
        ("codecommit::us-east-1://profile@mlops", "mlops"),
        ("codecommit://mlops", "mlops"),
        ("/srv/git/mlops.git", None),
        ("../other", None),
        ("C:\\git\\mlops", None),
        ("file:///srv/git/mlops.git", None),
        ("https://github.com/", None),
        ("https://github.com/a/../b", None),
        ("https://[bad/x/y", None),
        ("", None),
    ],
)
def test_addresses_of_repositories(address: str, repository: str | None) -> None:
    assert parse_repository(address) == repository


def test_changed_paths_count_from_where_the_branch_left(work: Path) -> None:
    commit(work, "a/one")
    base = commit(work, "a/two")
    git(work, "checkout", "-q", "-b", "topic")
    git(work, "mv", "a/one", "b-ü")
    commit(work, "c\nd")
    git(work, "checkout", "-q", "main")
    moved = commit(work, "only-on-main")
    git(work, "checkout", "-q", "topic")
    git(work, "merge", "-q", "--no-edit", "main")
    head = git(work, "rev-parse", "HEAD")
    assert changed_paths(work, base, head) == {"a/one", "b-ü", "c\nd", "only-on-main"}
    assert changed_paths(work, moved, head) == {"a/one", "b-ü", "c\nd"}


def test_history_that_cannot_tell_gives_none(work: Path, tmp_path: Path) -> None:
    base = commit(work)
    commit(work, "other")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{work}", "shallow")
    head = git(work, "rev-parse", "HEAD")
    assert changed_paths(tmp_path / "shallow", base, head) is None
    assert changed_paths(work, None, head) is None
    assert changed_paths(work, "--output=x", head) is None
    git(work, "checkout", "-q", "--orphan", "unrelated")
    assert changed_paths(work, base, commit(work, "third")) is None


def test_paths_as_a_folder_sees_them() -> None:
    paths = frozenset({"a/x", "ab/y", "z"})
    assert relative_to(paths, "a") == {"x"}
    assert relative_to(paths, ".") == paths


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("git@github.com:acme/mlops.git", "github.com"),
        ("https://user:secret@GitLab.com/acme/mlops", "gitlab.com"),
        ("ssh://git@ghe.acme.example:2222/acme/mlops", "ghe.acme.example"),
        ("codecommit::eu-west-1://mlops", "git-codecommit.eu-west-1.amazonaws.com"),
        ("codecommit://profile@mlops", "codecommit"),
        ("/srv/git/mlops.git", None),
        ("", None),
    ],
)
def test_the_host_of_a_remote(address: str, host: str | None) -> None:
    assert parse_host(address) == host
