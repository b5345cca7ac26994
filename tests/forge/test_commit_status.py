"""The mark beside the commit says what the comment says."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.forge_benches import NEW, open_bench
from support.github import REPOSITORY, FakeGitHub, serve_github
from support.reports import COMMIT, REPORTS

from ci.forge.github import GitHub
from ci.forge.http import Client
from ci.forge.model import PermissionMissing, Statuses
from ci.forge.status import post_status, status_of


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with serve_github() as found:
        yield found


@pytest.mark.parametrize(
    ("name", "state", "where_required"),
    [
        ("success", "success", "success"),
        ("first-model", "success", "success"),
        ("gate-failed", "failure", "failure"),
        ("step-failed", "failure", "failure"),
        ("no-metrics", "failure", "failure"),
        ("running", "pending", "pending"),
        ("stopped", "error", "error"),
        ("superseded", "error", "error"),
        ("planned", "success", "success"),
        ("approval-pending", "success", "pending"),
        ("hostile", "failure", "failure"),
    ],
)
def test_states(github: FakeGitHub, name: str, state: str, where_required: str) -> None:
    forge = GitHub(Client(github.address, "t0ken"), REPOSITORY)
    for required in (False, True):
        status = status_of(REPORTS[name], require_approval=required)
        forge.set_status(COMMIT, status)
    first, second = github.statuses[COMMIT][0], github.statuses[COMMIT][-1]
    assert (first["state"], second["state"]) == (state, where_required)
    assert "\n" not in first["description"]
    assert first["target_url"] is None or first["target_url"].startswith("https://")


@pytest.mark.parametrize("name", ["gate-failed", "running", "stopped", "success"])
@pytest.mark.parametrize("host", ["github", "gitlab", "bitbucket"])
def test_a_plan_never_takes_the_place_of_an_execution(host: str, name: str) -> None:
    """A failed status that a branch protection rule asks for would become a success."""
    executed, planned = status_of(REPORTS[name]), status_of(REPORTS["planned"])
    changed = replace(planned, description="Plan for main: something else")
    with open_bench(host) as bench:
        forge = bench.forge()
        assert isinstance(forge, Statuses)
        # GitLab lets no success follow a success: it keeps the words of the first.
        for plan in () if name == "success" else (planned, changed):
            assert post_status(forge, NEW, plan, planned=True)
        assert post_status(forge, NEW, executed, planned=False)
        assert not post_status(forge, NEW, planned, planned=True)
        held = forge.status(NEW, executed.context)
        assert held is not None
        assert (held.state, held.description) == (executed.state, executed.description)
        assert forge.status(NEW, "another") is None


def test_a_missing_right_is_told(github: FakeGitHub) -> None:
    github.readers.add("github-actions[bot]")
    forge = GitHub(Client(github.address, "t0ken"), REPOSITORY)
    with pytest.raises(PermissionMissing) as missing:
        forge.set_status(COMMIT, status_of(REPORTS["success"]))
    assert missing.value.needs == {"statuses": "write"}
    assert github.statuses == {}
