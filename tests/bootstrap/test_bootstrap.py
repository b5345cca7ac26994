"""`bootstrap` as it is run: printed, written, deployed to the local endpoint's CloudFormation."""

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.endpoint import client, running_endpoint
from support.github_job import aws_environ
from support.scratch import BUCKET, Result, Scratch, new_scratch, quality_definition

from ci.approval.manual_approval import PLACES
from ci.bootstrap.deploying import Deployment, Means, State, deploy_step
from ci.bootstrap.steps import plan_step
from ci.bootstrap.template import Parameter, Ref, Resource, Template
from ci.door.packaging import HANDLER
from ci.errors import AwsError, DeadlineReached
from ci.local.lifecycle import Endpoint
from ci.sagemaker.clients import open_clients
from ci.sagemaker.stacks import Stack, Stacks

PROJECT = """
version: 1
region: us-east-1
role: arn:aws:iam::000000000000:role/sagemaker-gitops-local
pipelines:
  quality: {definition: definition.json, model_package_group: quality, endpoint: quality}
environments:
  main: {parameters: {Approval: Approved}}
  pull_request: {parameters: {Group: "quality-pr-{pull_request}"}}
"""
CONNECTION = "arn:aws:codeconnections:us-east-1:000000000000:connection/one"
PROVIDER = "arn:aws:iam::000000000000:oidc-provider/token.actions.githubusercontent.com"


class Account:
    """A repository, and an endpoint in place of its account."""

    def __init__(self, scratch: Scratch, endpoint: Endpoint) -> None:
        self.scratch, self.endpoint = scratch, endpoint

    def client(self, service: str) -> Any:
        return client(self.endpoint, service)

    def bootstrap(self, *arguments: str) -> Result:
        return self.scratch.run("bootstrap", "--json", *arguments)

    def stacks(self) -> dict[str, str]:
        found = self.client("cloudformation").describe_stacks()["Stacks"]
        return {each["StackName"]: each["StackStatus"] for each in found}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    folder = tmp_path_factory.mktemp("bootstrap")
    with running_endpoint(folder / "local") as endpoint:
        scratch = new_scratch(folder / "repository", PROJECT)
        scratch.environ.update(aws_environ(endpoint.address))
        scratch.git("remote", "add", "origin", "git@github.com:acme/mlops.git")
        scratch.define(quality_definition(1.5))
        scratch.commit("first")
        yield Account(scratch, endpoint)


@pytest.mark.endpoint
def test_printed_and_written_are_the_same(account: Account, tmp_path: Path) -> None:
    done = account.scratch.run("bootstrap", "artifacts", "events")
    assert done.code == 0, done.err
    printed = done.out.split("---\n")
    assert printed[1].startswith("# The stack mlops-artifacts\n")
    written = account.bootstrap("events", "artifacts", "--out", str(tmp_path))
    assert [each["stack"] for each in written.document["templates"]] == [
        "mlops-artifacts",
        "mlops-events",
    ]
    for document, text in zip(written.document["templates"], printed[1:], strict=True):
        body = (tmp_path / f"{document['template']}.yaml").read_text()
        assert body == document["body"]
        assert text.partition("\n")[2].rstrip() == body.rstrip()


@pytest.mark.endpoint
def test_what_is_given_stands_in_what_is_printed(account: Account) -> None:
    given = ("--parameter", "PullRequestDays=7", "--parameter", "DispatchSecret=forge/token")
    done = account.bootstrap("artifacts", "events", *given)
    artifacts, events = (
        yaml.safe_load(each["body"].partition("\nConditions:")[0])["Parameters"]
        for each in done.document["templates"]
    )
    assert (artifacts["PullRequestDays"]["Default"], artifacts["PullRequestPrefix"]["Default"]) == (
        "7",
        "pull-requests/",
    )
    assert events["DispatchSecret"]["Default"] == "forge/token"
    refused = account.bootstrap("codebuild", "--parameter", "ActionVersion=main")
    assert (refused.code, refused.document["error"]["what"]) == (
        2,
        "the parameter ActionVersion cannot be 'main'",
    )


