"""`deploy` as a user meets it: verdicts, exit codes, reports, reruns."""

import json
import shlex

import pytest
from support.endpoint import client
from support.scratch import Scratch, quality_definition

pytestmark = pytest.mark.endpoint


def test_a_good_model_is_registered_and_reported(scratch: Scratch) -> None:
    scratch.define(quality_definition(2.0))
    commit = scratch.commit("good model")
    done = scratch.deploy("--report", "out/report")
    assert done.code == 0, done.err
    report = done.report
    assert report["verdict"]["outcome"] == "succeeded"
    assert report["model_package"]["approval"] == "Approved"
    assert report["trigger"]["commit"] == commit
    body = (scratch.root / "out" / "report.md").read_text()
    assert commit in body.splitlines()[0]
    assert json.loads((scratch.root / "out" / "report.json").read_text()) == report


def test_the_package_names_its_commit(scratch: Scratch) -> None:
    scratch.define(quality_definition(1.9))
    commit = scratch.commit("traced")
    report = scratch.deploy().report
    metadata = package_metadata(scratch, report["model_package"]["arn"])
    assert metadata["sagemaker-gitops:commit"] == commit
    assert metadata["sagemaker-gitops:execution"] == report["execution"]["arn"]


def package_metadata(scratch: Scratch, arn: str) -> dict[str, str]:
    address = scratch.run("local", "status", "--json").document["address"]
    described = client(address, "sagemaker").describe_model_package(ModelPackageName=arn)
    metadata: dict[str, str] = described["CustomerMetadataProperties"]
    return metadata


def test_the_same_commit_again_is_the_same_execution(scratch: Scratch) -> None:
    scratch.define(quality_definition(1.8))
    scratch.commit("twice")
    first, second = scratch.deploy(), scratch.deploy()
    assert first.report["execution"]["arn"] == second.report["execution"]["arn"]
    assert first.report["verdict"] == second.report["verdict"]
    third = scratch.deploy("--again")
    assert third.report["execution"]["arn"] != first.report["execution"]["arn"]


def test_a_failed_condition_registers_nothing_and_says_so(scratch: Scratch) -> None:
    scratch.define(quality_definition(4.5))
    scratch.commit("bad model")
    done = scratch.deploy()
    assert done.code == 1
    assert done.report["verdict"]["outcome"] == "gate_failed"
    assert done.report["model_package"] is None
    assert "nothing was registered" in done.report["headline"]


def test_a_nan_metric_is_told_and_never_passes(scratch: Scratch) -> None:
    definition = quality_definition(float("nan"))
    definition["Steps"][1]["Arguments"]["Conditions"] = [
        {"Type": "Equals", "LeftValue": 1, "RightValue": 1}
    ]
    scratch.define(definition)
    scratch.commit("not a number")
    done = scratch.deploy()
    assert done.code == 1
    assert done.report["verdict"]["outcome"] == "unverified"
    assert any("NaN" in problem for problem in done.report["problems"])


def test_a_failing_step_shows_the_end_of_its_log(scratch: Scratch) -> None:
    script = "import sys\nprint('about to break')\nsys.exit('no such column: rings')"
    scratch.define(quality_definition(1.0, script=script))
    scratch.commit("broken step")
    done = scratch.deploy()
    assert done.code == 1
    assert done.report["verdict"]["outcome"] == "failed"
    text = done.report["logs"][0]["text"]
    assert "about to break" in text
    assert "no such column: rings" in text


def test_a_pull_request_leaves_the_shared_pipeline_alone(scratch: Scratch) -> None:
    scratch.define(quality_definition(1.7))
    scratch.commit("production")
    production = scratch.deploy().report
    scratch.define(quality_definition(1.5))
    scratch.commit("challenger", branch="better")
    done = scratch.deploy("--pull-request", "12")
    scratch.git("checkout", "-q", "main")
    assert done.code == 0, done.err
    assert done.report["pipeline_name"] == "quality-pr-12"
    assert done.report["model_package"]["group"] == "quality-pr-12"
    assert done.report["champion"]["arn"] == production["model_package"]["arn"]
    assert "1 step changed" in done.report["plan"]["headline"]


