"""The mark beside the commit says what the comment says."""

from collections.abc import Iterator

import pytest
from support.github import REPOSITORY, FakeGitHub, serve_github
from support.reports import COMMIT, REPORTS

from ci.forge.github import GitHub
from ci.forge.http import Client
from ci.forge.model import PermissionMissing
from ci.forge.status import status_of


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


def test_a_missing_right_is_told(github: FakeGitHub) -> None:
    github.readers.add("github-actions[bot]")
    forge = GitHub(Client(github.address, "t0ken"), REPOSITORY)
    with pytest.raises(PermissionMissing) as missing:
        forge.set_status(COMMIT, status_of(REPORTS["success"]))
    assert missing.value.needs == {"statuses": "write"}
    assert github.statuses == {}