@pytest.mark.endpoint
def test_a_preview_leaves_nothing_and_a_deploy_happens_once(account: Account) -> None:
    arguments = ("artifacts", "--name", "twice", "--deploy")
    preview = account.bootstrap(*arguments)
    assert preview.code == 0, preview.err
    (stack,) = preview.document["stacks"]
    assert stack["state"] == "proposed"
    assert {each["resource"] for each in stack["changes"]} == {
        "ArtifactBucket",
        "ArtifactBucketPolicy",
    }
    assert "twice-artifacts" not in account.stacks()
    done = account.bootstrap(*arguments, "--yes")
    assert done.document["stacks"][0]["state"] == "deployed", done.err
    assert done.document["stacks"][0]["outputs"] == {"Bucket": BUCKET}
    s3 = account.client("s3")
    assert s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": True,
    }
    policy = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])
    assert policy["Statement"][0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    again = account.bootstrap(*arguments, "--yes")
    assert (again.code, again.document["stacks"][0]["state"]) == (0, "unchanged")
    assert "no changes" in again.err
    # What the user once gave stays, also where the next deploy does not name it.
    changed = account.bootstrap(*arguments, "--yes", "--parameter", "PullRequestDays=7")
    assert changed.document["stacks"][0]["state"] == "deployed", changed.err
    assert account.bootstrap(*arguments, "--yes").document["stacks"][0]["state"] == "unchanged"
    # Another project's name: the bucket stands, and is not this stack's.
    other = account.bootstrap("artifacts", "--name", "other", "--deploy", "--yes")
    assert other.code == 0
    assert "was not made by this stack" in other.err
    assert "other-artifacts" not in account.stacks()


@pytest.mark.endpoint
def test_roles_of_two_projects_stand_side_by_side(account: Account) -> None:
    iam = account.client("iam")
    # The provider is there: it is found, and not made a second time.
    iam.create_open_id_connect_provider(
        Url="https://token.actions.githubusercontent.com", ClientIDList=["sts.amazonaws.com"]
    )
    for name in ("one", "two"):
        done = account.bootstrap("github-oidc", "--name", name, "--deploy", "--yes")
        assert done.code == 0, done.err
        outputs = done.document["stacks"][0]["outputs"]
        assert outputs["MainRole"].endswith(f"role/{name}-main")
    role = iam.get_role(RoleName="one-pull-request")["Role"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Federated": PROVIDER}
    assert trust["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"] == [
        "repo:acme/mlops:pull_request",
        "repo:acme/mlops:environment:sagemaker-pull-request",
    ]
    write = "sagemaker:UpdatePipeline"
    arn = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/"
    assert decisions(iam, "one-main", write, arn + "quality", arn + "quality-pr-3") == [
        "allowed",
        "implicitDeny",
    ]
    assert decisions(iam, "one-pull-request", write, arn + "quality", arn + "quality-pr-3") == [
        "implicitDeny",
        "allowed",
    ]
    assert decisions(iam, "one-plan", write, arn + "quality") == ["implicitDeny"]


def decisions(iam: Any, role: str, action: str, *resources: str) -> list[str]:
    """As IAM simulates the role's policies."""
    return [
        iam.simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::000000000000:role/{role}",
            ActionNames=[action],
            ResourceArns=[resource],
        )["EvaluationResults"][0]["EvalDecision"]
        for resource in resources
    ]


@pytest.mark.endpoint
def test_executions_are_followed_by_the_rule_and_the_queue_of_the_template(
    account: Account,
) -> None:
    done = account.bootstrap("events", "--deploy", "--yes")
    assert done.code == 0, done.err
    queue = f"{account.endpoint.address}/000000000000/mlops-events"
    account.client("s3").create_bucket(Bucket=BUCKET)
    begun = time.monotonic()
    run = account.scratch.run(
        "deploy", "--json", "--environment", "main", "--queue", queue, "--poll", "3600"
    )
    # Without events the next look would be an hour later.
    assert time.monotonic() - begun < 60
    assert run.report["execution"]["status"] == "Succeeded", run.err
    rule = account.client("events").describe_rule(Name="mlops-executions")
    pattern = json.loads(rule["EventPattern"])
    arn = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/"
    assert pattern["detail"]["pipelineArn"] == [arn + "quality", {"prefix": arn + "quality-pr-"}]
    # Another project's pipeline is told to others.
    bodies = []
    sqs = account.client("sqs")
    while messages := receive(sqs, queue):
        bodies += [json.loads(each["Body"]) for each in messages]
    assert {each["detail"]["pipelineArn"] for each in bodies} <= {arn + "quality"}


def receive(sqs: Any, queue: str) -> list[Any]:
    answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=0)
    return answer.get("Messages") or []


@pytest.mark.endpoint
def test_an_approval_starts_the_build_with_its_package(account: Account) -> None:
    """The transformer's result is what StartBuild takes: checked against botocore's model."""
    done = account.bootstrap("events", "--name", "builds", "--parameter", "ApprovalProject=b")
    body = yaml.safe_load(
        done.document["templates"][0]["body"].replace("!", "")  # intrinsics read as text
    )
    target = body["Resources"]["ApprovalBuildRule"]["Properties"]["Targets"][0]
    transformer = target["InputTransformer"]
    assert transformer["InputPathsMap"] == {"package": "$.detail.ModelPackageArn"}
    filled = json.loads(transformer["InputTemplate"].replace("<package>", '"arn:p"'))
    from botocore.session import get_session
    from botocore.validate import validate_parameters

    shape = get_session().get_service_model("codebuild").operation_model("StartBuild").input_shape
    validate_parameters({"projectName": "b", **filled}, shape)
    (variable,) = filled["environmentVariablesOverride"]
    assert (variable["name"], variable["value"]) == ("SAGEMAKER_GITOPS_EVENT_PACKAGE", "arn:p")


