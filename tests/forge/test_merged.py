"""A commit on main finds the pull request that it came from, however it was merged."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.github import REPOSITORY, FakeGitHub, Fault, serve_github
from support.reports import TRIGGER

from ci.forge.github import GitHub
from ci.forge.http import Client
from ci.posting.forging import find_number
from ci.trigger.model import Trigger

HEAD, MERGE = "a" * 40, "b" * 40
PUSH = replace(TRIGGER, pull_request=None, commit=MERGE)


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with serve_github() as found:
        found.add_pull(7, HEAD)
        found.requested[7] |= {
            "state": "closed", "merged_at": "2026-03-02T09:00:00Z", "merge_commit_sha": MERGE,
        }  # fmt: skip
        yield found


def number(github: FakeGitHub, trigger: Trigger) -> tuple[int | None, list[str]]:
    told: list[str] = []
    forge = GitHub(Client(github.address, "t0ken", sleep=lambda _: None), REPOSITORY)
    return find_number(forge, trigger, warn=told.append), told


@pytest.mark.parametrize(
    ("subject", "found"),
    [
        ("Merge pull request #7 from acme/topic", 7),
        ("Deeper trees (#7)", 7),
        ("Deeper trees (#8)", None),
        ("Deeper trees (#7) again", None),
        ("Reverts #7", None),
        ("Merge pull request #99999999999 from x/y", None),
        ("", None),
        (None, None),
    ],
)
def test_in_the_first_seconds_after_the_merge(
    github: FakeGitHub, subject: str | None, found: int | None
) -> None:
    github.pulls[MERGE] = []
    assert number(github, replace(PUSH, subject=subject)) == (found, [])


def test_a_subject_alone_proves_nothing(github: FakeGitHub) -> None:
    other = replace(PUSH, commit="c" * 40, subject="Deeper trees (#7)")
    assert number(github, other) == (None, [])
    github.pulls["c" * 40] = []
    assert number(github, other) == (None, [])
    github.requested[7] |= {"merged_at": None}
    github.pulls[MERGE] = []
    assert number(github, replace(PUSH, subject="Deeper trees (#7)")) == (None, [])


def test_what_the_forge_tells_comes_first(github: FakeGitHub) -> None:
    github.pulls[MERGE] = [
        {"number": 9, "merge_commit_sha": MERGE, "merged_at": "2026-03-02T09:00:00Z"}
    ]
    assert number(github, replace(PUSH, subject="Deeper trees (#7)")) == (9, [])
    assert number(github, replace(PUSH, pull_request=5)) == (5, [])


def test_an_open_one_goes_before_a_newer_one_that_was_closed(github: FakeGitHub) -> None:
    github.pulls[MERGE] = [{"number": 9, "state": "closed"}, {"number": 8, "state": "open"}]
    assert number(github, PUSH) == (8, [])


def test_a_forge_that_does_not_answer_is_told(github: FakeGitHub) -> None:
    github.faults = [Fault("GET", "/pulls$", 503, count=99)]
    found, told = number(github, replace(PUSH, subject="Deeper trees (#7)"))
    assert found is None
    assert "503" in told[0]
