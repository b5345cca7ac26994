"""`promote` and `rollback`: an alias among the versions of a pipeline."""

import signal
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.endpoint import client
from support.faults import Phase, faulty_proxy
from support.scratch import COMMAND, Result, Scratch, quality_definition

from ci.execution.identity import ExecutionRecord, describe
from ci.sagemaker.model import PipelineVersion
from ci.session.session import client_environment
from ci.upkeep.versions import find_version, version_before

COMMITS = ("a1b2c3d4" * 5, "1234567" + "0" * 33, "0" * 40)


def version(number: int, commit: str | None = None) -> PipelineVersion:
    record = ExecutionRecord(commit=commit or "", environment="main", digest="d", token="t")
    return PipelineVersion(number=number, description=describe(record) if commit else "by hand")


def test_a_version_is_named_by_number_or_commit() -> None:
    versions = [version(9), version(7, COMMITS[1]), version(4, COMMITS[0]), version(3, COMMITS[0])]
    assert number(find_version(versions, "9")) == 9
    assert number(find_version(versions, "a1b2c3d")) == 4
    assert number(find_version(versions, COMMITS[1])) == 7
    assert number(find_version(versions, "1234567")) == 7
    assert find_version([version(1234567), *versions], "1234567") == version(1234567)
    for text in ("8", "a1b2c3", "", "09", "９", "A1B2C3D", "1234567" * 9, "zzzzzzz"):
        assert find_version(versions, text) is None, text


def number(found: PipelineVersion | None) -> int | None:
    return None if found is None else found.number


@given(st.sets(st.integers(1, 50), min_size=1), st.data())
def test_the_version_before_is_the_newest_older_one(numbers: set[int], data: st.DataObject) -> None:
    versions = [version(each) for each in sorted(numbers, reverse=True)]
    current = data.draw(st.sampled_from(versions))
    before = number(version_before(versions, current))
    older = {each for each in numbers if each < current.number}
    assert before == (max(older) if older else None)


@pytest.fixture(scope="module")
def commits(scratch: Scratch, warm: None) -> list[str]:
    """Three commits of three versions, and a fourth that left the definition as it was."""
    made = []
    for rmse in (2.0, 1.9, 1.8, 1.8):
        scratch.define(quality_definition(rmse))
        made.append(scratch.commit(f"rmse {rmse}"))
        done = scratch.deploy("--detach")
        assert done.code == 0, done.err
    return made


def run(scratch: Scratch, command: str, *arguments: str) -> Result:
    return scratch.run(command, "quality", "--local", "--json", *arguments)


def at(scratch: Scratch, alias: str = "production") -> list[int]:
    address = scratch.run("local", "status", "--json").document["address"]
    aws: Any = client(address, "sagemaker")
    listed = aws.list_pipeline_versions(PipelineName="quality")["PipelineVersionSummaries"]
    return [
        each["PipelineVersionId"]
        for each in listed
        if alias in each.get("PipelineVersionAliases", ())
    ]


@pytest.mark.endpoint
def test_promote_and_back(scratch: Scratch, commits: list[str]) -> None:
    first = run(scratch, "promote", "--to", commits[1][:10])
    assert first.code == 0, first.err
    assert first.document == {
        "pipeline": "quality",
        "alias": "production",
        "moved": True,
        "from": None,
        "to": {"version": 2, "commit": commits[1]},
    }
    assert at(scratch) == [2]
    run(scratch, "promote", "--to", "3")
    assert at(scratch) == [3]
    again = run(scratch, "promote", "--to", "3")
    assert again.code == 0
    assert again.document["moved"] is False

    # The project's only pipeline needs no name.
    back = scratch.run("rollback", "--local", "--json")
    assert back.code == 0, back.err
    assert (back.document["from"]["version"], back.document["to"]["version"]) == (3, 2)
    assert at(scratch) == [2]
    run(scratch, "rollback", "--to", commits[0])
    assert at(scratch) == [1]
    ended = run(scratch, "rollback")
    assert ended.code == 2
    assert "none before it" in ended.document["error"]["what"]
    assert at(scratch) == [1]