def test_an_execution_that_a_schedule_started_is_of_its_versions_commit(scratch: Scratch) -> None:
    scratch.define(quality_definition(1.45))
    commit = scratch.commit("on a schedule")
    assert scratch.deploy().code == 0
    address = scratch.run("local", "status", "--json").document["address"]
    sagemaker = client(address, "sagemaker")
    arn = sagemaker.start_pipeline_execution(
        PipelineName="quality", ClientRequestToken="schedule" * 4
    )["PipelineExecutionArn"]
    done = scratch.run("attach", arn, "--local", "--json", "--poll", "0.1")
    assert done.code == 0, done.err
    assert done.report["trigger"]["commit"] == commit
    assert done.report["trigger"]["run_url"] is None
    metadata = package_metadata(scratch, done.report["model_package"]["arn"])
    assert metadata["sagemaker-gitops:commit"] == commit
    assert metadata["sagemaker-gitops:execution"] == arn
    other = {**quality_definition(1.44), "Metadata": {"by": "hand"}}
    sagemaker.update_pipeline(PipelineName="quality", PipelineDefinition=json.dumps(other))
    stray = sagemaker.start_pipeline_execution(
        PipelineName="quality", ClientRequestToken="stranger" * 4
    )["PipelineExecutionArn"]
    refused = scratch.run("attach", stray, "--local", "--json", "--poll", "0.1")
    assert refused.code == 2
    assert "no commit that sagemaker-gitops deployed" in refused.document["error"]["what"]


def test_detach_starts_and_attach_ends(scratch: Scratch) -> None:
    scratch.define(quality_definition(1.4, script="import time; time.sleep(1.5)"))
    scratch.commit("slow")
    started = scratch.deploy("--detach")
    assert started.code == 0
    assert started.report["state"] == "running"
    ended = scratch.run("attach", "--local", "--json", "--poll", "0.1")
    assert ended.code == 0, ended.err
    assert ended.report["execution"]["arn"] == started.report["execution"]["arn"]
    assert ended.report["verdict"]["outcome"] == "succeeded"
    assert ended.report["verdict"]["metrics"][0]["value"] == 1.4


def test_a_deadline_ends_with_4_and_the_execution_runs_on(scratch: Scratch) -> None:
    scratch.define(quality_definition(1.3, script="import time; time.sleep(3)"))
    scratch.commit("slower than the deadline")
    done = scratch.deploy("--deadline", "1s")
    assert done.code == 4
    assert done.report["state"] == "running"
    onwards = done.report["attach"]
    assert onwards in done.err
    assert any(onwards in told for told in done.report["problems"])
    assert scratch.run(*shlex.split(onwards)[1:], "--json", "--poll", "0.1").code == 0


def test_stop_waits_until_it_has_stopped(scratch: Scratch) -> None:
    scratch.define(quality_definition(1.2, script="import time; time.sleep(60)"))
    scratch.commit("stopped")
    scratch.deploy("--detach")
    done = scratch.run("stop", "--local", "--json", "--poll", "0.1")
    assert done.code == 0, done.err
    assert done.report["verdict"]["outcome"] == "stopped"


def test_require_approval_ends_with_5_until_it_is_given(scratch: Scratch) -> None:
    scratch.define(quality_definition(1.1))
    scratch.commit("waits for approval")
    project = scratch.root / "sagemaker-gitops.yaml"
    kept = project.read_text()
    project.write_text(
        kept.replace("{Approval: Approved}", "{Approval: PendingManualApproval}").replace(
            "main: {", "main: {require_approval: true, "
        )
    )
    try:
        pending = scratch.deploy()
        assert pending.code == 5
        package = pending.report["model_package"]["arn"]
        approve, _ = (shlex.split(each["line"])[1:] for each in pending.report["commands"])
        approved = scratch.run(*approve, "--reason", "looks right", "--json")
        assert approved.code == 0, approved.err
        again = scratch.run("reject", package, "--local", "--json")
        assert again.code == 5
        done = scratch.deploy()
        assert done.code == 0
        assert "looks right" in done.report["model_package"]["approval_description"]
    finally:
        project.write_text(kept)


def test_what_names_its_place_needs_no_environment(scratch: Scratch) -> None:
    scratch.define(quality_definition(1.05))
    scratch.commit("named")
    report = scratch.deploy().report
    scratch.git("checkout", "-q", "-B", "feature")
    try:
        attached = scratch.run("attach", report["execution"]["arn"], "--local", "--json")
        assert attached.code == 0, attached.err
        assert attached.report["environment"] == "main"
        lost = scratch.run("attach", "--local", "--json")
        assert lost.code == 2
    finally:
        scratch.git("checkout", "-q", "main")


def test_a_rerun_publishes_no_verdict_before_it_was_read_back(scratch: Scratch) -> None:
    definition = quality_definition(9.9)
    definition["Steps"][1]["Arguments"]["ElseSteps"] = []
    scratch.define(definition)
    scratch.commit("nothing registered")
    first, again = scratch.deploy(), scratch.deploy("--detach")
    assert (first.code, again.code) == (1, 1)
    assert again.report["verdict"] == first.report["verdict"]


def test_local_uses_nobodys_credentials(scratch: Scratch) -> None:
    scratch.define(quality_definition(1.04))
    scratch.commit("foreign profile")
    scratch.environ = {
        "AWS_PROFILE": "no-such-profile",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    try:
        done = scratch.deploy()
        assert done.code == 0, done.err
    finally:
        scratch.environ = {}
