"""What `doctor` finds in workflows."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.doctor.model import Finding, Site, State
from ci.doctor.workflows import check_workflows

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "github").glob("*.yml"))
ACTION = "acme/sagemaker-gitops@" + "a" * 40
MAIN = f"""
on:
  push: {{branches: [main]}}
concurrency: {{group: main, cancel-in-progress: false}}
jobs:
  deploy:
    runs-on: ubuntu-latest
    timeout-minutes: 350
    permissions: {{contents: read, id-token: write, pull-requests: write}}
    steps:
      - uses: actions/checkout@v5
        with: {{fetch-depth: 0}}
      - uses: {ACTION}
        with: {{role-to-assume: arn, deadline: 5h}}
"""


def look(folder: Path, text: str, **more: Any) -> list[Finding]:
    place = folder / ".github" / "workflows"
    place.mkdir(parents=True, exist_ok=True)
    (place / "one.yml").write_text(text)
    return list(check_workflows(Site(root=folder, environ={}, **more)))


def test_what_is_well_set_up_has_no_findings(tmp_path: Path) -> None:
    (found,) = look(tmp_path, MAIN)
    assert found.state is State.OK


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_the_examples_have_no_findings(file: Path, tmp_path: Path) -> None:
    found = look(tmp_path, file.read_text().replace("your-org/", "acme/"))
    assert [each for each in found if each.state is not State.OK] == []


@pytest.mark.parametrize("digit", ["0", "1"])
def test_an_action_that_is_not_named_yet_is_told(tmp_path: Path, digit: str) -> None:
    text = MAIN.replace(ACTION, "your-org/sagemaker-gitops@" + digit * 40)
    (met,) = look(tmp_path, text)
    assert (met.state, "not named yet" in met.what) == (State.FAIL, True)
    assert "init --yes --action" in (met.fix or "")


def test_jobs_that_are_to_be_mended_alike_are_one_finding(tmp_path: Path) -> None:
    text = MAIN.replace(ACTION, "your-org/sagemaker-gitops@" + "0" * 40)
    look(tmp_path, text)
    (tmp_path / ".github" / "workflows" / "two.yml").write_text(text)
    (met,) = check_workflows(Site(root=tmp_path, environ={}))
    places = [f".github/workflows/{name}.yml, job deploy" for name in ("one", "two")]
    assert (met.where or "").splitlines() == places


def test_a_comment_runs_no_code_of_a_pull_request_as_the_default_branch(tmp_path: Path) -> None:
    file = next(each for each in EXAMPLES if each.name == "chat.yml")
    text = file.read_text().replace("your-org/", "acme/")
    line = next(each for each in text.splitlines() if "environment: sagemaker-pull-request" in each)
    found = look(tmp_path, text.replace(line + "\n", ""))
    (met,) = [each for each in found if each.state is State.FAIL]
    assert "the role of main trusts it" in met.what
    assert met.where == ".github/workflows/one.yml, job run"
    assert "sagemaker-pull-request" in (met.fix or "")
    # Without a token there is nothing to take.
    bare = text.replace(line + "\n", "").replace("      id-token: write # to assume the role\n", "")
    assert not any("the role of main trusts" in each.what for each in look(tmp_path, bare))


@pytest.mark.parametrize(
    ("old", "new", "state", "said"),
    [
        ("id-token: write, ", "", State.FAIL, "id-token: write is missing"),
        ("contents: read, ", "", State.FAIL, "contents: read is missing"),
        (", pull-requests: write", "", State.WARN, "no comment can be posted"),
        ("{contents: read, id-token: write, pull-requests: write}", "write-all", State.WARN,
         "may do everything"),
        ("{contents: read, id-token: write, pull-requests: write}", "read-all", State.FAIL,
         "id-token: write is missing"),
        ("    permissions: {contents: read, id-token: write, pull-requests: write}\n", "",
         State.FAIL, "nothing grants id-token"),
        ("fetch-depth: 0", "fetch-depth: 1", State.WARN, "fetch-depth is 1"),
        ("cancel-in-progress: false", "cancel-in-progress: true", State.FAIL, "cancels the deploy"),
        ("concurrency: {group: main, cancel-in-progress: false}\n", "", State.WARN,
         "two pushes deploy at once"),
        ("timeout-minutes: 350", "timeout-minutes: 300", State.FAIL, "cut off without a report"),
        (", deadline: 5h", "", State.WARN, "no deadline"),
        ("@" + "a" * 40, "@v1", State.WARN, "is not pinned"),
        ("push: {branches: [main]}", "pull_request:", State.WARN, "forks have no credentials"),
    ],
)  # fmt: skip
def test_each_fault_is_found(tmp_path: Path, old: str, new: str, state: State, said: str) -> None:
    assert old in MAIN
    found = look(tmp_path, MAIN.replace(old, new))
    met = [each for each in found if said in each.what]
    assert [each.state for each in met][:1] == [state], found
    assert met[0].fix
    assert met[0].where == ".github/workflows/one.yml, job deploy"


def test_foreign_code_with_secrets_is_the_worst_of_all(tmp_path: Path) -> None:
    text = MAIN.replace("push: {branches: [main]}", "pull_request_target:").replace(
        "fetch-depth: 0", "fetch-depth: 0, ref: '${{ github.event.pull_request.head.sha }}'"
    )
    found = look(tmp_path, text)
    assert any(each.state is State.FAIL and "pull_request_target" in each.what for each in found)
    harmless = MAIN.replace("push: {branches: [main]}", "pull_request_target:")
    assert not any("pull_request_target" in each.what for each in look(tmp_path, harmless))


def test_the_deadline_of_the_project_file_counts_where_the_job_gives_none(tmp_path: Path) -> None:
    text = MAIN.replace(", deadline: 5h", "")
    (found,) = look(tmp_path, text, deadline=3600.0)
    assert found.state is State.OK
    assert any("cut off" in each.what for each in look(tmp_path, text, deadline=9e5))


def test_other_workflows_and_none(tmp_path: Path) -> None:
    assert next(check_workflows(Site(root=tmp_path, environ={}))).state is State.OK
    (found,) = look(tmp_path, MAIN.replace(ACTION, "acme/other@" + "a" * 40))
    assert (found.state, found.fix) == (State.WARN, "sagemaker-gitops init")


@pytest.mark.parametrize("text", ["", "[]", "a: [", "\x00", "&a [*a]", "jobs: 3\non: x\n"])
def test_what_is_no_workflow_breaks_nothing(tmp_path: Path, text: str) -> None:
    assert all(isinstance(each, Finding) for each in look(tmp_path, text))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["on", "jobs", "steps", "uses", "with", "permissions", "concurrency", "if", "run"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(VALUES, VALUES, VALUES)
def test_no_shape_of_a_workflow_makes_it_raise(on: Any, job: Any, step: Any) -> None:
    from ci.doctor.workflows import Use, judge

    use = Use(
        file="f",
        name="n",
        workflow={"on": on},
        job={**(job if isinstance(job, dict) else {}), "steps": [step]},
        step=step if isinstance(step, dict) else {},
    )
    found = list(judge(use, Site(root=Path("/"), environ={})))
    assert all(isinstance(each, Finding) for each in found)