@pytest.mark.endpoint
def test_a_commit_that_made_no_version_promotes_the_one_it_ran(
    scratch: Scratch, commits: list[str]
) -> None:
    done = run(scratch, "promote", "--to", commits[3], "--alias", "staging")
    assert done.code == 0, done.err
    assert done.document["to"] == {"version": 3, "commit": commits[2]}
    assert at(scratch, "staging") == [3]


@pytest.mark.endpoint
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("promote",), "what to promote is missing"),
        (("promote", "--to", "99"), "neither a version of this pipeline nor a commit"),
        (("promote", "--to", "f" * 40), "neither a version of this pipeline nor a commit"),
        (("promote", "--to", "1", "--alias", "7"), "cannot be an alias"),
        (("promote", "--to", "1", "--alias", "a b"), "cannot be an alias"),
        (("rollback", "--alias", "nowhere"), "none to go back from"),
        (("promote", "--to", "1", "--environment", "nowhere"), "no environment"),
    ],
)
def test_what_cannot_be_moved_is_refused(
    scratch: Scratch, commits: list[str], arguments: tuple[str, ...], said: str
) -> None:
    command, *rest = arguments
    done = run(scratch, command, *rest)
    assert done.code == 2, done.out
    assert said in done.document["error"]["what"]


@pytest.mark.endpoint
def test_what_is_not_deployed_has_no_versions(scratch: Scratch, commits: list[str]) -> None:
    file = scratch.root / "sagemaker-gitops.yaml"
    kept = file.read_text()
    file.write_text(kept + "  lab: {}\n")
    try:
        done = run(scratch, "promote", "--to", "1", "--environment", "lab")
    finally:
        file.write_text(kept)
    assert done.code == 2
    assert done.document["error"]["where"] == "quality-lab"


ROLE = "role: arn:aws:iam::000000000000:role/sagemaker-gitops-local\n"


@pytest.mark.endpoint
@pytest.mark.parametrize("occurrence", [1, 2, 3])
def test_a_move_that_is_killed_is_completed_by_the_next(
    scratch: Scratch, commits: list[str], occurrence: int
) -> None:
    """After each of its calls: the mark was set, the alias taken away, the alias set."""
    assert run(scratch, "promote", "--to", "3").code == 0
    address = scratch.run("local", "status", "--json").document["address"]
    killed_after(scratch, address, occurrence)
    moved = at(scratch)
    assert moved in ([3], [2], [])
    if moved == [2]:
        assert run(scratch, "promote", "--to", "2").code == 0
    else:
        done = run(scratch, "rollback")
        assert done.code == 0, done.err
        assert done.document["to"]["version"] == 2
    assert at(scratch) == [2]
    assert at(scratch, "production.moving") == []


@pytest.mark.endpoint
def test_a_promotion_after_a_killed_move_goes_where_it_is_told(
    scratch: Scratch, commits: list[str]
) -> None:
    assert run(scratch, "promote", "--to", "3").code == 0
    address = scratch.run("local", "status", "--json").document["address"]
    killed_after(scratch, address, 2)
    assert at(scratch) == []
    done = run(scratch, "promote", "--to", "1")
    assert done.code == 0, done.err
    assert done.document["from"] is None
    assert (at(scratch), at(scratch, "production.moving")) == ([1], [])


def killed_after(scratch: Scratch, address: str, occurrence: int) -> None:
    """`rollback`, killed after its n-th change of a version."""
    file = scratch.root / "sagemaker-gitops.yaml"
    kept = file.read_text()
    file.write_text(ROLE + kept)
    process: subprocess.Popen[bytes] | None = None

    def hook(number: int, operation: str, here: Phase) -> None:
        changes = faults.calls[:number].count("UpdatePipelineVersion")
        if operation == "UpdatePipelineVersion" and (changes, here) == (occurrence, Phase.AFTER):
            assert process is not None
            process.kill()
            process.wait(10)

    try:
        with faulty_proxy(address) as faults:
            faults.hook = hook
            process = subprocess.Popen(
                [COMMAND, "rollback", "quality"],
                cwd=scratch.root,
                env={**scratch.environment(), **client_environment(faults.address, "us-east-1")},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            assert process.wait(60) == -signal.SIGKILL
    finally:
        file.write_text(kept)
