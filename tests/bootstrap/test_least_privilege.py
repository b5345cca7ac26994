"""Roles hold what commands call on AWS, and nothing that they never call.

Every command is run against the local endpoint with its calls recorded; IAM's verdict on each call
comes from the emulator's policy simulator.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.authorizing import ACCOUNT, REGION, resources_in
from support.endpoint import client
from support.function_scene import play_function
from support.recording import Request
from support.scenes import play_main, play_plan, play_pull_request
from support.scratch import BUCKET
from support.stage import Stage, open_stage

from ci.bootstrap.compact import compact
from ci.bootstrap.documents import policy_document
from ci.bootstrap.model import Duty, RoleNeed, Setup, Statement
from ci.bootstrap.operations import (
    OPERATIONS,
    OPTIONAL,
    Kind,
    Need,
    Operation,
    Reach,
    operations_of,
)
from ci.bootstrap.policies import scope_of, statements_of
from ci.bootstrap.resources import KEY, covers, fill_resource, resources_of
from ci.bootstrap.scope import plan_setup
from ci.project.load import load_project

QUEUE = "mlops-events"
AUTHORIZATION = (
    Path(str(__import__("cfnlint").__file__)).parent / "data" / "AdditionalSpecs" / "Policies.json"
)
# What the Service Authorization Reference calls the kinds.
RESOURCE_TYPES = {
    Kind.PIPELINE: "pipeline",
    Kind.EXECUTION: "pipeline-execution",
    Kind.GROUP: "model-package-group",
    Kind.PACKAGE: "model-package",
    Kind.ENDPOINT: "endpoint",
    Kind.CONFIG: "endpoint-config",
    Kind.MODEL: "model",
    Kind.PROCESSING_JOB: "processing-job",
    Kind.TRAINING_JOB: "training-job",
    Kind.TRANSFORM_JOB: "transform-job",
    Kind.FUNCTION: "function",
    Kind.LOG_GROUP: "log-group",
    Kind.LOG_STREAM: "log-stream",
    Kind.BUCKET: "bucket",
    Kind.OBJECT: "object",
    Kind.ARTIFACT: "object",
    Kind.QUEUE: "queue",
    Kind.ROLE: "role",
    Kind.SECRET: "Secret",
    Kind.PARAMETER: "parameter",
    Kind.REPOSITORY: "repository",
    Kind.CODE_PIPELINE: "pipeline",
    Kind.CODE_ACTION: "action",
    Kind.KEY: "key",
}
Calls = Mapping[Duty, list[Request]]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with open_stage(tmp_path_factory.mktemp("stage")) as opened:
        yield opened


@pytest.fixture(scope="module")
def calls(stage: Stage) -> Calls:
    return {
        Duty.MAIN: play_main(stage),
        Duty.PULL_REQUEST: play_pull_request(stage, 31),
        Duty.PLAN: play_plan(stage),
        Duty.FUNCTION: play_function(stage),
    }


@pytest.fixture(scope="module")
def setup(stage: Stage) -> Setup:
    project = load_project(stage.scratch.root / "sagemaker-gitops.yaml")
    return plan_setup(project, repository="acme/mlops", default_branch="main")


def role(setup: Setup, duty: Duty) -> RoleNeed:
    return next(each for each in (*setup.roles, *setup.functions) if each.duty is duty)


def text(value: Any) -> str:
    """An ARN as CloudFormation makes it of the template's."""
    return fill_resource(
        getattr(value, "text", value),
        account=ACCOUNT,
        region=REGION,
        bucket=BUCKET,
        prefix="sagemaker-gitops",
        queue=QUEUE,
        codepipeline="mlops",
    ).replace(KEY, f"arn:aws:kms:{REGION}:{ACCOUNT}:key/any")


def filled(statements: Iterable[Statement]) -> str:
    """The policy as CloudFormation makes it of the template, with all that it may hold."""
    document = policy_document([replace(each, when=None) for each in statements])

    for statement in document["Statement"]:  # type: ignore[attr-defined]
        statement["Resource"] = [text(each) for each in statement["Resource"]]
        # The emulator's simulator takes no context: to whom a role is passed is looked at apart.
        statement.pop("Condition", None)
    return json.dumps(document)