@pytest.mark.endpoint
def test_the_function_stands_with_the_rules_that_call_it(account: Account) -> None:
    s3, events = account.client("s3"), account.client("events")
    s3.create_bucket(Bucket="zips")
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("index.py", "def handler(event, context): ...\n")
    s3.put_object(Bucket="zips", Key="one.zip", Body=held.getvalue())
    arguments = ("lambda", "--name", "ours", "--deploy", "--yes")
    given = ("--parameter", "CodeBucket=zips", "--parameter", "CodeKey=one.zip")
    done = account.bootstrap(*arguments, *given)
    assert done.code == 0, done.err
    assert done.document["stacks"][0]["outputs"] == {"MainFunction": "ours-main"}
    found = account.client("lambda").get_function_configuration(FunctionName="ours-main")
    assert (found["Handler"], found["Timeout"], found["MemorySize"]) == (HANDLER, 300, 1024)
    assert found["Role"].endswith(":role/ours-main-function")
    assert found["Environment"]["Variables"] == {PLACES: "ours"}
    for rule in ("manual-approvals", "package-approvals"):
        (target,) = events.list_targets_by_rule(Rule=f"ours-{rule}")["Targets"]
        assert target["Arn"] == found["FunctionArn"]
    arn = "arn:aws:codepipeline:us-east-1:000000000000:ours/Approve/Model"
    other = arn.replace("ours", "theirs")
    answered = decisions(
        account.client("iam"), "ours-main-function", "codepipeline:PutApprovalResult", arn, other
    )
    assert answered == ["allowed", "implicitDeny"]
    assert account.bootstrap(*arguments).document["stacks"][0]["state"] == "unchanged"


@pytest.mark.endpoint
def test_a_template_too_large_for_a_request_goes_through_the_bucket(
    account: Account, tmp_path: Path
) -> None:
    lines = [
        f"  pipeline-{number}: {{definition: definition.json, model_package_group: g-{number}}}"
        for number in range(20)
    ]
    head, tail = PROJECT.split("  quality:")
    text = "\n".join([head.strip(), *lines, tail.partition("\n")[2]])
    large = new_scratch(tmp_path / "large", f"{text}artifacts: {{bucket: large-artifacts}}\n")
    large.environ.update(aws_environ(account.endpoint.address))
    large.define(quality_definition(1.5))
    large.commit("first")

    def deploy(*arguments: str) -> Result:
        return large.run(
            "bootstrap", "--repository", "acme/large", "--deploy", "--json", *arguments
        )

    given = (
        "ActionRepository=https://h/r",
        f"ActionVersion={'a' * 40}",
        f"Connection={CONNECTION}",
    )
    options = [word for each in given for word in ("--parameter", each)]
    refused = deploy("codebuild", *options)
    assert (refused.code, refused.document["error"]["fix"]) == (
        6,
        "sagemaker-gitops bootstrap artifacts --deploy --yes",
    )
    done = deploy("artifacts", "execution-role", "codebuild", "--yes", *options)
    assert [each["state"] for each in done.document["stacks"]] == ["deployed"] * 3, done.err
    project = account.client("codebuild").batch_get_projects(names=["large-main"])["projects"][0]
    assert project["serviceRole"].endswith(":role/large-main-build")
    (key,) = account.client("s3").list_objects_v2(Bucket="large-artifacts")["Contents"]
    assert key["Key"].endswith("/template.yaml")


@pytest.mark.endpoint
def test_what_is_refused_is_refused_before_the_first_change(account: Account) -> None:
    """Whichever of the templates it is about."""
    arguments: tuple[str, ...] = ("events", "codebuild", "--name", "late", "--deploy", "--yes")
    done = account.bootstrap(*arguments)
    assert (done.code, done.document["error"]["what"]) == (
        2,
        "the template codebuild needs Connection, ActionRepository, ActionVersion",
    )
    given = ("ActionRepository=https://h/r", f"ActionVersion={'a' * 40}", "Connection=one")
    done = account.bootstrap(
        *arguments, *(word for each in given for word in ("--parameter", each))
    )
    assert (done.code, done.document["error"]["what"]) == (
        2,
        "the parameter Connection cannot be 'one'",
    )
    assert "codeconnections" in done.document["error"]["fix"]
    assert "late-events" not in account.stacks()


