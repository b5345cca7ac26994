"""`doctor` itself: checks side by side, what is shown of them, and the command."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.doctor_account import Account, open_account
from support.doctoring import BY_NAME, PROJECT, repository
from support.github_job import aws_environ
from support.scratch import new_scratch

from ci.doctor.checks import CHECKS
from ci.doctor.model import Check, Finding, Site, Topic, fail, ok
from ci.doctor.render import document, render_lines, render_page, summary
from ci.doctor.run import exit_code, run_checks
from ci.errors import ExitCode, ProjectError

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"


def check(name: str, look: Any, *, topic: Topic = Topic.PROJECT, **more: Any) -> Check:
    return Check(name=name, topic=topic, question="", look=look, **more)


def test_checks_run_side_by_side_and_none_hides_another(tmp_path: Path) -> None:
    barrier = threading.Barrier(3, timeout=10)

    def meets(_: Site) -> Iterator[Finding]:
        barrier.wait()
        yield ok("met")

    def breaks(_: Site) -> Iterator[Finding]:
        raise ZeroDivisionError("x")

    def refuses(_: Site) -> Iterator[Finding]:
        raise ProjectError("of two\nlines", fix="y")

    def hangs(_: Site) -> Iterator[Finding]:
        time.sleep(30)
        yield ok("never")

    checks = [check(str(n), meets) for n in range(3)]
    checks += [check("b", breaks), check("r", refuses), check("h", hangs)]
    checks.append(check("n", meets, needs=("project",)))
    begun = time.monotonic()
    answers = run_checks(checks, Site(root=tmp_path, environ={}), seconds=3, clock=time.monotonic)
    assert time.monotonic() - begun < 10
    states = [each.finding.state.value for each in answers]
    assert states == ["ok", "ok", "ok", "warn", "fail", "warn", "skipped"]
    assert answers[4].finding.what == "of two lines"
    assert answers[5].finding.what == "no answer within 3 s"
    lines = "\n".join(render_lines(answers, color=False))
    assert "fail r               of two lines" in lines
    assert summary(answers) == "3 ok, 2 to look at, 1 fail, 1 not looked at"
    assert document(answers)["healthy"] is False
    assert "\x1b[31m" in "\n".join(render_lines(answers, color=True))


def test_the_exit_code_says_where_to_mend(tmp_path: Path) -> None:
    here = Site(root=tmp_path, environ={})

    def code(*states: tuple[Topic, Finding]) -> ExitCode:
        checks = [
            check(str(number), lambda _, f=found: [f], topic=of)
            for number, (of, found) in enumerate(states)
        ]
        return exit_code(run_checks(checks, here, seconds=5, clock=time.monotonic))

    assert code((Topic.CI, ok("x"))) is ExitCode.OK
    assert code((Topic.FORGE, fail("x")), (Topic.PROJECT, ok("y"))) is (ExitCode.UNAVAILABLE)
    assert code((Topic.FORGE, fail("x")), (Topic.CI, fail("y"))) is ExitCode.USAGE


@pytest.mark.endpoint
def test_the_command_from_end_to_end(tmp_path: Path) -> None:
    with open_account(tmp_path) as account:
        account.role("lacking", without="sagemaker:UpdatePipeline")
        _whole_and_lacking(account)


def _whole_and_lacking(account: Account) -> None:
    account.scratch.environ = account.assumed("whole")
    done = account.scratch.run("doctor", "--json", "--environment", "main", "--deadline", "30m")
    states = {each["name"]: each["state"] for each in done.document["checks"]}
    assert done.code == 0, done.out
    assert set(states) == set(BY_NAME)
    assert states["permissions"] == states["bucket"] == states["execution-role"] == "ok"
    assert done.document["healthy"] is True
    account.scratch.environ = account.assumed("lacking")
    done = account.scratch.run("doctor")
    assert done.code == 6
    assert "sagemaker:UpdatePipeline is not allowed" in done.out


def test_a_broken_project_is_looked_at_as_far_as_it_goes(tmp_path: Path) -> None:
    scratch = new_scratch(tmp_path / "repository", "version: 1\npipelins: {}\n")
    scratch.commit("broken")
    done = scratch.run("doctor", "--json")
    states = {each["name"]: each["state"] for each in done.document["checks"]}
    assert done.code == 2
    assert states["project-file"] == "fail"
    assert states["permissions"] == "skipped"
    assert states["workflows"] == "ok"
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    assert scratch.run("doctor", "--json", cwd=nowhere).code == 2


def test_a_project_without_a_region_is_not_healthy(tmp_path: Path) -> None:
    """Nothing of AWS can be looked at then: that must not look as if all were well."""
    scratch = repository(tmp_path)
    project = scratch.root / "sagemaker-gitops.yaml"
    lines = project.read_text().splitlines(keepends=True)
    project.write_text("".join(each for each in lines if not each.startswith("region:")))
    done = scratch.run("doctor", "--json")
    told = [each for each in done.document["checks"] if each["name"] == "project-file"]
    assert done.code == 2
    assert [each["state"] for each in told] == ["ok", "fail"]
    assert "region: " in told[1]["fix"]
    assert done.document["healthy"] is False


def test_without_credentials_one_line_has_the_way_out(tmp_path: Path) -> None:
    scratch = repository(tmp_path)
    nothing = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
    scratch.environ.update(dict.fromkeys(nothing, "/dev/null"), AWS_EC2_METADATA_DISABLED="true")
    done = scratch.run("doctor", "--json")
    told = {each["name"]: each for each in done.document["checks"] if each["topic"] == "aws"}
    assert (done.code, told.pop("credentials")["state"]) == (6, "fail")
    assert {each["state"] for each in told.values()} == {"skipped"}
    assert {each["what"] for each in told.values()} == {"no usable credentials (see credentials)"}


def test_python_stands_for_one_that_no_module_names(tmp_path: Path) -> None:
    scratch = repository(tmp_path, PROJECT.replace("definition: definition.json", "source: p.py:f"))
    scratch.write("p.py", "")
    done = scratch.run("doctor", "--json", "--python", "no/such/python")
    told = next(each for each in done.document["checks"] if each["name"] == "python")
    assert (told["state"], "no/such/python" in told["what"]) == ("fail", True)


def test_the_page_is_made_from_the_checks(request: pytest.FixtureRequest) -> None:
    text = render_page(CHECKS)
    if request.config.getoption("--update-golden"):
        PAGE.write_text(text, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == text


def test_the_region_that_is_named_goes_before_the_project_files(tmp_path: Path) -> None:
    scratch = repository(tmp_path)
    done = scratch.run("doctor", "--json", "--region", "nowhere")
    told = next(each for each in done.document["checks"] if each["name"] == "project-file")
    assert "no AWS region" in told["what"]
    scratch.environ.update(aws_environ("http://127.0.0.1:9"))
    done = scratch.run("doctor", "--json", "--region", "eu-west-1", "--seconds", "1")
    bucket = next(each for each in done.document["checks"] if each["name"] == "bucket")
    assert bucket["state"] != "skipped"