class Simulator:
    """IAM's answer, asked once for each action and resource."""

    def __init__(self, iam: Any, policy: str) -> None:
        self._iam, self._policy = iam, policy
        self._known: dict[tuple[str, str], bool] = {}

    def allows(self, need: Need, resource: str) -> bool:
        key = (need.action, resource)
        if key not in self._known:
            answer = self._iam.simulate_custom_policy(
                PolicyInputList=[self._policy],
                ActionNames=[need.action],
                ResourceArns=[resource],
            )
            self._known[key] = answer["EvaluationResults"][0]["EvalDecision"] == "allowed"
        return self._known[key]


def simulator(stage: Stage, setup: Setup, duty: Duty) -> Simulator:
    return Simulator(
        client(stage.endpoint, "iam"), filled(compact(statements_of(role(setup, duty))))
    )


def reaches(setup: Setup, duty: Duty, need: Need, resource: str) -> bool:
    """Whether this very need is about the resource."""
    allowed = resources_of(need.kind, scope_of(role(setup, duty), need.reach))
    return any(covers(text(each), resource) for each in allowed)


@pytest.mark.endpoint
@pytest.mark.slow
@pytest.mark.parametrize("duty", list(Duty))
def test_the_table_holds_the_calls_that_are_made(calls: Calls, duty: Duty) -> None:
    """A call that is not in the table, and a line of the table that nothing calls, fail."""
    made = {request.name for request in calls[duty]}
    held = {operation.name for operation in operations_of(duty)}
    assert made - held == set(), "add a line to ci/bootstrap/operations.py"
    # The scenes' project has its forge elsewhere, its token in the environment, and no transform.
    held -= {each.name for each in OPERATIONS if each.needs[0].kind in OPTIONAL}
    assert held - made == set(), "nothing calls it: take it out of ci/bootstrap/operations.py"


@pytest.mark.endpoint
@pytest.mark.slow
@pytest.mark.parametrize("duty", list(Duty))
def test_every_call_is_allowed_to_the_role_on_its_own_resource(
    stage: Stage, calls: Calls, setup: Setup, duty: Duty
) -> None:
    iam = simulator(stage, setup, duty)
    refused, looked_at = set(), set()
    for request in calls[duty]:
        for operation in (each for each in operations_of(duty) if each.name == request.name):
            for need in operation.needs:
                for resource in resources_in(request, need.kind):
                    if reaches(setup, duty, need, resource):
                        looked_at.add(need)
                    if not iam.allows(need, resource):
                        refused.add((need.action, resource))
    assert refused == set()
    # Each need of the table was met by a resource some call was about, within the need's reach.
    wanted = {
        need
        for each in operations_of(duty)
        for need in each.needs
        if need.kind not in OPTIONAL
        and resources_of(need.kind, scope_of(role(setup, duty), need.reach))
    }
    assert wanted - looked_at == set()


@pytest.mark.endpoint
@pytest.mark.slow
def test_a_pull_request_cannot_touch_production(stage: Stage, calls: Calls, setup: Setup) -> None:
    """Whatever main writes, on the very resources that main wrote."""
    iam = simulator(stage, setup, Duty.PULL_REQUEST)
    reached = set()
    for request in calls[Duty.MAIN]:
        for operation in (each for each in operations_of(Duty.MAIN) if each.name == request.name):
            for need in operation.needs:
                if need.reach is not Reach.OWN or need.kind is Kind.ROLE:
                    continue
                own = (
                    each
                    for each in resources_in(request, need.kind)
                    if reaches(setup, Duty.MAIN, need, each)
                )
                reached |= {(need.action, each) for each in own if iam.allows(need, each)}
    assert reached == set()