@pytest.mark.endpoint
def test_only_what_a_condition_lets_be_made_is_listed(account: Account) -> None:
    def listed(*given: str) -> set[str]:
        done = account.bootstrap("events", "--name", "listed", "--deploy", *given)
        assert done.code == 0, done.err
        return {each["resource"] for each in done.document["stacks"][0]["changes"]}

    always = {"EventQueue", "EventQueuePolicy", "ExecutionRule"}
    assert listed() == always
    starting = {"StartBuildRole", "ApprovalBuildRule"}
    assert listed("--parameter", "ApprovalProject=builds") == always | starting


@pytest.mark.endpoint
def test_a_type_that_cloudformation_does_not_know_is_named_with_the_way_round(
    account: Account,
) -> None:
    iam = account.client("iam")
    for each in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]:
        iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=each["Arn"])
    done = account.bootstrap("github-oidc", "--name", "unknown", "--deploy")
    assert done.code == 6
    error = done.document["error"]
    assert error["what"] == "CloudFormation here does not know AWS::IAM::OIDCProvider"
    assert error["where"] == "the stack unknown-github-oidc"
    assert error["fix"].startswith("--parameter OidcProvider=")
    given = ("--parameter", f"OidcProvider={PROVIDER}")
    assert account.bootstrap("github-oidc", "--name", "unknown", "--deploy", *given).code == 0
    dispatched = ("--deploy", "--parameter", "DispatchSecret=forge/token")
    error = account.bootstrap("events", "--name", "unknown", *dispatched).document["error"]
    assert "AWS::Events::Connection" in error["what"]
    assert error["fix"] == "--parameter DispatchSecret= (empty)"


@pytest.mark.endpoint
def test_a_deploy_that_fails_says_why_and_can_be_done_again(account: Account) -> None:
    stream = {"LogGroupName": Ref("Group"), "LogStreamName": "one"}
    template = Template(
        name="logs",
        description="a stream of a group",
        parameters={"Group": Parameter(description="the group")},
        resources={"Stream": Resource(kind="AWS::Logs::LogStream", properties=stream)},
    )
    clients = open_clients("us-east-1", {}, endpoint=account.endpoint.address)
    shown: list[tuple[str, int]] = []
    means = Means(
        stacks=Stacks(clients),
        store=str,
        sleep=lambda _: time.sleep(0.1),
        left=lambda: 60.0,
        show=lambda stack, changes: shown.append((stack, len(changes))),
    )

    def deploy(given: dict[str, str]) -> Deployment:
        step = plan_step(template, means.stacks.find("logs"), given, stack="logs")
        return deploy_step(means, step, execute=True)

    with pytest.raises(AwsError) as caught:
        deploy({"Group": "nowhere"})
    assert "logs failed" in caught.value.what
    assert "Stream (AWS::Logs::LogStream)" in (caught.value.why or "")
    account.client("logs").create_log_group(logGroupName="nowhere")
    if "logs" in account.stacks():  # the emulator does not delete what failed
        with pytest.raises(AwsError, match="takes no change") as stuck:
            deploy({"Group": "nowhere"})
        assert stuck.value.fix == "aws cloudformation delete-stack --stack-name logs"
        account.client("cloudformation").delete_stack(StackName="logs")
        wait_until(lambda: "logs" not in account.stacks())
    assert deploy({"Group": "nowhere"}).state is State.DEPLOYED
    assert deploy({}).state is State.UNCHANGED
    assert shown == [("logs", 1)] * 2


class Slow(Stacks):
    """An account whose stacks take `looks` to come to what they were told to be."""

    looks = 0

    def find(self, stack: str) -> Stack | None:
        found = super().find(stack)
        if found is None or found.empty or self.looks == 0:
            return found
        self.looks -= 1
        return replace(found, status="CREATE_IN_PROGRESS")


@pytest.mark.endpoint
@pytest.mark.parametrize("left", [60.0, 0.0])
def test_a_stack_that_is_still_made_is_waited_for_until_the_deadline(
    account: Account, left: float
) -> None:
    name = f"slow-{left:.0f}"
    group = Resource(kind="AWS::Logs::LogGroup", properties={"LogGroupName": name})
    template = Template(name=name, description="a group", parameters={}, resources={"Group": group})
    stacks = Slow(open_clients("us-east-1", {}, endpoint=account.endpoint.address))
    step = plan_step(template, stacks.find(name), {}, stack=name)
    stacks.looks = 3
    means = Means(
        stacks=stacks,
        store=str,
        sleep=lambda _: time.sleep(0.1),
        left=lambda: left,
        show=lambda _stack, _changes: None,
    )
    if left:
        assert deploy_step(means, step, execute=True).state is State.DEPLOYED
        assert stacks.looks == 0
    else:
        with pytest.raises(DeadlineReached, match="still CREATE_IN_PROGRESS"):
            deploy_step(means, step, execute=True)
        assert stacks.looks == 2


def wait_until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.1)
