"""The Lambda function that CodePipeline invokes, and the rules by which approvals reach it.

One function for each environment that is deployed to, from the zip that `package` makes, as a role
with that environment's duty. CodePipeline invokes it by its own role; EventBridge by a permission
of the function. Source and output artifacts of a job are read and written with credentials that
CodePipeline hands over with it (CodePipeline User Guide, "AWS Lambda invoke action reference"), so
that no statement here is about them.
"""

from ci.bootstrap.codebuild import PLACES
from ci.bootstrap.events import approval_pattern
from ci.bootstrap.model import RoleNeed, Setup, Statement
from ci.bootstrap.parts import (
    logical,
    role_conditions,
    role_parameters,
    role_resources,
    rule,
    shared_parameters,
    tags,
    trust_service,
)
from ci.bootstrap.scope import MAIN
from ci.bootstrap.template import GetAtt, If, Output, Parameter, Ref, Resource, Sub, Template, given

NAME = "lambda"
SUFFIX = "-function"
# Held equal to what the function's own code says by a test: it comes after this package.
HANDLER = "ci.door.codepipeline.handler"
RUNTIMES = ("python3.11", "python3.12", "python3.13", "python3.14")
ARCHITECTURES = ("x86_64", "arm64")
_LOGS = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:/aws/lambda/"


def lambda_template(setup: Setup) -> Template:
    resources: dict[str, Resource] = {}
    outputs: dict[str, Output] = {}
    for need in setup.functions:
        title = logical(need.name)
        resources |= role_resources(
            need,
            trust=[trust_service("lambda", account=False)],
            description=f"sagemaker-gitops: the function that deploys {need.environment}",
            more=[_log_statement(need)],
            suffix=SUFFIX,
        )
        resources[f"{title}Logs"] = _logs(need)
        resources[f"{title}Function"] = _function(need, tuple(resources))
        outputs[f"{title}Function"] = Output(
            value=Ref(f"{title}Function"),
            description=f"FunctionName of an action that deploys {need.environment}",
        )
    return Template(
        name=NAME,
        description="sagemaker-gitops: the Lambda function that CodePipeline invokes",
        parameters=_parameters(setup),
        conditions={
            **role_conditions(),
            "HasCodeVersion": given("CodeVersion"),
        },
        resources={**resources, **_rules(setup)},
        outputs=outputs,
    )


def _parameters(setup: Setup) -> dict[str, Parameter]:
    return {
        **shared_parameters(setup, "Name", "Bucket", "Prefix"),
        **role_parameters(),
        "CodePipeline": Parameter(
            description="Name of the CodePipeline whose manual approvals are kept in step",
            default=setup.name,
            pattern="[A-Za-z0-9.@_-]{1,100}",
        ),
        "CodeBucket": Parameter(
            description="The bucket that holds the function's zip", default=setup.bucket
        ),
        "CodeKey": Parameter(
            description="Key of the zip that `sagemaker-gitops package` made: another one for"
            " another zip, or the function stays as it is"
        ),
        "CodeVersion": Parameter(
            description="Version of the zip's object; empty: whichever is newest at a deploy",
            default="",
        ),
        "Runtime": Parameter(
            description="As the zip was made for", default="python3.13", allowed=RUNTIMES
        ),
        "Architecture": Parameter(
            description="As the zip was made for", default="x86_64", allowed=ARCHITECTURES
        ),
        "Timeout": Parameter(
            description="Seconds of one call: the first one compiles, uploads and starts",
            default=300,
            kind="Number",
        ),
        "Memory": Parameter(
            description="MiB; computing power goes with it", default=1024, kind="Number"
        ),
        "Storage": Parameter(
            description="MiB of disk: three times the largest source artifact",
            default=512,
            kind="Number",
        ),
        "LogDays": Parameter(
            description="Days that the function's log is kept", default=90, kind="Number"
        ),
    }


def _function(need: RoleNeed, before: tuple[str, ...]) -> Resource:
    title = logical(need.name)
    policies = tuple(name for name in before if name.startswith(f"{title}Policy"))
    return Resource(
        kind="AWS::Lambda::Function",
        after=(*policies, f"{title}Logs"),
        properties={
            "FunctionName": _name(need),
            "Description": f"sagemaker-gitops: {need.environment}, as an action of CodePipeline",
            "Handler": HANDLER,
            "Runtime": Ref("Runtime"),
            "Architectures": [Ref("Architecture")],
            "Role": GetAtt(f"{title}Role", "Arn"),
            "Timeout": Ref("Timeout"),
            "MemorySize": Ref("Memory"),
            "EphemeralStorage": {"Size": Ref("Storage")},
            "Environment": {"Variables": {PLACES: Ref("CodePipeline")}},
            "Code": {
                "S3Bucket": Ref("CodeBucket"),
                "S3Key": Ref("CodeKey"),
                "S3ObjectVersion": If("HasCodeVersion", Ref("CodeVersion")),
            },
            "Tags": tags(),
        },
    )


def _name(need: RoleNeed) -> Sub:
    return Sub(f"${{Name}}-{need.name}")


def _logs(need: RoleNeed) -> Resource:
    return Resource(
        kind="AWS::Logs::LogGroup",
        keep=True,
        properties={
            "LogGroupName": Sub(f"/aws/lambda/${{Name}}-{need.name}"),
            "RetentionInDays": Ref("LogDays"),
        },
    )


def _log_statement(need: RoleNeed) -> Statement:
    """What Lambda itself does in the role's name."""
    return Statement(
        sid="OwnLog",
        actions=("logs:CreateLogStream", "logs:PutLogEvents"),
        resources=(f"{_LOGS}${{Name}}-{need.name}:*",),
    )


def _rules(setup: Setup) -> dict[str, Resource]:
    """Decisions reach the function of main, wherever they were made."""
    if not any(need.name == MAIN for need in setup.functions):
        return {}
    target = {"Id": "function", "Arn": GetAtt("MainFunction", "Arn")}
    patterns: dict[str, tuple[str, object]] = {
        "Manual": ("manual-approvals", manual_pattern()),
        "Package": ("package-approvals", approval_pattern(setup)),
    }
    made: dict[str, Resource] = {}
    for title, (name, pattern) in patterns.items():
        made[f"{title}ApprovalRule"] = rule(name, pattern, target)
        made[f"{title}ApprovalPermission"] = Resource(
            kind="AWS::Lambda::Permission",
            properties={
                "FunctionName": Ref("MainFunction"),
                "Action": "lambda:InvokeFunction",
                "Principal": "events.amazonaws.com",
                "SourceArn": GetAtt(f"{title}ApprovalRule", "Arn"),
            },
        )
    return made


def manual_pattern() -> dict[str, object]:
    """A manual approval of the pipeline was answered. A rejection ends the pipeline there, so
    that no action of it could tell."""
    return {
        "source": ["aws.codepipeline"],
        "detail-type": ["CodePipeline Action Execution State Change"],
        "detail": {
            "pipeline": [Ref("CodePipeline")],
            "state": ["SUCCEEDED", "FAILED"],
            "type": {"category": ["Approval"]},
        },
    }
