"""GitHub Actions: the OIDC provider and a role for each thing that jobs do.

Who may assume a role is told by the token's subject (GitHub Docs, "OpenID Connect reference"):
`repo:OWNER/NAME:pull_request`, `…:ref:refs/heads/BRANCH`, `…:environment:NAME`.
"""

from ci.bootstrap.model import Duty, RoleNeed, Setup
from ci.bootstrap.parts import logical, role_resources, shared_parameters, tags
from ci.bootstrap.template import (
    Equals,
    GetAtt,
    If,
    Not,
    Output,
    Parameter,
    Ref,
    Resource,
    Sub,
    Template,
)

NAME = "github-oidc"
ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
_MAIN = "main"


def github_template(setup: Setup) -> Template:
    resources = {"Provider": _provider()}
    outputs: dict[str, Output] = {}
    for need in setup.roles:
        resources |= role_resources(
            need, trust=[_trust(need)], description=f"sagemaker-gitops, {_told(need)}"
        )
        outputs[f"{logical(need.name)}Role"] = Output(
            value=GetAtt(f"{logical(need.name)}Role", "Arn"), description=f"For {_told(need)}"
        )
    return Template(
        name=NAME,
        description="sagemaker-gitops: roles that jobs of GitHub Actions assume",
        parameters={
            **shared_parameters(
                setup, "Name", "Repository", "DefaultBranch", "Bucket", "Prefix", "Queue"
            ),
            "OidcProvider": Parameter(
                description="ARN of the account's provider for GitHub; empty makes one",
                default="",
            ),
            "MainEnvironment": Parameter(
                description="The GitHub environment that deploying jobs name; empty: none, any job"
                " of the default branch may assume the role",
                default="",
            ),
        },
        conditions={
            "MakeProvider": Equals(Ref("OidcProvider"), ""),
            "HasMainEnvironment": Not(Equals(Ref("MainEnvironment"), "")),
        },
        resources=resources,
        outputs=outputs,
    )


def _provider() -> Resource:
    """One for each account: a second of the same address is refused."""
    return Resource(
        kind="AWS::IAM::OIDCProvider",
        condition="MakeProvider",
        keep=True,
        properties={
            "Url": f"https://{ISSUER}",
            "ClientIdList": [AUDIENCE],
            "Tags": tags(),
        },
    )


def _trust(need: RoleNeed) -> dict[str, object]:
    return {
        "Effect": "Allow",
        "Principal": {"Federated": If("MakeProvider", Ref("Provider"), Ref("OidcProvider"))},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": _subjects(need)}
        },
    }


def _subjects(need: RoleNeed) -> list[object]:
    branch = Sub("repo:${Repository}:ref:refs/heads/${DefaultBranch}")
    pull_request = Sub("repo:${Repository}:pull_request")
    match need.duty:
        case Duty.PLAN | Duty.PULL_REQUEST:
            # The branch as well: drift at night, orders by comment, cleanup by hand.
            return [pull_request, branch]
        case Duty.MAIN if need.environment == _MAIN:
            guarded = Sub("repo:${Repository}:environment:${MainEnvironment}")
            return [If("HasMainEnvironment", guarded, branch)]
        case Duty.MAIN:
            return [Sub(f"repo:${{Repository}}:environment:{need.environment}")]


def _told(need: RoleNeed) -> str:
    match need.duty:
        case Duty.PLAN:
            return "plans and drift: reads only"
        case Duty.PULL_REQUEST:
            return "pull requests: runs apart from production"
        case Duty.MAIN:
            return f"the environment {need.environment}: deploys"
