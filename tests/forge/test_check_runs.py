"""One check run for each pipeline, environment and commit. Asserted by state."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.github import ACTIONS, FakeGitHub, Fault, secondary_limit, serve_github
from support.github import REPOSITORY as REPO
from support.reports import COMMIT, REPORTS, TRIGGER

from ci.errors import CompileError, ForgeError
from ci.forge.checks import check_of, post_check, refused_check
from ci.forge.github import GitHub
from ci.forge.http import Client
from ci.forge.marks import Annotation, Check, Level
from ci.forge.model import PermissionMissing
from ci.report.model import Report, State
from ci.text.redact import Redactor


def remarks(count: int, *, start: int = 1) -> tuple[Annotation, ...]:
    return tuple(
        Annotation(
            path="pipeline.py", line=line, level=Level.FAILURE, title="t", message=f"m{line}"
        )
        for line in range(start, start + count)
    )


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with serve_github() as found:
        yield found


def forge_of(github: FakeGitHub, *, waits: list[float] | None = None) -> GitHub:
    sleep = (waits if waits is not None else []).append
    return GitHub(Client(github.address, "t0ken", sleep=sleep, jitter=lambda: 0.0), REPO)


@pytest.mark.parametrize(
    ("name", "conclusion", "where_required"),
    [
        ("success", "success", "success"),
        ("first-model", "success", "success"),
        ("gate-failed", "failure", "failure"),
        ("step-failed", "failure", "failure"),
        ("no-metrics", "failure", "failure"),
        ("running", None, None),
        ("stopped", "cancelled", "cancelled"),
        ("superseded", "cancelled", "cancelled"),
        ("planned", "success", "success"),
        ("approval-pending", "success", "action_required"),
        ("hostile", "failure", "failure"),
        ("many-steps", "success", "success"),
    ],
)
def test_conclusions(
    github: FakeGitHub, name: str, conclusion: str | None, where_required: str | None
) -> None:
    for environment, required, wanted in (
        ("one", False, conclusion),
        ("two", True, where_required),
    ):
        report = replace(REPORTS[name], environment=environment)
        post_check(forge_of(github), check_of(report, require_approval=required))
        run = github.checks(COMMIT)[-1]
        assert run["conclusion"] == wanted
        assert run["status"] == ("in_progress" if wanted is None else "completed")
        assert "\n" not in run["title"]
        assert len(run["summary"].encode()) <= 65_535


def test_from_running_to_the_end_it_is_one(github: FakeGitHub) -> None:
    for name in ("running", "running", "success", "success"):
        post_check(forge_of(github), check_of(REPORTS[name]))
    [run] = github.checks(COMMIT)
    assert (run["status"], run["conclusion"]) == ("completed", "success")
    assert run["details_url"] == TRIGGER.run_url
    assert run["started_at"].endswith("Z")
    assert github.writes() == ["POST", "PATCH"]


def test_each_pipeline_environment_and_project_has_its_own(github: FakeGitHub) -> None:
    report = REPORTS["success"]
    others = [
        report,
        replace(report, pipeline="other"),
        replace(report, environment="staging"),
        replace(report, project="teams/a/sagemaker-gitops.yaml"),
    ]
    for _ in range(2):
        for each in others:
            post_check(forge_of(github), check_of(each))
    names = [run["name"] for run in github.checks(COMMIT)]
    assert len(names) == len(set(names)) == 4
    assert names[-1].startswith("sagemaker-gitops/teams/a/sagemaker-gitops.yaml/")
    assert github.writes() == ["POST"] * 4


def test_a_completed_one_is_never_opened_again(github: FakeGitHub) -> None:
    """GitHub does not let it be: the newest of a name is the one that counts."""
    for name in ("gate-failed", "running", "success"):
        post_check(forge_of(github), check_of(REPORTS[name]))
    first, second = github.checks(COMMIT)
    assert first["conclusion"] == "failure"
    assert (second["status"], second["conclusion"]) == ("completed", "success")


PLAN = REPORTS["planned"]


@pytest.mark.parametrize("name", ["gate-failed", "success", "running", "stopped", "superseded"])
def test_a_plan_never_stands_before_an_execution(github: FakeGitHub, name: str) -> None:
    """GitHub shows the newest of a name, and lets a pull request be merged by it."""
    assert post_check(forge_of(github), check_of(REPORTS[name]))
    before = github.checks(COMMIT)
    assert not post_check(forge_of(github), check_of(PLAN))
    assert not post_check(forge_of(github), refused(CompileError("x"), planned=True))
    assert github.checks(COMMIT) == before
    assert github.writes() == ["POST"]


def test_a_plan_follows_a_plan_and_an_execution_follows_both(github: FakeGitHub) -> None:
    """Also one that could not be made; what could not be started stays as it is."""
    of_plan = [refused(CompileError("x"), planned=True), check_of(PLAN), check_of(PLAN)]
    for check in (*of_plan, check_of(REPORTS["running"])):
        assert post_check(forge_of(github), check)
    told = [run["conclusion"] for run in github.checks(COMMIT)]
    assert told == ["failure", "success", None]
    github.check_runs.clear()
    assert post_check(forge_of(github), refused(CompileError("x")))
    assert not post_check(forge_of(github), check_of(PLAN))
    assert [run["conclusion"] for run in github.checks(COMMIT)] == ["failure"]


def test_somebody_elses_of_the_same_name_is_left_alone(github: FakeGitHub) -> None:
    check = check_of(REPORTS["success"])
    number = github.next_number()
    theirs = {
        "id": number, "head_sha": COMMIT, "by": "other[bot]", "annotations": [], "name": check.name,
        "external_id": "theirs", "status": "in_progress", "conclusion": None,
    }  # fmt: skip
    github.check_runs[number] = dict(theirs)
    post_check(forge_of(github), check)
    assert github.check_runs[number] == theirs
    assert len(github.checks(COMMIT)) == 2


def test_more_remarks_than_one_request_takes(github: FakeGitHub) -> None:
    check = check_of(REPORTS["gate-failed"], annotations=remarks(120))
    for _ in range(2):
        post_check(forge_of(github), check)
    [run] = github.checks(COMMIT)
    assert [each["start_line"] for each in run["annotations"]] == list(range(1, 121))
    assert github.writes() == ["POST", "PATCH", "PATCH"]


def test_remarks_that_a_killed_run_left_out_are_added(github: FakeGitHub) -> None:
    check = check_of(REPORTS["gate-failed"], annotations=remarks(120))
    github.faults = [Fault("PATCH", "check-runs", 400)]
    with pytest.raises(ForgeError):
        post_check(forge_of(github), check)
    assert len(github.checks(COMMIT)[0]["annotations"]) == 50
    post_check(forge_of(github), check)
    [run] = github.checks(COMMIT)
    assert [each["start_line"] for each in run["annotations"]] == list(range(1, 121))


def test_a_remark_that_no_longer_holds_takes_a_new_one(github: FakeGitHub) -> None:
    """Nobody can take an annotation away."""
    report = REPORTS["gate-failed"]
    post_check(forge_of(github), check_of(report, annotations=remarks(2)))
    post_check(forge_of(github), check_of(report, annotations=remarks(1)))
    assert [len(run["annotations"]) for run in github.checks(COMMIT)] == [2, 1]


def test_what_runs_has_no_remarks(github: FakeGitHub) -> None:
    post_check(forge_of(github), check_of(REPORTS["running"], annotations=remarks(3)))
    assert github.checks(COMMIT)[0]["annotations"] == []


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("status", [502, 0])
def test_a_post_without_an_answer_is_looked_after(
    github: FakeGitHub, status: int, *, after: bool
) -> None:
    github.faults = [Fault("POST", "check-runs$", status, after_effect=after)]
    post_check(forge_of(github), check_of(REPORTS["success"]))
    assert len(github.checks(COMMIT)) == 1


def test_limits_are_waited_for(github: FakeGitHub) -> None:
    waits: list[float] = []
    github.faults = [
        secondary_limit("POST", "check-runs$", seconds=9),
        secondary_limit("PATCH", "check-runs/", seconds=7),
    ]
    for name in ("running", "success"):
        post_check(forge_of(github, waits=waits), check_of(REPORTS[name]))
    assert waits == [9.0, 7.0]
    assert github.checks(COMMIT)[0]["conclusion"] == "success"


def test_two_runs_at_once_leave_none_open(github: FakeGitHub) -> None:
    barrier = threading.Barrier(4)

    def run() -> None:
        barrier.wait()
        for name in ("running", "success"):
            post_check(forge_of(github), check_of(REPORTS[name]))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runs = github.checks(COMMIT)
    assert {run["status"] for run in runs} == {"completed"}
    assert runs[-1]["conclusion"] == "success"
    post_check(forge_of(github), check_of(REPORTS["success"]))
    assert len(github.checks(COMMIT)) == len(runs)


def test_a_person_cannot_write_check_runs(github: FakeGitHub) -> None:
    github.tokens["ghp"] = "octocat"
    forge = GitHub(Client(github.address, "ghp"), REPO)
    with pytest.raises(PermissionMissing) as refused:
        post_check(forge, check_of(REPORTS["success"]))
    assert refused.value.needs == {"checks": "write"}
    assert ACTIONS in github.apps


def long_report(report: Report) -> Report:
    return replace(report, notes=tuple("€" * 400 for _ in range(300)))


def test_the_summary_fits_in_bytes(github: FakeGitHub) -> None:
    check = check_of(long_report(REPORTS["many-steps"]))
    assert len(check.summary.encode()) <= 65_535
    post_check(forge_of(github), check)
    post_check(forge_of(github), check)
    assert github.writes() == ["POST"]


def refused(error: CompileError, *, planned: bool = False) -> Check:
    return refused_check(
        error,
        TRIGGER,
        project=None,
        pipeline="abalone",
        environment=PLAN.environment,
        redactor=Redactor(("s3cretvalue",)),
        annotations=remarks(1),
        planned=planned,
    )


def test_what_was_never_started_is_told(github: FakeGitHub) -> None:
    error = CompileError(
        "pipeline.py raised s3cretvalue", where="pipeline.py:7", why="```\n# a heading\n@octocat"
    )
    check = refused(error)
    post_check(forge_of(github), check)
    [run] = github.checks(COMMIT)
    assert run["conclusion"] == "failure"
    assert run["title"].startswith("Not started: pipeline.py raised")
    assert "s3cretvalue" not in str(run)
    assert run["annotations"][0]["path"] == "pipeline.py"
    final = replace(REPORTS["success"], pipeline="abalone", state=State.FINAL)
    assert check_of(final).reference == check.reference
    assert check_of(final).name == check.name
