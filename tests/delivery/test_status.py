"""`status`: one view of what stands, in few calls, and without changing anything."""

from collections import Counter
from typing import Any

import pytest
from support.faults import Fault, Rule, faulty_proxy
from support.recording import recording
from support.scratch import Result, Scratch, quality_definition
from support.terminal import at_terminal

from ci.session.session import client_environment

pytestmark = pytest.mark.endpoint
PENDING = ("--parameter", "Approval=PendingManualApproval")


def status(scratch: Scratch, *arguments: str) -> Any:
    done = scratch.run("status", "--local", "--json", *arguments)
    assert (done.code, done.err) == (0, ""), done.err
    (found,) = done.document["pipelines"]
    return found


def address(scratch: Scratch) -> str:
    return str(scratch.run("local", "status", "--json").document["address"])


@pytest.fixture(scope="module")
def commits(scratch: Scratch, warm: None) -> list[str]:
    """A champion, a package that waits, a run that failed, and an alias. Nothing was there."""
    scratch.define(quality_definition(2.0))
    made = [scratch.commit("champion")]
    before = status(scratch)
    empty = {key: before[key] for key in ("deployed", "aliases", "executions", "champion")}
    assert empty == {"deployed": None, "aliases": {}, "executions": [], "champion": None}
    assert "nothing: sagemaker-gitops deploy" in scratch.run("status", "--local").out
    assert scratch.deploy().code == 0
    scratch.define(quality_definition(1.5))
    made.append(scratch.commit("waits"))
    scratch.deploy(*PENDING)
    scratch.define(quality_definition(1.4, script="raise SystemExit('broken')"))
    made.append(scratch.commit("fails"))
    assert scratch.deploy().code == 1
    assert scratch.run("promote", "quality", "--local", "--to", "1").code == 0
    return made


def test_it_tells_what_stands(scratch: Scratch, commits: list[str]) -> None:
    found = status(scratch)
    assert (found["deployed"]["version"], found["deployed"]["commit"]) == (3, commits[2])
    assert found["aliases"] == {"production": {"version": 1, "commit": commits[0]}}
    assert [(each["status"], each["commit"]) for each in found["executions"]] == [
        ("Failed", commits[2]),
        ("Succeeded", commits[1]),
        ("Succeeded", commits[0]),
    ]
    assert all(each["started"] < each["ended"] for each in found["executions"])
    steps = [each["failed_step"] for each in found["executions"]]
    assert (steps[0]["name"], steps[1:]) == ("Evaluate", [None, None])
    assert (found["champion"]["version"], found["champion"]["commit"]) == (1, commits[0])
    assert [(each["version"], each["commit"]) for each in found["waiting"]] == [(2, commits[1])]
    assert found["endpoint"] is None
    shown = scratch.run("status", "--local", "quality").out
    assert f"version 3, commit {commits[2][:12]}" in shown
    assert f"  sagemaker-gitops approve {found['waiting'][0]['arn']} --local\n" in shown


def test_a_narrow_terminal_breaks_no_command(scratch: Scratch, commits: list[str]) -> None:
    scratch.environ["COLUMNS"] = "50"
    try:
        code, shown = at_terminal(scratch, "status", "--local")
    finally:
        del scratch.environ["COLUMNS"]
    assert code == 0
    long = [line.strip() for line in shown.splitlines() if len(line) > 50]
    assert long == [line.strip() for line in shown.splitlines() if "-gitops approve arn:" in line]
    assert "\n                  " in shown


def test_a_pull_request_has_its_own(scratch: Scratch, commits: list[str]) -> None:
    assert scratch.deploy("--pull-request", "8", *PENDING).code in {0, 1}
    found = status(scratch, "--pull-request", "8")
    assert (found["environment"], found["name"]) == ("pull_request", "quality-pr-8")
    assert [each["pull_request"] for each in found["executions"]] == [8]
    assert found["champion"]["commit"] == commits[0]
    assert [each["commit"] for each in status(scratch)["waiting"]] == [commits[1]]


def test_calls_are_few_and_read_only(scratch: Scratch, commits: list[str]) -> None:
    def called(*arguments: str) -> Counter[str]:
        with recording() as recorder:
            environ = {**scratch.environment(), "HOME": str(scratch.root)}
            done = recorder.run("status", "--local", *arguments, cwd=scratch.root, environ=environ)
            assert done.code == 0, done.err
            return Counter(each.operation for each in recorder.take())

    calls = called()
    assert all(name.startswith(("Describe", "List")) for name in calls), calls
    # One of them failed: its steps tell which one it was.
    assert calls.total() == 4 + 1 + len(commits) + 1 + 2 + 2
    assert called("--executions", "1").total() == calls.total() - len(commits) + 1


def through(proxy: str, scratch: Scratch) -> Result:
    apart = Scratch(root=scratch.root, environ=client_environment(proxy, "us-east-1"))
    return apart.run("status", "--environment", "main", "--json")


def test_what_may_not_be_read_is_told_and_the_rest_shown(
    scratch: Scratch, commits: list[str]
) -> None:
    (scratch.root / "sagemaker-gitops.yaml").write_text(
        "role: arn:aws:iam::000000000000:role/any\n"
        + (scratch.root / "sagemaker-gitops.yaml").read_text()
    )
    with faulty_proxy(address(scratch)) as faults:
        faults.rules.append(Rule(fault=Fault.DENIED, operation="ListModelPackages", times=99))
        faults.rules.append(Rule(fault=Fault.THROTTLE, operation="DescribePipelineExecution"))
        done = through(faults.address, scratch)
        assert done.code == 0, done.err
        (found,) = done.document["pipelines"]
        assert found["deployed"]["commit"] == commits[2]
        assert found["executions"][0]["ended"] is not None
        assert found["champion"] is None
        assert found["unread"] == [
            "champion: ListModelPackages is not allowed",
            "waiting: ListModelPackages is not allowed",
        ]
    assert through("http://127.0.0.1:9", scratch).code == 6


@pytest.mark.parametrize("command", ["attach", "report", "stop"])
def test_what_is_not_there_is_told_with_what_to_look_at(scratch: Scratch, command: str) -> None:
    arn = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/quality/execution/nobody"
    done = scratch.run(command, arn, "--local")
    assert done.code == 2
    assert "there is no such execution" in done.err
    assert "Check the name, the region, and the account" in done.err
