"""CodeBuild: a project for each environment, with the environment's own role.

The buildspec stands in the template, so that no pull request can change what runs with the
credentials of its build.
"""

from dataclasses import replace
from importlib.resources import files

from ci.bootstrap.model import Duty, RoleNeed, Setup, Statement
from ci.bootstrap.parts import (
    logical,
    role_conditions,
    role_parameters,
    role_resources,
    shared_parameters,
    tags,
    trust_service,
)
from ci.bootstrap.policies import HAS_CODE_PIPELINE, key_statement
from ci.bootstrap.scope import MAIN, PLAN
from ci.bootstrap.template import (
    NO_VALUE,
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

NAME = "codebuild"
# In CodePipeline: the artifact of the repository, and where a stage that plans writes.
SOURCE = "source"
PLAN_FOLDER = "build/plan"
SUFFIX = "-build"
# Held equal to what the code that reads it says by a test: it comes after this package.
PLACES = "SAGEMAKER_GITOPS_CODEPIPELINE"
_OPENED = "PULL_REQUEST_CREATED, PULL_REQUEST_UPDATED, PULL_REQUEST_REOPENED"
_CLOSED = "PULL_REQUEST_MERGED, PULL_REQUEST_CLOSED"
_SECRETS = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:"
_REPORTS = "arn:${AWS::Partition}:codebuild:${AWS::Region}:${AWS::AccountId}:report-group/"
_LOGS = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:/aws/codebuild/"


def buildspec() -> str:
    return files("ci.bootstrap").joinpath("buildspec.yml").read_text(encoding="utf-8")


def plan_buildspec() -> str:
    """The same, and what the plan wrote becomes the artifact of a stage of CodePipeline."""
    return f"{buildspec()}\nartifacts:\n  base-directory: {PLAN_FOLDER}\n  files:\n    - '**/*'\n"


def artifact_arn(name: str) -> str:
    """Where CodePipeline keeps an artifact: below its pipeline's name, both of them cut short."""
    return f"arn:${{AWS::Partition}}:s3:::${{Bucket}}/*/{name[:10]}/*"


def codebuild_template(setup: Setup) -> Template:
    resources: dict[str, Resource] = {}
    outputs: dict[str, Output] = {}
    for need in setup.roles:
        title = logical(need.name)
        resources |= role_resources(
            need,
            trust=[trust_service("codebuild")],
            description=f"sagemaker-gitops: builds of {_told(need)}",
            more=_build_statements(need),
            suffix=SUFFIX,
        )
        resources[f"{title}Project"] = _project(need, resources)
        outputs[f"{title}Project"] = Output(
            value=Ref(f"{title}Project"), description=f"Builds of {_told(need)}"
        )
    return Template(
        name=NAME,
        description="sagemaker-gitops: builds in CodeBuild",
        parameters=_parameters(setup),
        conditions={
            **role_conditions(),
            "HasWebhook": Equals(Ref("Webhook"), "true"),
            "HasToken": given("TokenSecret"),
            "HasActors": given("Actors"),
        },
        resources=resources,
        outputs=outputs,
    )


def _parameters(setup: Setup) -> dict[str, Parameter]:
    return {
        **shared_parameters(
            setup, "Name", "Repository", "DefaultBranch", "Bucket", "Prefix", "Queue"
        ),
        **role_parameters(),
        "Connection": Parameter(
            description="ARN of the CodeConnections connection that reads the repository",
            pattern="arn:aws[a-z-]*:(codeconnections|codestar-connections):.+",
        ),
        "ActionRepository": Parameter(
            description="Address of sagemaker-gitops's own repository",
            pattern="https://.+",
        ),
        "ActionVersion": Parameter(
            description="The commit of sagemaker-gitops that builds run", pattern="[0-9a-f]{40}"
        ),
        "Image": Parameter(
            description="Image of the builds: bash, git and Python 3.11 or newer",
            default="aws/codebuild/amazonlinux-x86_64-standard:5.0",
        ),
        "ComputeType": Parameter(
            description="Size of the builds' machine", default="BUILD_GENERAL1_SMALL"
        ),
        "Minutes": Parameter(
            description="After how many minutes a build is cut off", default=480, kind="Number"
        ),
        "Deadline": Parameter(
            description="How long a build follows an execution; below Minutes", default="7h30m"
        ),
        "Webhook": Parameter(
            description="true: pushes and pull requests start builds",
            default="true",
            allowed=("true", "false"),
        ),
        "Actors": Parameter(
            description="Regular expression of the account ids whose pull requests are built;"
            " empty: anybody's, and those of forks are only planned",
            default="",
        ),
        "TokenSecret": Parameter(
            description="Name of the secret that holds the token for comments; empty: no comments",
            default="",
        ),
    }


def _told(need: RoleNeed) -> str:
    return f"the environment {need.environment}" if need.environment else "plans"


def _project(need: RoleNeed, resources: dict[str, Resource]) -> Resource:
    title = logical(need.name)
    policies = tuple(name for name in resources if name.startswith(f"{title}Policy"))
    return Resource(
        kind="AWS::CodeBuild::Project",
        after=policies,
        properties={
            "Name": Sub(f"${{Name}}-{need.name}"),
            "Description": f"sagemaker-gitops: {_told(need)}",
            "ServiceRole": GetAtt(f"{title}Role", "Arn"),
            "Artifacts": {"Type": "NO_ARTIFACTS"},
            "Source": {
                "Type": "GITHUB",
                "Location": Sub("https://github.com/${Repository}.git"),
                "GitCloneDepth": 0,
                "ReportBuildStatus": True,
                "Auth": {"Type": "CODECONNECTIONS", "Resource": Ref("Connection")},
                "BuildSpec": plan_buildspec() if need.duty is Duty.PLAN else buildspec(),
            },
            "SecondarySources": [
                {
                    "Type": "GITHUB",
                    "SourceIdentifier": "sagemaker_gitops",
                    "Location": Ref("ActionRepository"),
                    "GitCloneDepth": 1,
                    "Auth": {"Type": "CODECONNECTIONS", "Resource": Ref("Connection")},
                }
            ],
            "SecondarySourceVersions": [
                {"SourceIdentifier": "sagemaker_gitops", "SourceVersion": Ref("ActionVersion")}
            ],
            "Environment": _environment(need),
            "TimeoutInMinutes": Ref("Minutes"),
            "Cache": {"Type": "LOCAL", "Modes": ["LOCAL_CUSTOM_CACHE"]},
            "LogsConfig": {
                "CloudWatchLogs": {
                    "Status": "ENABLED",
                    "GroupName": Sub(f"/aws/codebuild/${{Name}}-{need.name}"),
                }
            },
            "Triggers": _triggers(need),
            "Tags": tags(),
        },
    )


def _environment(need: RoleNeed) -> dict[str, object]:
    """Approvals reach the builds of main: a rule starts them (`events`)."""
    variables: list[object] = [
        _variable("SAGEMAKER_GITOPS_DEFAULT_BRANCH", Ref("DefaultBranch")),
        _variable("SAGEMAKER_GITOPS_DEADLINE", Ref("Deadline")),
        _variable(
            "SAGEMAKER_GITOPS_QUEUE",
            Sub("https://sqs.${AWS::Region}.${AWS::URLSuffix}/${AWS::AccountId}/${Queue}"),
        ),
        If("HasToken", _variable("GITHUB_TOKEN", Ref("TokenSecret"), "SECRETS_MANAGER")),
    ]
    if need.own.code_pipelines:
        places = _variable(PLACES, Ref("CodePipeline"))
        variables.append(If(HAS_CODE_PIPELINE, places))
    return {
        "Type": "LINUX_CONTAINER",
        "Image": Ref("Image"),
        "ComputeType": Ref("ComputeType"),
        "EnvironmentVariables": variables,
    }


def _variable(name: str, value: object, kind: str = "PLAINTEXT") -> dict[str, object]:
    return {"Name": name, "Type": kind, "Value": value}


def _triggers(need: RoleNeed) -> object:
    """Pull requests start the builds of their environment, pushes those of main; builds of any
    other environment are started by hand or by a pipeline."""
    actors = If("HasActors", {"Type": "ACTOR_ACCOUNT_ID", "Pattern": Ref("Actors")})
    if need.duty is Duty.PULL_REQUEST:
        groups = [[_filter("EVENT", events), actors] for events in (_OPENED, _CLOSED)]
    elif need.environment == MAIN:
        pushed = Sub("^refs/heads/${DefaultBranch}$")
        groups = [[_filter("EVENT", "PUSH"), _filter("HEAD_REF", pushed)]]
    else:
        return NO_VALUE
    return If("HasWebhook", {"Webhook": True, "FilterGroups": groups})


def _filter(kind: str, pattern: object) -> object:
    return {"Type": kind, "Pattern": pattern}


def _build_statements(need: RoleNeed) -> tuple[Statement, ...]:
    """What CodeBuild itself does in the role's name: clone, log, read the token, take the artifacts
    of a stage and hand on its own (CodeBuild User Guide, "Allow CodeBuild to interact with other
    AWS services")."""
    group = f"{_LOGS}${{Name}}-{need.name}"
    handed_on = (
        Statement(sid="BuildPlan", actions=("s3:PutObject",), resources=(artifact_arn(PLAN),)),
        replace(key_statement("kms:GenerateDataKey"), sid="BuildPlanKey"),
    )
    return (
        *(handed_on if need.duty is Duty.PLAN else ()),
        Statement(
            sid="BuildBucket",
            actions=("s3:GetBucketAcl", "s3:GetBucketLocation"),
            resources=("arn:${AWS::Partition}:s3:::${Bucket}",),
        ),
        Statement(
            sid="BuildArtifacts",
            actions=("s3:GetObjectVersion",),
            resources=("arn:${AWS::Partition}:s3:::${Bucket}/*",),
        ),
        Statement(
            sid="BuildLogs",
            actions=("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
            resources=(group, f"{group}:*"),
        ),
        Statement(
            sid="BuildReports",
            actions=(
                "codebuild:BatchPutTestCases",
                "codebuild:CreateReport",
                "codebuild:CreateReportGroup",
                "codebuild:UpdateReport",
            ),
            # CodeBuild names a report group by its project and the buildspec's name of it.
            resources=(f"{_REPORTS}${{Name}}-{need.name}-sagemaker-gitops",),
        ),
        Statement(
            sid="BuildSource",
            actions=("codeconnections:GetConnection", "codeconnections:GetConnectionToken"),
            resources=("${Connection}",),
        ),
        Statement(
            sid="BuildToken",
            actions=("secretsmanager:GetSecretValue",),
            resources=(f"{_SECRETS}${{TokenSecret}}-*",),
            when="HasToken",
        ),
    )
