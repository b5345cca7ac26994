"""CodePipeline: a pipeline that takes the default branch through main's builds or its function.

A person's approval can stand between training and what comes after it; the variables of the build
or the function tell which model package it is about.
"""

from ci.bootstrap.documents import policy_document
from ci.bootstrap.model import Setup, Statement
from ci.bootstrap.parts import role, shared_parameters, tags, trust_service
from ci.bootstrap.template import (
    NO_VALUE,
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

NAME = "codepipeline"
_PROJECT = (
    "arn:${AWS::Partition}:codebuild:${AWS::Region}:${AWS::AccountId}:project/${BuildProject}"
)
_FUNCTION = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${Function}"
_BUCKET = "arn:${AWS::Partition}:s3:::${Bucket}"


def codepipeline_template(setup: Setup) -> Template:
    return Template(
        name=NAME,
        description="sagemaker-gitops: a CodePipeline that runs the default branch",
        parameters={
            **shared_parameters(setup, "Name", "Repository", "DefaultBranch", "Bucket"),
            "Connection": Parameter(
                description="ARN of the CodeConnections connection that reads the repository",
                pattern="arn:aws[a-z-]*:(codeconnections|codestar-connections):.+",
            ),
            "BuildProject": Parameter(
                description="The CodeBuild project of main, without a webhook",
                default=f"{setup.name}-main",
            ),
            "Function": Parameter(
                description="The Lambda function of main that runs in place of the build, for"
                " hours on end; its pipelines are definition files. Empty: the build runs",
                default="",
            ),
            "Approval": Parameter(
                description="true: a person approves after the run",
                default="false",
                allowed=("true", "false"),
            ),
        },
        conditions={
            "HasApproval": Equals(Ref("Approval"), "true"),
            "HasFunction": Not(Equals(Ref("Function"), "")),
        },
        resources={
            "PipelineRole": role(
                "codepipeline",
                trust=[trust_service("codepipeline")],
                description="sagemaker-gitops: the CodePipeline",
            ),
            "PipelinePolicy": _policy(),
            "FunctionPolicy": _function_policy(),
            "Pipeline": _pipeline(),
        },
        outputs={"Pipeline": Output(value=Ref("Pipeline"), description="The CodePipeline")},
    )


def _policy() -> Resource:
    statements = (
        Statement(
            sid="Builds",
            actions=("codebuild:BatchGetBuilds", "codebuild:StartBuild"),
            resources=(_PROJECT,),
        ),
        Statement(
            sid="Source",
            actions=("codeconnections:UseConnection", "codestar-connections:UseConnection"),
            resources=("${Connection}",),
        ),
        Statement(
            sid="Bucket",
            actions=("s3:GetBucketLocation", "s3:GetBucketVersioning", "s3:ListBucket"),
            resources=(_BUCKET,),
        ),
        Statement(
            sid="Objects",
            actions=("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"),
            # CodePipeline cuts its pipeline's name to 20 characters for the key.
            resources=(
                f"{_BUCKET}/*/source/*",
                f"{_BUCKET}/*/SourceArti/*",
                f"{_BUCKET}/*/report/*",
            ),
        ),
    )
    return Resource(
        kind="AWS::IAM::ManagedPolicy",
        properties={
            "ManagedPolicyName": Sub("${Name}-codepipeline-${AWS::Region}"),
            "Roles": [Ref("PipelineRole")],
            "PolicyDocument": policy_document(statements),
        },
    )


def _function_policy() -> Resource:
    statements = (
        Statement(sid="Function", actions=("lambda:InvokeFunction",), resources=(_FUNCTION,)),
        Statement(sid="Functions", actions=("lambda:ListFunctions",), resources=("*",)),
    )
    return Resource(
        kind="AWS::IAM::ManagedPolicy",
        condition="HasFunction",
        properties={
            "ManagedPolicyName": Sub("${Name}-codepipeline-${AWS::Region}-function"),
            "Roles": [Ref("PipelineRole")],
            "PolicyDocument": policy_document(statements),
        },
    )


def _pipeline() -> Resource:
    return Resource(
        kind="AWS::CodePipeline::Pipeline",
        after=("PipelinePolicy",),
        properties={
            "Name": Ref("Name"),
            "PipelineType": "V2",
            "ExecutionMode": "QUEUED",
            "RoleArn": GetAtt("PipelineRole", "Arn"),
            "ArtifactStore": {"Type": "S3", "Location": Ref("Bucket")},
            "Stages": [
                {"Name": "Source", "Actions": [_source()]},
                {"Name": "Train", "Actions": [If("HasFunction", _invoke(), _train())]},
                If("HasApproval", {"Name": "Approve", "Actions": [_approve()]}, NO_VALUE),
            ],
            "Tags": tags(),
        },
    )


def _action(
    name: str, category: str, provider: str, configuration: object, **more: object
) -> dict[str, object]:
    return {
        "Name": name,
        "ActionTypeId": {
            "Category": category,
            "Owner": "AWS",
            "Provider": provider,
            "Version": "1",
        },
        "Configuration": configuration,
        **more,
    }


def _source() -> dict[str, object]:
    return _action(
        "Source",
        "Source",
        "CodeStarSourceConnection",
        {
            "ConnectionArn": Ref("Connection"),
            "FullRepositoryId": Ref("Repository"),
            "BranchName": Ref("DefaultBranch"),
            "OutputArtifactFormat": "CODE_ZIP",
        },
        Namespace="SourceVariables",
        OutputArtifacts=[{"Name": "source"}],
    )


def _train() -> dict[str, object]:
    variables = (
        '[{"name": "SAGEMAKER_GITOPS_BRANCH", "value": "#{SourceVariables.BranchName}"},'
        ' {"name": "SAGEMAKER_GITOPS_REPOSITORY",'
        ' "value": "#{SourceVariables.FullRepositoryName}"}]'
    )
    return _action(
        "Train",
        "Build",
        "CodeBuild",
        {
            "ProjectName": Ref("BuildProject"),
            "PrimarySource": "source",
            "EnvironmentVariables": variables,
        },
        Namespace="Train",
        InputArtifacts=[{"Name": "source"}],
    )


def _invoke() -> dict[str, object]:
    parameters = (
        '{"commit": "#{SourceVariables.CommitId}",'
        ' "branch": "#{SourceVariables.BranchName}",'
        ' "repository": "#{SourceVariables.FullRepositoryName}",'
        ' "pipeline": "${Name}",'
        ' "execution": "#{codepipeline.PipelineExecutionId}"}'
    )
    return _action(
        "Train",
        "Invoke",
        "Lambda",
        {"FunctionName": Ref("Function"), "UserParameters": Sub(parameters)},
        Namespace="Train",
        InputArtifacts=[{"Name": "source"}],
        OutputArtifacts=[{"Name": "report"}],
    )


def _approve() -> dict[str, object]:
    said = "#{Train.SAGEMAKER_GITOPS_VERDICT}: #{Train.SAGEMAKER_GITOPS_MODEL_PACKAGE_ARN}"
    return _action("Approve", "Approval", "Manual", {"CustomData": said})
