"""The role that pipelines run as: the least that the reference pipeline needs.

Processing, training and models are made by SageMaker in this role's name; the function that
deploys runs as it too. The reference pipeline's own calls are held against it by a test.
"""

from ci.bootstrap.compact import compact
from ci.bootstrap.model import Setup, Statement
from ci.bootstrap.parts import (
    key_condition,
    key_parameter,
    policy_resources,
    role,
    shared_parameters,
    trust_service,
)
from ci.bootstrap.policies import key_statement
from ci.bootstrap.template import GetAtt, Output, Parameter, Ref, Template

NAME = "execution-role"


def execution_template(setup: Setup) -> Template:
    return Template(
        name=NAME,
        description="sagemaker-gitops: the role that pipelines run as",
        parameters={
            **shared_parameters(setup, "Name", "Bucket"),
            **key_parameter(),
            "ExecutionRole": Parameter(
                description="Name of the role, as the project file has it under role:",
                default=setup.execution_role or f"{setup.name}-execution",
                pattern="[A-Za-z0-9+=,.@_-]{1,64}",
            ),
        },
        conditions=key_condition(),
        resources={
            "ExecutionRoleItself": role(
                Ref("ExecutionRole"),
                # Lambda sends no source account when it assumes a function's role.
                trust=[trust_service("sagemaker"), trust_service("lambda", account=False)],
                description="sagemaker-gitops: what pipelines run as",
            ),
            **policy_resources(
                "ExecutionPolicy",
                "ExecutionRoleItself",
                "${ExecutionRole}-pipelines",
                compact(execution_statements(setup)),
            ),
        },
        outputs={"Role": Output(value=GetAtt("ExecutionRoleItself", "Arn"), description="role:")},
    )


def execution_statements(setup: Setup) -> tuple[Statement, ...]:
    """What steps of the reference pipeline do, within the project's names."""
    groups, hosted = setup.seen.groups, setup.seen.hosted
    functions = tuple(_arn("lambda", f"function:{name}") for name in setup.seen.functions)
    every = (
        _statement(
            "Data",
            ("s3:GetObject", "s3:PutObject"),
            ("arn:${AWS::Partition}:s3:::${Bucket}/*",),
        ),
        key_statement("kms:Decrypt", "kms:GenerateDataKey"),
        _statement("Bucket", ("s3:ListBucket",), ("arn:${AWS::Partition}:s3:::${Bucket}",)),
        _statement(
            "Jobs",
            (
                "sagemaker:AddTags",
                "sagemaker:CreateProcessingJob",
                "sagemaker:CreateTrainingJob",
                "sagemaker:DescribeProcessingJob",
                "sagemaker:DescribeTrainingJob",
                "sagemaker:StopProcessingJob",
                "sagemaker:StopTrainingJob",
            ),
            (
                _arn("sagemaker", "processing-job/pipelines-*"),
                _arn("sagemaker", "training-job/pipelines-*"),
            ),
        ),
        _statement(
            "Groups",
            ("sagemaker:CreateModelPackageGroup", "sagemaker:DescribeModelPackageGroup"),
            tuple(_arn("sagemaker", f"model-package-group/{name}") for name in groups),
        ),
        _statement(
            "Packages",
            (
                "sagemaker:AddTags",
                "sagemaker:CreateModelPackage",
                "sagemaker:DescribeModelPackage",
                "sagemaker:ListModelPackages",
            ),
            tuple(_arn("sagemaker", f"model-package/{name}/*") for name in groups)
            + tuple(_arn("sagemaker", f"model-package-group/{name}") for name in groups),
        ),
        _statement(
            "Endpoints",
            (
                "sagemaker:AddTags",
                "sagemaker:CreateEndpoint",
                "sagemaker:CreateEndpointConfig",
                "sagemaker:CreateModel",
                # One whose creation failed stands in the way of the next.
                "sagemaker:DeleteEndpoint",
                "sagemaker:DescribeEndpoint",
                "sagemaker:UpdateEndpoint",
            ),
            tuple(
                _arn("sagemaker", f"{kind}/{name}*".replace("**", "*"))
                for name in hosted
                for kind in ("endpoint", "endpoint-config", "model")
            ),
        ),
        _statement("Functions", ("lambda:InvokeFunction", "lambda:ListTags"), functions),
        _statement(
            "Images",
            (
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
            ),
            # AWS's own images are in accounts of AWS.
            ("arn:${AWS::Partition}:ecr:${AWS::Region}:*:repository/*",),
        ),
        _statement("Registry", ("ecr:GetAuthorizationToken",), ("*",)),
        _statement(
            "Logs",
            ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
            (
                _arn("logs", "log-group:/aws/sagemaker/*"),
                *(_arn("logs", f"log-group:/aws/lambda/{name}") for name in setup.seen.functions),
            ),
        ),
        Statement(
            sid="Metrics",
            actions=("cloudwatch:PutMetricData",),
            resources=("*",),
            condition=(
                ("StringLike", "cloudwatch:namespace", ("/aws/sagemaker/*", "aws/sagemaker/*")),
            ),
        ),
        Statement(
            sid="PassItself",
            actions=("iam:PassRole",),
            resources=("arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${ExecutionRole}",),
            condition=(("StringEquals", "iam:PassedToService", ("sagemaker.amazonaws.com",)),),
        ),
    )
    return tuple(each for each in every if each.resources)


def _statement(sid: str, actions: tuple[str, ...], resources: tuple[str, ...]) -> Statement:
    found = tuple(dict.fromkeys(resources))
    return Statement(sid=sid, actions=tuple(sorted(set(actions))), resources=found)


def _arn(service: str, resource: str) -> str:
    return f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}"
