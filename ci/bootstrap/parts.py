"""What several templates share: their parameters, and a role with its policies."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ci.bootstrap.documents import MOST_POLICIES, VERSION, pack, policy_document
from ci.bootstrap.model import RoleNeed, Setup, Statement
from ci.bootstrap.policies import statements_of
from ci.bootstrap.template import Parameter, Ref, Resource, Sub
from ci.errors import ProjectError

TAG = "sagemaker-gitops:bootstrap"


def shared_parameters(setup: Setup, *names: str) -> dict[str, Parameter]:
    """The parameters of these names, with what the project file says as defaults."""
    every = {
        "Name": Parameter(
            description="Begins the name of every resource: one for each project of the account",
            default=setup.name,
            pattern="[a-zA-Z0-9][a-zA-Z0-9-]{0,31}",
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
    found = {f"{title}Role": role(name, trust=trust, description=description)}
    policies = pack((*statements_of(need), *more))
    if len(policies) > MOST_POLICIES:
        raise ProjectError(
            f"the role {need.name} needs {len(policies)} policies, and IAM takes {MOST_POLICIES}",
            why="the project file names many pipelines, groups and endpoints one by one",
            fix="split the project file, or let names begin with a common text",
        )
    for number, statements in enumerate(policies, start=1):
        found[f"{title}Policy{number}"] = Resource(
            kind="AWS::IAM::ManagedPolicy",
            properties={
                "ManagedPolicyName": Sub(f"${{Name}}-{name}-${{AWS::Region}}-{number}"),
                "Roles": [Ref(f"{title}Role")],
                "PolicyDocument": policy_document(statements),
            },
        )
    return found


def role(name: str, *, trust: Sequence[Mapping[str, object]], description: str) -> Resource:
    return Resource(
        kind="AWS::IAM::Role",
        properties={
            "RoleName": Sub(f"${{Name}}-{name}"),
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
