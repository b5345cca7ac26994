"""CodePipeline: a pipeline that takes the default branch through main's builds or its function.

A build plans first and hands on what it compiled, which a function cannot do: it has no SageMaker
SDK. A person's approval can stand between training and what comes after it; the variables of the
build or the function tell which model package it is about.
"""

import json
from collections.abc import Mapping

from ci.bootstrap.codebuild import PLAN_FOLDER, SOURCE, artifact_arn
from ci.bootstrap.model import Setup, Statement
from ci.bootstrap.parts import (
    key_condition,
    key_parameter,
    policy_resources,
    role,
    shared_parameters,
    tags,
    trust_service,
)
from ci.bootstrap.policies import HAS_KEY, key_statement
from ci.bootstrap.scope import MAIN, PLAN
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

NAME = "codepipeline"
_TOOLS = "sagemaker_gitops"
_REPORT = "report"
_PROJECT = "arn:${AWS::Partition}:codebuild:${AWS::Region}:${AWS::AccountId}:project/"
_FUNCTION = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${Function}"
_BUCKET = "arn:${AWS::Partition}:s3:::${Bucket}"


def codepipeline_template(setup: Setup) -> Template:
    return Template(
        name=NAME,
        description="sagemaker-gitops: a CodePipeline that runs the default branch",
        parameters={
            **shared_parameters(setup, "Name", "Repository", "DefaultBranch", "Bucket"),
            **key_parameter(),
            "Connection": Parameter(
                description="ARN of the CodeConnections connection that reads the repository",
                pattern="arn:aws[a-z-]*:(codeconnections|codestar-connections):.+",
            ),
            "ToolsRepository": Parameter(
                description="The repository of sagemaker-gitops, as owner/name: what builds run",
                pattern="[A-Za-z0-9._-]+/[A-Za-z0-9._/-]+",
            ),
            "ToolsBranch": Parameter(
                description="Its branch. A source action takes no tag: name one that you move",
                default="main",
            ),
            "PlanProject": Parameter(
                description="The CodeBuild project that plans; empty: no stage plans",
                default=f"{setup.name}-{PLAN}",
            ),
            "BuildProject": Parameter(
                description="The CodeBuild project of main, without a webhook",
                default=f"{setup.name}-main",
            ),
            "Function": Parameter(
                description="The Lambda function of main that runs in place of the build, for"
                " hours on end, what the plan compiled; without a plan its pipelines are definition"
                " files. Empty: the build runs",
                default="",
            ),
            "Approval": Parameter(
                description="true: a person approves after the run",
                default="false",
                allowed=("true", "false"),
            ),
        },
        conditions={
            **key_condition(),
            "HasPlan": given("PlanProject"),
            "HasApproval": Equals(Ref("Approval"), "true"),
            "HasFunction": given("Function"),
        },
        resources={
            "PipelineRole": role(
                Sub("${Name}-codepipeline"),
                trust=[trust_service("codepipeline")],
                description="sagemaker-gitops: the CodePipeline",
            ),
            **policy_resources(
                "PipelinePolicy", "PipelineRole", "${Name}-codepipeline", _statements()
            ),
            "Pipeline": _pipeline(),
        },
        outputs={"Pipeline": Output(value=Ref("Pipeline"), description="The CodePipeline")},
    )


def _statements() -> tuple[Statement, ...]:
    return (
        Statement(
            sid="Builds",
            actions=("codebuild:BatchGetBuilds", "codebuild:StartBuild"),
            resources=(f"{_PROJECT}${{BuildProject}}",),
        ),
        Statement(
            sid="Plans",
            actions=("codebuild:BatchGetBuilds", "codebuild:StartBuild"),
            resources=(f"{_PROJECT}${{PlanProject}}",),
            when="HasPlan",
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
            resources=tuple(artifact_arn(name) for name in (SOURCE, _TOOLS, PLAN, _REPORT)),
        ),
        key_statement("kms:Decrypt", "kms:GenerateDataKey"),
        Statement(
            sid="Function",
            actions=("lambda:InvokeFunction",),
            resources=(_FUNCTION,),
            when="HasFunction",
        ),
        Statement(
            sid="Functions",
            actions=("lambda:ListFunctions",),
            resources=("*",),
            when="HasFunction",
        ),
    )


