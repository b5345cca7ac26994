"""What `doctor` finds of builds in CodeBuild: buildspecs, projects, and the build that it is."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from support.codebuild import FakeCodeBuild
from support.doctoring import repository, site
from support.loopback_forge import serve_forge

from ci.doctor.builds import check_builds, judge_build
from ci.doctor.model import Finding, Site, State
from ci.sagemaker.clients import open_clients

DEADLINE = "SAGEMAKER_GITOPS_DEADLINE"
BUILD = "mlops-main:11111111-2222-3333-4444-555555555555"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDBUILD", "AWS_SECRET_ACCESS_KEY": "s"}
HOUR = 3600.0


def write(folder: Path, variables: dict[str, str]) -> None:
    (folder / "buildspec.yml").write_text(yaml.safe_dump({"env": {"variables": variables}}))


@pytest.mark.parametrize(
    ("variables", "state"),
    [
        ({"SAGEMAKER_GITOPS_COMMAND": "auto"}, State.WARN),
        ({DEADLINE: "7h"}, State.OK),
        ({DEADLINE: "40h"}, State.FAIL),
        ({"OTHER": "1"}, State.OK),
    ],
)
def test_buildspecs(tmp_path: Path, variables: dict[str, str], state: State) -> None:
    here = Site(root=tmp_path, environ={})
    assert next(check_builds(here)).what == "no buildspec"
    write(tmp_path, variables)
    (found,) = check_builds(here)
    assert (found.state, found.where) == (state, "buildspec.yml")
    (tmp_path / "buildspec.yml").write_text("[")
    (found,) = check_builds(here)
    assert found.state is State.FAIL


@pytest.mark.parametrize(
    ("deadline", "minutes", "state", "said"),
    [
        (None, 60, State.WARN, "cut off at 60 minutes"),
        (None, None, State.WARN, "cut off at its project's timeout"),
        (HOUR, 60, State.FAIL, "10 minutes before the build's timeout of 60"),
        (HOUR, 69, State.FAIL, "timeout of 69"),
        (HOUR, 70, State.OK, "the deadline is 1 h, the build's timeout 1.2 h"),
        (HOUR, None, State.OK, "the deadline is 1 h"),
        (37 * HOUR, 2160, State.FAIL, "longer than any build"),
    ],
)
def test_a_deadline_against_a_timeout(
    deadline: float | None, minutes: int | None, state: State, said: str
) -> None:
    found = judge_build(deadline, minutes, where="x")
    assert (found.state, said in found.what) == (state, True), found.what
    assert (found.fix is None) is (state is State.OK)


@pytest.fixture
def codebuild() -> Iterator[FakeCodeBuild]:
    with serve_forge(FakeCodeBuild()) as fake:
        yield fake


def place(folder: Path, fake: FakeCodeBuild) -> Site:
    environ = {**KEYS, "AWS_ENDPOINT_URL_CODEBUILD": fake.address}
    return site(repository(folder), environ=environ, clients=open_clients("us-east-1", environ))


def in_build(here: Site, deadline: float | None) -> list[Finding]:
    environ = {**here.environ, "CODEBUILD_BUILD_ID": BUILD}
    return list(check_builds(replace(here, environ=environ, deadline=deadline)))


def test_the_build_that_it_is(tmp_path: Path, codebuild: FakeCodeBuild) -> None:
    here = place(tmp_path, codebuild)
    codebuild.builds[BUILD] = {"id": BUILD, "projectName": "mlops-main", "timeoutInMinutes": 90}
    (found,) = in_build(here, 2 * HOUR)
    assert (found.state, found.where) == (State.FAIL, "mlops-main")
    assert "build's timeout of 90" in found.what
    assert "TimeoutInMinutes: 131" in (found.fix or "")
    (found,) = in_build(here, HOUR)
    assert found.state is State.OK
    # What a buildspec says is settled by now: the environment has it, or something else.
    write(here.root, {DEADLINE: "40h"})
    assert [each.state for each in in_build(here, HOUR)] == [State.OK]


def test_a_build_that_may_not_ask_for_its_timeout(tmp_path: Path, codebuild: FakeCodeBuild) -> None:
    here = place(tmp_path, codebuild)
    codebuild.denied.add("BatchGetBuilds")
    unasked, judged = in_build(here, HOUR)
    assert (unasked.state, judged.state) == (State.WARN, State.OK)
    assert "codebuild:BatchGetBuilds" in (unasked.fix or "")
    broken = {**here.environ, "AWS_ENDPOINT_URL_CODEBUILD": "http://127.0.0.1:9"}
    unasked, _ = in_build(replace(here, clients=open_clients("us-east-1", broken)), HOUR)
    assert "timeout is not known" in unasked.what


def test_the_project_that_bootstrap_makes(tmp_path: Path, codebuild: FakeCodeBuild) -> None:
    here = place(tmp_path, codebuild)
    assert [each.what for each in check_builds(here)] == ["no buildspec"]
    variable = {"name": DEADLINE, "value": "3h", "type": "PLAINTEXT"}
    hidden = {"name": "GITHUB_TOKEN", "value": "forge-token", "type": "SECRETS_MANAGER"}
    environment = {
        "type": "LINUX_CONTAINER",
        "image": "x",
        "computeType": "BUILD_GENERAL1_SMALL",
        "environmentVariables": [variable, hidden],
    }
    codebuild.projects["mlops-main"] = {"name": "mlops-main", "environment": environment}
    # Its variable goes before the buildspec's, and CodeBuild's own timeout is an hour.
    write(here.root, {DEADLINE: "20m"})
    (found,) = check_builds(here)
    assert (found.state, found.where) == (State.FAIL, "mlops-main")
    codebuild.projects["mlops-main"]["timeoutInMinutes"] = 480
    (found,) = check_builds(here)
    assert found.what == "the deadline is 3 h, the build's timeout 8 h"


def test_whoever_builds_nothing_in_codebuild_hears_nothing_of_it(
    tmp_path: Path, codebuild: FakeCodeBuild
) -> None:
    here = place(tmp_path, codebuild)
    codebuild.denied.add("BatchGetProjects")
    assert [each.what for each in check_builds(here)] == ["no buildspec"]
    write(here.root, {DEADLINE: "1h"})
    unasked, judged = check_builds(here)
    assert "codebuild:BatchGetProjects" in (unasked.fix or "")
    assert judged.state is State.OK
