"""A decision made elsewhere comes home: endpoint, comment, metadata; twice, late, or for others."""

import json
import os
import re
import select
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.approving import DEPLOY, ApprovalLab, open_lab
from support.endpoint import client
from support.faults import Phase, faulty_proxy
from support.forking import warm_process
from support.github_job import aws_environ

pytestmark = pytest.mark.endpoint
QUICK = ("--poll", "0.1")
# Deploys, and is told that the endpoint was busy: as the second of two is.
_LATE = b"""
_deploy = handler
def handler(event, context):
    answer = _deploy(event, context)
    if answer["status"] == "NotApproved":
        return answer
    raise RuntimeError("Cannot update in-progress endpoint")
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApprovalLab]:
    folder: Path = tmp_path_factory.mktemp("approvals")
    with open_lab(folder) as lab:
        yield lab


def test_from_registration_to_the_endpoint_and_back(lab: ApprovalLab) -> None:
    lab.merged("one", 1)
    first = lab.deploy()
    [body] = lab.github.bodies(1)
    assert "awaiting approval" in body

    lab.decide(first, "Approved", ApprovalDescription="looks *good* to @me")
    done = lab.run("approvals", "sync", first, "--json", *QUICK)
    assert done.code == 0, done.err
    assert lab.answer() == "one"
    assert done.document["approval"] == "Approved"
    assert done.report["verdict"]["outcome"] == "succeeded"
    [body] = lab.github.bodies(1)
    assert "approved and deployed" in body
    assert "in SageMaker" in body
    assert "deployed to the endpoint quality" in body
    assert lab.outputs()["approval"] == "Approved"
    held = lab.sagemaker.describe_model_package(ModelPackageName=first)
    assert held["CustomerMetadataProperties"]["sagemaker-gitops:decision"] == "Approved"

    before = len(lab.github.writes())
    again = lab.run("approvals", "sync", first, *QUICK)
    assert again.code == 0, again.err
    assert "nothing, the endpoint quality serves it" in again.out
    assert len(lab.github.writes()) == before

    lab.merged("two", 2)
    second = lab.deploy()
    done = lab.run("approve", "--commit", lab.scratch.git("rev-parse", "HEAD"), "--json", *QUICK)
    assert done.code == 0, done.err
    assert lab.answer() == "two"
    assert "Approved by octocat" in lab.github.bodies(2)[0]

    # An old event that comes late does not bring the old model back.
    late = lab.run("approvals", "sync", first, *QUICK)
    assert late.code == 0, late.err
    assert lab.answer() == "two"
    assert "Left as it is: v2 is newer, and approved as well" in lab.github.bodies(1)[0]

    lab.decide(second, "Rejected", ApprovalDescription="wrong for old shells")
    done = lab.run("approvals", "sync", second, *QUICK)
    assert done.code == 0, done.err
    assert lab.answer() == "one"
    [body] = lab.github.bodies(2)
    assert "was rejected: wrong for old shells" in body
    assert "the endpoint quality serves quality v1" in body
    assert lab.run("approvals", "sync", second, *QUICK).code == 0
    assert lab.answer() == "one"


def test_the_rule_on_the_page_tells_of_decisions_alone(lab: ApprovalLab) -> None:
    page = (Path(__file__).parents[2] / "docs" / "approval.md").read_text()
    blocks = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    pattern = json.loads(blocks[0])
    pattern["detail"]["ModelPackageGroupName"] = ["heard"]
    [transformer] = [
        yaml.safe_load(text)["InputTransformer"]
        for text in re.findall(r"```yaml\n(InputTransformer.*?)```", page, re.DOTALL)
        if "event_type" in text
    ]
    events, sqs = client(lab.address, "events"), client(lab.address, "sqs")
    queue = sqs.create_queue(QueueName="heard")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    events.put_rule(Name="heard", EventPattern=json.dumps(pattern))
    target = {"Id": "1", "Arn": arn["Attributes"]["QueueArn"], "InputTransformer": transformer}
    events.put_targets(Rule="heard", Targets=[target])

    lab.sagemaker.create_model_package_group(ModelPackageGroupName="heard")
    made = lab.sagemaker.create_model_package(
        ModelPackageGroupName="heard", ModelApprovalStatus="PendingManualApproval"
    )["ModelPackageArn"]
    lab.decide(made, "Approved")
    lab.sagemaker.update_model_package(
        ModelPackageArn=made, CustomerMetadataProperties={"stamp": "1"}
    )
    lab.decide(made, "Rejected")
    heard = listen(sqs, queue, 2)
    payload = {"package": made}
    assert heard == [{"event_type": "sagemaker-approval", "client_payload": payload}] * 2


def listen(sqs: Any, queue: str, count: int) -> list[Any]:
    """At least `count` messages, and what comes within a second of the last."""
    heard: list[Any] = []
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        wait = 1 if len(heard) >= count else 2
        found = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=wait).get("Messages", [])
        heard += [json.loads(message["Body"]) for message in found]
        if len(heard) >= count and not found:
            break
    return heard


def foreign(lab: ApprovalLab, arn: str) -> str:
    done = lab.run("approvals", "sync", arn, "--json")
    assert done.code == 5, done.err
    reason: str = done.document["ignored"]
    return reason


def test_what_is_not_this_projects_is_left_alone_with_words(lab: ApprovalLab) -> None:
    lab.merged("foreign", 30)
    own = lab.deploy()
    held = lab.sagemaker.describe_model_package(ModelPackageName=own)
    stamped = held["CustomerMetadataProperties"]
    lab.sagemaker.create_model_package_group(ModelPackageGroupName="theirs")

    def theirs(**metadata: str) -> str:
        made: str = lab.sagemaker.create_model_package(
            ModelPackageGroupName="theirs",
            ModelApprovalStatus="Approved",
            CustomerMetadataProperties=metadata,
        )["ModelPackageArn"]
        return made

    writes = len(lab.github.writes())
    bare = theirs(any="thing")
    assert "names no execution of sagemaker-gitops" in foreign(lab, bare)
    heard = lab.run("auto", environ=built(lab, bare))
    assert heard.code == 0, heard.err  # events of others' packages come as well
    assert "Ignored" in heard.out
    refused = lab.run("reject", bare, "--from", "Approved", "--json")
    assert refused.code == 5
    assert "names no execution" in refused.document["error"]["why"]
    claimed = theirs(**stamped)
    assert "did not register it" in foreign(lab, claimed)
    other = theirs(**{**stamped, "sagemaker-gitops:repository": "stranger/mlops"})
    assert "made by stranger/mlops" in foreign(lab, other)
    lost = stamped["sagemaker-gitops:execution"].rpartition("/")[0] + "/zzzzzzzzzzzz"
    gone = theirs(**{**stamped, "sagemaker-gitops:execution": lost})
    assert "is gone" in foreign(lab, gone)
    assert "is gone" in foreign(lab, own.rpartition("/")[0] + "/999")
    assert len(lab.github.writes()) == writes
    for arn in (bare, claimed, other):
        now = lab.sagemaker.describe_model_package(ModelPackageName=arn)
        assert "sagemaker-gitops:decision" not in now["CustomerMetadataProperties"]
        assert now["ModelApprovalStatus"] == "Approved"
    odd = lab.run("approvals", "sync", "arn:aws:sagemaker:x", "--json")
    assert odd.code == 2
    assert "not the ARN" in odd.err


def test_a_package_that_was_deleted_since_is_told(lab: ApprovalLab) -> None:
    lab.merged("deleted", 61)
    package = lab.deploy()
    held = lab.sagemaker.describe_model_package(ModelPackageName=package)
    execution = held["CustomerMetadataProperties"]["sagemaker-gitops:execution"]
    lab.sagemaker.delete_model_package(ModelPackageName=package)
    told = f"quality v{package.rpartition('/')[2]} was registered, and has been deleted since"
    attached = lab.run("attach", execution, "--json", *QUICK)
    assert attached.code == 1, attached.err
    assert attached.report["verdict"]["outcome"] == "unverified"
    assert told in attached.report["verdict"]["sentence"]
    assert told in lab.github.bodies(61)[0]
    shown = lab.run("report", execution)
    assert shown.code == 0, shown.err
    assert told in " ".join(shown.out.split())
    assert "is gone" in foreign(lab, package)
    heard = lab.run("auto", environ=built(lab, package))
    assert heard.code == 0, heard.err
    assert f"Ignored {package}: it is gone" in heard.out


def built(lab: ApprovalLab, package: str) -> dict[str, str]:
    """A build that a rule started for an event about the package."""
    return {
        "GITHUB_ACTIONS": "",
        "CODEBUILD_BUILD_ID": "mlops:1",
        "CODEBUILD_INITIATOR": "rule/approvals",
        "CODEBUILD_RESOLVED_SOURCE_VERSION": lab.scratch.git("rev-parse", "HEAD"),
        "CODEBUILD_SOURCE_REPO_URL": "https://github.com/acme/mlops.git",
        "SAGEMAKER_GITOPS_EVENT_PACKAGE": package,
    }


def commit_of(lab: ApprovalLab, package: str) -> str:
    held = lab.sagemaker.describe_model_package(ModelPackageName=package)
    commit: str = held.get("CustomerMetadataProperties", {}).get("sagemaker-gitops:commit", "")
    return commit


def forget_origin(lab: ApprovalLab, package: str) -> str:
    """Take the stamps off; the commit that they told."""
    commit = commit_of(lab, package)
    keys = [f"sagemaker-gitops:{k}" for k in ("commit", "execution", "environment", "digest")]
    lab.sagemaker.update_model_package(
        ModelPackageArn=package, CustomerMetadataPropertiesToRemove=keys
    )
    assert commit_of(lab, package) == "" != commit
    return commit


def test_without_events_what_changed_since_is_brought_home(lab: ApprovalLab) -> None:
    lab.propose(31, "thirty-one")
    lab.merged("thirty-two", 32)
    main = lab.deploy()
    [pull] = lab.sagemaker.list_model_packages(ModelPackageGroupName="quality-pr-31")[
        "ModelPackageSummaryList"
    ]
    lab.decide(main, "Approved")
    lab.decide(pull["ModelPackageArn"], "Rejected", ApprovalDescription="no")
    # As after a job that ended early: nobody has stamped them.
    commits = [forget_origin(lab, arn) for arn in (main, pull["ModelPackageArn"])]
    done = lab.run("approvals", "sync", "--since", "10m", "--json", *QUICK)
    assert done.code == 0, done.err
    assert [commit_of(lab, arn) for arn in (main, pull["ModelPackageArn"])] == commits
    told = {each["model_package"]: each for each in done.document["packages"]}
    assert told[main]["approval"] == "Approved"
    assert told[pull["ModelPackageArn"]]["approval"] == "Rejected"
    assert lab.answer() == "thirty-two"
    assert "approved and deployed" in lab.github.bodies(32)[0]
    assert "was rejected: no" in lab.github.bodies(31)[0], lab.github.bodies(31)[0] + done.err
    writes = len(lab.github.writes())
    again = lab.run("approvals", "sync", "--json", *QUICK)
    assert again.code == 0, again.err
    assert len(lab.github.writes()) == writes
    assert "quality-pr-31 v1 is Rejected, and nothing is left to do" in again.err
    bad = lab.run("approvals", "sync", "--since", "yesterday")
    assert bad.code == 2


def test_what_a_schedule_started_is_of_the_commit_that_its_version_names(lab: ApprovalLab) -> None:
    commit = lab.merged("forty", 40)
    lab.deploy()
    package = scheduled(lab)
    assert commit_of(lab, package) == ""  # no job of ours has seen it
    lab.scratch.commit("nothing ran of this one")
    lab.decide(package, "Approved")
    done = lab.run("approvals", "sync", package, "--json", *QUICK)
    assert done.code == 0, done.err
    assert commit_of(lab, package) == commit
    assert lab.answer() == "forty"
    later = scheduled(lab)
    of_it = ("--environment", "main", "--commit", commit[:12])
    reported = lab.run("report", *of_it, "--json").document["reports"]
    assert [each["model_package"]["arn"] for each in reported] == [later]
    rejected = lab.run("reject", *of_it, "--json", *QUICK)
    assert rejected.code == 0, rejected.err
    assert rejected.document["model_package"] == later


def scheduled(lab: ApprovalLab) -> str:
    """The package that an execution registers which a schedule started."""
    arn = lab.sagemaker.start_pipeline_execution(PipelineName="quality")["PipelineExecutionArn"]
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        held = lab.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        if held["PipelineExecutionStatus"] != "Executing":
            break
        time.sleep(0.05)
    steps = lab.sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)
    metadata = [step["Metadata"] for step in steps["PipelineExecutionSteps"]]
    [package] = [each["RegisterModel"]["Arn"] for each in metadata if "RegisterModel" in each]
    return str(package)


def test_an_event_reaches_auto_through_codebuild(lab: ApprovalLab) -> None:
    lab.merged("thirty-three", 33)
    package = lab.deploy()
    lab.decide(package, "Approved")
    # What only CodePipeline needs keeps no model from its endpoint.
    places = {"SAGEMAKER_GITOPS_CODEPIPELINE": "a/b"}
    build = built(lab, package)
    done = lab.run("auto", "--json", *QUICK, environ=build | places)
    assert done.code == 2, done.err
    assert "names no manual approval" in done.err
    assert done.document["approval"] == "Approved"
    assert lab.answer() == "thirty-three"
    assert lab.run("auto", *QUICK, environ=build).code == 0
    [body] = lab.github.bodies(33)
    assert "approved and deployed" in body

    # The same event, once a newer model is deployed: what was true then stays said.
    lab.merged("thirty-five", 35)
    newer = lab.deploy()
    assert lab.run("approve", newer, *QUICK).code == 0
    late = lab.run("auto", "--json", *QUICK, environ=build)
    assert late.code == 0, late.err
    assert lab.github.bodies(33) == [body]
    assert lab.answer() == "thirty-five"


def test_two_at_the_same_moment_bring_it_home_once(lab: ApprovalLab, tmp_path: Path) -> None:
    lab.merged("thirty-six", 36)
    package = lab.deploy()
    lab.decide(package, "Approved")
    with warm_process(tmp_path / "forks") as forks, ThreadPoolExecutor(2) as pool:
        jobs = (lab, replace(lab, forks=forks, folder=tmp_path))
        runs = [pool.submit(j.run, "approvals", "sync", package, "--json", *QUICK) for j in jobs]
        both = [run.result() for run in runs]
    assert [done.code for done in both] == [0, 0], "".join(done.err for done in both)
    assert lab.answer() == "thirty-six"
    [body] = lab.github.bodies(36)
    assert "approved and deployed" in body
    held = lab.sagemaker.describe_model_package(ModelPackageName=package)
    assert held["CustomerMetadataProperties"]["sagemaker-gitops:settled"].startswith("Approved")


@pytest.mark.parametrize("operation", ["UpdateModelPackage", "lambda:POST"])
def test_what_followed_from_an_approval_that_was_killed_is_made_up_for(
    lab: ApprovalLab, operation: str
) -> None:
    """Killed once the decision stood, and once the function was called: at each of the other
    calls the next `approvals sync` does the same."""
    number = 50 + len(operation)
    lab.merged(f"killed at {operation}", number)
    package = lab.deploy()
    running: list[int] = []

    def kill(_number: int, called: str, phase: Phase) -> None:
        if (called, phase) == (operation, Phase.AFTER):
            signal.pidfd_send_signal(running[0], signal.SIGKILL)
            select.select(running, [], [], 10)

    with faulty_proxy(lab.address) as faults:
        faults.hook = kill
        environ = aws_environ(faults.address)
        begun = lab.begun
        lab.begun = lambda pid: running.append(os.pidfd_open(pid))
        killed = lab.run("approve", package, *QUICK, environ=environ)
        lab.begun = begun
    os.close(running[0])
    assert killed.code == -signal.SIGKILL
    done = lab.run("approvals", "sync", "--since", "10m", *QUICK)
    assert done.code == 0, done.err
    assert lab.answer() == f"killed at {operation}"
    [body] = lab.github.bodies(number)
    assert "approved and deployed" in body
    assert "Approved by octocat with a command" in body


def test_a_call_that_came_second_is_forgiven_where_the_endpoint_serves(lab: ApprovalLab) -> None:
    lambdas = client(lab.address, "lambda")
    lambdas.delete_function(FunctionName="quality-deploy")
    lab.make_function("quality-deploy", DEPLOY.read_bytes() + _LATE)
    lab.merged("thirty-seven", 37)
    package = lab.deploy()
    lab.decide(package, "Approved")
    done = lab.run("approvals", "sync", package, "--json", *QUICK)
    assert done.code == 0, done.err
    assert "It failed, and the endpoint serves quality v" in done.err
    assert "approved and deployed" in lab.github.bodies(37)[0]
    lambdas.delete_function(FunctionName="quality-deploy")
    lab.make_function("quality-deploy")


def test_a_function_that_fails_is_told_and_leaves_the_endpoint(lab: ApprovalLab) -> None:
    lab.merged("thirty-four", 34)
    before = lab.answer()
    package = lab.deploy()
    lab.decide(package, "Approved")
    lambdas = client(lab.address, "lambda")
    lambdas.delete_function(FunctionName="quality-deploy")
    missing = lab.run("approvals", "sync", package, "--json", *QUICK)
    assert missing.code == 6
    assert "What was to follow failed" in lab.github.bodies(34)[0]
    lab.make_function("quality-deploy", b"def handler(event, context): raise RuntimeError('`x`')")
    failing = lab.run("approvals", "sync", package, "--json", *QUICK)
    assert failing.code == 6
    assert failing.document["error"]["why"].endswith("Error: `x`")
    lambdas.delete_function(FunctionName="quality-deploy")
    lab.make_function("quality-deploy", b"def handler(event, context): return {}")
    idle = lab.run("approvals", "sync", package, "--json", *QUICK)
    assert idle.code == 1
    assert "The endpoint does not serve quality v" in idle.document["error"]["what"]
    assert "approved but not deployed" in lab.github.bodies(34)[0]
    assert lab.answer() == before