def _pipeline() -> Resource:
    return Resource(
        kind="AWS::CodePipeline::Pipeline",
        after=("PipelinePolicy1",),
        properties={
            "Name": Ref("Name"),
            "PipelineType": "V2",
            "ExecutionMode": "QUEUED",
            "RoleArn": GetAtt("PipelineRole", "Arn"),
            "ArtifactStore": {
                "Type": "S3",
                "Location": Ref("Bucket"),
                "EncryptionKey": If(HAS_KEY, {"Type": "KMS", "Id": Ref("KmsKey")}),
            },
            "Stages": [
                {"Name": "Source", "Actions": [_source(), _tools()]},
                If("HasPlan", {"Name": "Plan", "Actions": [_plan()]}),
                {"Name": "Train", "Actions": [If("HasFunction", _invoke(), _train())]},
                If("HasApproval", {"Name": "Approve", "Actions": [_approve()]}),
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
        OutputArtifacts=[{"Name": SOURCE}],
    )


def _tools() -> dict[str, object]:
    """What builds run, under the name by which the buildspec finds it. The repository's own pushes
    start the pipeline, those of its tools do not."""
    return _action(
        "Tools",
        "Source",
        "CodeStarSourceConnection",
        {
            "ConnectionArn": Ref("Connection"),
            "FullRepositoryId": Ref("ToolsRepository"),
            "BranchName": Ref("ToolsBranch"),
            "OutputArtifactFormat": "CODE_ZIP",
            "DetectChanges": "false",
        },
        OutputArtifacts=[{"Name": _TOOLS}],
    )


def _plan() -> dict[str, object]:
    more = {
        "SAGEMAKER_GITOPS_COMMAND": "plan",
        "SAGEMAKER_GITOPS_ENVIRONMENT": MAIN,
        "SAGEMAKER_GITOPS_ARGS": f"--out {PLAN_FOLDER}",
    }
    return _build("Plan", "PlanProject", more, OutputArtifacts=[{"Name": PLAN}])


def _train() -> dict[str, object]:
    return _build("Train", "BuildProject", {})


def _build(
    name: str, project: str, variables: Mapping[str, str], **more: object
) -> dict[str, object]:
    told = {
        **variables,
        "SAGEMAKER_GITOPS_BRANCH": "#{SourceVariables.BranchName}",
        "SAGEMAKER_GITOPS_REPOSITORY": "#{SourceVariables.FullRepositoryName}",
    }
    return _action(
        name,
        "Build",
        "CodeBuild",
        {
            "ProjectName": Ref(project),
            "PrimarySource": SOURCE,
            "EnvironmentVariables": json.dumps(
                [{"name": key, "value": value} for key, value in told.items()]
            ),
        },
        Namespace=name,
        InputArtifacts=[{"Name": SOURCE}, {"Name": _TOOLS}],
        **more,
    )


def _invoke() -> dict[str, object]:
    told = {
        "commit": "#{SourceVariables.CommitId}",
        "branch": "#{SourceVariables.BranchName}",
        "repository": "#{SourceVariables.FullRepositoryName}",
        "pipeline": "${Name}",
        "execution": "#{codepipeline.PipelineExecutionId}",
    }
    with_plan, alone = (Sub(json.dumps(each)) for each in ({**told, "plan": PLAN}, told))
    return _action(
        "Train",
        "Invoke",
        "Lambda",
        {"FunctionName": Ref("Function"), "UserParameters": If("HasPlan", with_plan, alone)},
        Namespace="Train",
        InputArtifacts=[{"Name": SOURCE}, If("HasPlan", {"Name": PLAN})],
        OutputArtifacts=[{"Name": _REPORT}],
    )


def _approve() -> dict[str, object]:
    said = "#{Train.SAGEMAKER_GITOPS_VERDICT}: #{Train.SAGEMAKER_GITOPS_MODEL_PACKAGE_ARN}"
    return _action("Approve", "Approval", "Manual", {"CustomData": said})
