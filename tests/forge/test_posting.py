"""What a fork's job left is posted as what it is: a plan that nobody verified."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.github import REPOSITORY, serve_github
from support.reports import REPORTS

from ci.errors import ForgeError
from ci.forge.github import PERMISSIONS, GitHub
from ci.forge.http import Client
from ci.posting.forging import Comments
from ci.posting.posting import find_pull_request, post_file
from ci.report.markdown import render_comment
from ci.report.marker import parse_marker
from ci.report.model import PlanSection
from ci.text.redact import Redactor

COMMIT = "a" * 40


@pytest.mark.parametrize("before", ["", "\n", "  \n\n"])
def test_a_foreign_plan_never_counts_as_reviewed(tmp_path: Path, before: str) -> None:
    plan = PlanSection(headline="Nothing changes.", digest="f" * 64)
    report = replace(REPORTS["planned"], plan=plan, digest="e" * 64)
    file = tmp_path / "comment.md"
    file.write_text(before + render_comment(report) + "\n@octocat look\n")
    with serve_github() as github:
        forge = GitHub(Client(github.address, "t0ken", permissions=PERMISSIONS), REPOSITORY)
        post_file(forge, 42, file, commit=report.trigger.commit)
        (posted,) = github.bodies()
    marker = parse_marker(posted)
    assert marker is not None
    assert (marker.plan, marker.digest) == (None, None)
    assert marker.commit == report.trigger.commit
    assert "Nothing in it was verified" in posted
    assert "@octocat" not in posted


def test_a_report_of_a_run_is_no_plan(tmp_path: Path) -> None:
    report = REPORTS["success"]
    file = tmp_path / "comment.md"
    file.write_text(render_comment(report))
    with serve_github() as github:
        forge = GitHub(Client(github.address, "t0ken", permissions=PERMISSIONS), REPOSITORY)
        with pytest.raises(ForgeError, match="is not a plan"):
            post_file(forge, 42, file, commit=report.trigger.commit)
        assert github.bodies() == []


@pytest.mark.parametrize(
    ("state", "head", "posts"),
    [("open", COMMIT, True), ("closed", COMMIT, False), ("open", "b" * 40, False)],
)
def test_the_pull_request_that_the_event_names_is_open_and_still_there(
    state: str, head: str, *, posts: bool
) -> None:
    """Dependabot's, whose branches are the repository's own."""
    trigger = replace(REPORTS["planned"].trigger, pull_request=7, commit=COMMIT)
    with serve_github() as github:
        github.add_pull(7, head, author="dependabot[bot]")
        github.requested[7]["state"] = state
        forge = GitHub(Client(github.address, "t0ken", permissions=PERMISSIONS), REPOSITORY)
        assert find_pull_request(forge, trigger, {}) == (7 if posts else None)


def test_a_run_that_was_picked_up_keeps_the_plan_named() -> None:
    planned = REPORTS["success"]
    plan = PlanSection(headline="1 step changed.", digest="f" * 64)
    with serve_github() as github:
        forge = GitHub(Client(github.address, "t0ken", permissions=PERMISSIONS), REPOSITORY)

        def comments() -> Comments:
            return Comments(forge=forge, pull_request=42, redactor=Redactor(), warn=print)

        comments().post(replace(planned, plan=plan))
        comments().post(replace(planned, plan=None, notes=("picked up",)))
        (posted,) = github.bodies()
    marker = parse_marker(posted)
    assert marker is not None
    assert marker.plan == "f" * 64
    assert "picked up" in posted