@pytest.mark.endpoint
@pytest.mark.slow
@pytest.mark.parametrize("duty", list(Duty))
def test_fewer_characters_say_the_same(calls: Calls, setup: Setup, duty: Duty) -> None:
    """Of all that any role called, on every resource that any of them named. Tags alone are of any
    type: those of whatever is called alike may be read."""
    narrow = statements_of(role(setup, duty))
    fewer = compact(narrow)
    asked = {
        (need.action, arn)
        for request in (each for made in calls.values() for each in made)
        for operation in (each for each in OPERATIONS if each.name == request.name)
        for need in operation.needs
        for arn in resources_in(request, need.kind)
    }

    def allowed(statements: Iterable[Statement]) -> set[tuple[str, str]]:
        patterns: dict[str, list[str]] = {}
        for each in statements:
            for action in each.actions:
                patterns.setdefault(action, []).extend(map(text, each.resources))
        return {
            (action, arn)
            for action, arn in asked
            if any(covers(pattern, arn) for pattern in patterns.get(action, ()))
        }

    more = allowed(fewer) - allowed(narrow)
    assert {action for action, _ in more} <= {"sagemaker:ListTags"}
    assert all("-pr-" in arn for _, arn in more)
    assert allowed(narrow) <= allowed(fewer)
    assert asked - allowed(narrow)


@pytest.mark.endpoint
@pytest.mark.slow
def test_a_role_that_plans_reads_and_no_more(stage: Stage, calls: Calls, setup: Setup) -> None:
    iam = simulator(stage, setup, Duty.PLAN)
    for duty in (Duty.MAIN, Duty.PULL_REQUEST, Duty.FUNCTION):
        for request in calls[duty]:
            for operation in (each for each in OPERATIONS if each.name == request.name):
                for need in operation.needs:
                    if need.reach is Reach.SEEN:
                        continue
                    assert not any(
                        iam.allows(need, each) for each in resources_in(request, need.kind)
                    ), need
    actions = {each for made in statements_of(role(setup, Duty.PLAN)) for each in made.actions}
    verbs = ("Describe", "List", "Get", "Decrypt")
    assert all(each.partition(":")[2].startswith(verbs) for each in actions)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_actions_and_resource_types_are_those_of_the_authorization_reference(
    operation: Operation,
) -> None:
    reference = json.loads(AUTHORIZATION.read_text())
    for need in operation.needs:
        service, _, action = need.action.partition(":")
        found = reference[service]["Actions"].get(action.lower())
        assert found is not None, f"{need.action} is no action"
        types = found.get("Resources", [])
        if need.kind is Kind.ANY:
            assert not types, f"{need.action} can be narrowed to {types}"
        elif (need.action, need.kind) != ("sagemaker:AddTags", Kind.EXECUTION):
            assert RESOURCE_TYPES[need.kind] in types


@pytest.mark.parametrize("duty", [Duty.PULL_REQUEST, Duty.MAIN, Duty.FUNCTION])
def test_a_role_is_passed_to_the_services_that_take_it_and_to_no_other(
    setup: Setup, duty: Duty
) -> None:
    passed = {need.passed_to for each in operations_of(duty) for need in each.needs} - {None}
    made = [each for each in statements_of(role(setup, duty)) if "iam:PassRole" in each.actions]
    (statement,) = made
    assert statement.condition == (("StringEquals", "iam:PassedToService", tuple(sorted(passed))),)  # type: ignore[type-var]
    assert statement.resources == (f"arn:aws:iam::{ACCOUNT}:role/sagemaker-gitops-local",)


def test_the_reference_pipeline_calls_what_its_role_may_do(setup: Setup) -> None:
    """The scripts' own calls; what SageMaker does in the role's name cannot be seen here."""
    import re

    from botocore.session import get_session

    from ci.bootstrap.execution import execution_statements

    folder = Path(__file__).parents[2] / "pipelines" / "abalone"
    allowed = {each for made in execution_statements(setup) for each in made.actions}
    for service in ("sagemaker", "lambda"):
        client_ = get_session().create_client(
            service, region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b"
        )
        operations = client_.meta.method_to_api_mapping
        for name in ("deploy.py", "evaluate.py"):
            text = (folder / name).read_text()
            words = set(re.findall(rf"(?:{service}|client\(\"{service}\"\))\.([a-z_]+)\b", text))
            called = {operations[word] for word in words if word in operations}
            assert {f"{service}:{each}" for each in called} <= allowed
