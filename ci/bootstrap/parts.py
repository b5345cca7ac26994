"""What several templates share: their parameters, and a role with its policies."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ci.bootstrap.compact import compact
from ci.bootstrap.documents import MOST_POLICIES, VERSION, pack, policy_document
from ci.bootstrap.model import RoleNeed, Setup, Statement
from ci.bootstrap.policies import HAS_CODE_PIPELINE, HAS_KEY, statements_of
from ci.bootstrap.scope import NAME_FORM
from ci.bootstrap.template import Parameter, Ref, Resource, Sub, given
from ci.errors import ProjectError

TAG = "sagemaker-gitops:bootstrap"


def shared_parameters(setup: Setup, *names: str) -> dict[str, Parameter]:
    """The parameters of these names, with what the project file says as defaults."""
    every = {
        "Name": Parameter(
            description="Begins the name of every resource: one for each project of the account",
            default=setup.name,
            pattern=NAME_FORM,
        ),
        "Repository": Parameter(
            description="The repository, as owner/name",
            default=setup.repository,
            pattern="[A-Za-z0-9._-]+/[A-Za-z0-9._/-]+",
        ),
        "DefaultBranch": Parameter(
            description="The branch that is deployed", default=setup.default_branch
        ),
        "Bucket": Parameter(
            description="The bucket that holds artifacts and what pipelines write",
            default=setup.bucket,
            pattern="[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
        ),
        "Prefix": Parameter(
            description="Where in the bucket artifacts are kept", default=setup.prefix
        ),
        "Queue": Parameter(
            description="Name of the queue that SageMaker's events are sent to",
            default=f"{setup.name}-events",
            pattern="[a-zA-Z0-9_-]{1,80}",
        ),
    }
    return {name: replace(every[name], settled=True) for name in names}


def key_parameter() -> dict[str, Parameter]:
    return {
        "KmsKey": Parameter(
            description="ARN of the KMS key of the bucket of artifacts; empty: it has none",
            default="",
        )
    }


def key_condition() -> dict[str, object]:
    return {HAS_KEY: given("KmsKey")}


def role_parameters() -> dict[str, Parameter]:
    """What roles of jobs are asked for beside what the project file says."""
    return {
        **key_parameter(),
        "CodePipeline": Parameter(
            description="Name of the CodePipeline whose manual approvals are kept in step with the"
            " registry's; empty: none",
            default="",
            pattern="[A-Za-z0-9.@_-]{0,100}",
        ),
    }


def role_conditions() -> dict[str, object]:
    return {**key_condition(), HAS_CODE_PIPELINE: given("CodePipeline")}


def tags() -> list[dict[str, object]]:
    return [{"Key": TAG, "Value": Ref("Name")}]


def role_resources(
    need: RoleNeed,
    *,
    trust: Sequence[Mapping[str, object]],
    description: str,
    more: Sequence[Statement] = (),
    suffix: str = "",
) -> dict[str, Resource]:
    """The role and its policies. Its name is `<Name>-<role><suffix>`."""
    title = logical(need.name)
    name = f"{need.name}{suffix}"
    made = role(Sub(f"${{Name}}-{name}"), trust=trust, description=description)
    statements = (*compact(statements_of(need)), *more)
    policies = policy_resources(f"{title}Policy", f"{title}Role", f"${{Name}}-{name}", statements)
    return {f"{title}Role": made, **policies}


def policy_resources(
    title: str, role: str, name: str, statements: Sequence[Statement]
) -> dict[str, Resource]:
    """The statements as managed policies of a role: `<title>1` and on, called
    `<name>-<region>-1` and on. ProjectError for more than IAM takes."""
    policies = pack(statements)
    if len(policies) > MOST_POLICIES:
        raise ProjectError(
            f"{role} needs {len(policies)} policies, and IAM attaches {MOST_POLICIES} to a role",
            why="they name every pipeline, group and endpoint of the project file",
            fix="Split the project file, each part with a --project-file and a --name of its own;"
            "\nor call groups and endpoints as their pipelines are: one pattern serves all three.",
        )
    return {
        f"{title}{number}": Resource(
            kind="AWS::IAM::ManagedPolicy",
            properties={
                "ManagedPolicyName": Sub(f"{name}-${{AWS::Region}}-{number}"),
                "Roles": [Ref(role)],
                "PolicyDocument": policy_document(held),
            },
        )
        for number, held in enumerate(policies, start=1)
    }


def role(name: Ref | Sub, *, trust: Sequence[Mapping[str, object]], description: str) -> Resource:
    return Resource(
        kind="AWS::IAM::Role",
        properties={
            "RoleName": name,
            "Description": description,
            "AssumeRolePolicyDocument": {"Version": VERSION, "Statement": list(trust)},
            "Tags": tags(),
        },
    )


def rule(name: str, pattern: object, target: object, *, condition: str | None = None) -> Resource:
    """A rule of EventBridge that sends what meets the pattern to one target."""
    return Resource(
        kind="AWS::Events::Rule",
        condition=condition,
        properties={
            "Name": Sub(f"${{Name}}-{name}"),
            "EventPattern": pattern,
            "State": "ENABLED",
            "Targets": [target],
        },
    )


def trust_service(*services: str, account: bool = True) -> dict[str, object]:
    """A statement that lets services assume the role, for this account's sake alone."""
    statement: dict[str, object] = {
        "Effect": "Allow",
        "Principal": {"Service": [f"{name}.amazonaws.com" for name in services]},
        "Action": "sts:AssumeRole",
    }
    if account:
        statement["Condition"] = {"StringEquals": {"aws:SourceAccount": Ref("AWS::AccountId")}}
    return statement


def logical(name: str) -> str:
    """`pull-request` -> `PullRequest`: a logical name."""
    return "".join(part.capitalize() for part in re.split(r"[^a-zA-Z0-9]+", name))
