"""GitHub Actions: the OIDC provider and a role for each thing that jobs do.

Who may assume a role is told by the token's subject (GitHub Docs, "OpenID Connect reference"):
`repo:OWNER/NAME:pull_request`, `…:ref:refs/heads/BRANCH`, `…:environment:NAME`.
"""

from ci.bootstrap.model import Duty, RoleNeed, Setup
from ci.bootstrap.parts import (
    logical,
    role_conditions,
    role_parameters,
    role_resources,
    shared_parameters,
    tags,
)
from ci.bootstrap.scope import MAIN
from ci.bootstrap.template import (
    Equals,
    GetAtt,
    If,
    Output,
    Parameter,
    Ref,
    Resource,
    Sub,
    Template,
    given,
)
from ci.errors import ProjectError

NAME = "github-oidc"
ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
# Of jobs that run a pull request's code and that a comment started: by event and branch their
# subject would be the default branch's, which the role of main trusts.
CHAT_ENVIRONMENT = "sagemaker-pull-request"
_NOT_CHAT = f"(?!{CHAT_ENVIRONMENT}$).*"


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
            **role_parameters(),
            "OidcProvider": Parameter(
                description="ARN of the account's provider for GitHub; empty makes one",
                default="",
            ),
            "MainEnvironment": Parameter(
                description="The GitHub environment that jobs of main name; empty: none, any job of"
                " the default branch may assume the role",
                default="",
                pattern=_NOT_CHAT,
            ),
            "ReviewEnvironment": Parameter(
                description="The GitHub environment whose required reviewers approve models; empty:"
                " none. Without reviewers any branch's job could name it",
                default="",
                pattern=_NOT_CHAT,
            ),
        },
        conditions={
            **role_conditions(),
            "MakeProvider": Equals(Ref("OidcProvider"), ""),
            "HasMainEnvironment": given("MainEnvironment"),
            "HasReviewEnvironment": given("ReviewEnvironment"),
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
        case Duty.PLAN:
            # The branch as well: drift at night.
            return [pull_request, branch]
        case Duty.PULL_REQUEST:
            return [pull_request, _environment(CHAT_ENVIRONMENT)]
        case Duty.MAIN if need.environment == MAIN:
            guarded = _environment("${MainEnvironment}")
            reviewed = _environment("${ReviewEnvironment}")
            return [
                If("HasMainEnvironment", guarded, branch),
                If("HasReviewEnvironment", reviewed),
            ]
        case Duty.MAIN:
            return [_environment(_own_environment(need))]
        case Duty.FUNCTION:
            return []  # signs in with no token


def _own_environment(need: RoleNeed) -> str:
    """GitHub's environment of the same name. ProjectError where that is the one of comments."""
    if need.environment is None or need.environment == CHAT_ENVIRONMENT:
        raise ProjectError(
            f"no environment may be called {CHAT_ENVIRONMENT}: jobs that run the code of pull"
            " requests have that name in their tokens",
            fix="Call it otherwise.",
        )
    return need.environment


def _environment(name: str) -> Sub:
    return Sub(f"repo:${{Repository}}:environment:{name}")


def _told(need: RoleNeed) -> str:
    match need.duty:
        case Duty.PLAN:
            return "plans and drift: reads only"
        case Duty.PULL_REQUEST:
            return "pull requests: runs apart from production"
        case Duty.MAIN:
            return f"the environment {need.environment}: deploys"
        case Duty.FUNCTION:
            return f"the environment {need.environment}: deploys as an action of CodePipeline"
