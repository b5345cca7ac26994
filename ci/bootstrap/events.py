"""EventBridge: what SageMaker tells goes to a queue that runs follow by, and starts builds.

Events: Amazon SageMaker AI Developer Guide, "Events that SageMaker AI sends to EventBridge", and
CodeCommit User Guide, "Monitoring CodeCommit events". What starts a build is told to it by
variables (docs/approval.md).
"""

from collections.abc import Sequence

from ci.bootstrap.documents import VERSION, policy_document
from ci.bootstrap.model import Setup, Statement
from ci.bootstrap.parts import rule, shared_parameters, tags, trust_service
from ci.bootstrap.template import (
    GetAtt,
    Output,
    Parameter,
    Ref,
    Resource,
    Sub,
    Template,
    given,
    sub,
)

NAME = "events"
_EXECUTIONS = (
    "SageMaker Model Building Pipeline Execution Status Change",
    "SageMaker Model Building Pipeline Execution Step Status Change",
)
_PACKAGES = "SageMaker Model Package State Change"
_PULL_REQUESTS = "CodeCommit Pull Request State Change"
_KEPT_SECONDS = 4 * 24 * 3600
_APPROVAL = (
    '{"environmentVariablesOverride": [{"name": "SAGEMAKER_GITOPS_EVENT_PACKAGE",'
    ' "type": "PLAINTEXT", "value": <package>}]}'
)
_DISPATCH = '{"event_type": "sagemaker-approval", "client_payload": {"package": <package>}}'
_REVIEW = (
    '{"sourceVersion": <commit>, "environmentVariablesOverride": ['
    '{"name": "SAGEMAKER_GITOPS_EVENT_PULL_REQUEST", "type": "PLAINTEXT", "value": <number>},'
    '{"name": "SAGEMAKER_GITOPS_EVENT_PULL_REQUEST_STATUS", "type": "PLAINTEXT",'
    ' "value": <status>},'
    '{"name": "SAGEMAKER_GITOPS_BRANCH", "type": "PLAINTEXT", "value": <branch>}]}'
)


def events_template(setup: Setup) -> Template:
    return Template(
        name=NAME,
        description="sagemaker-gitops: SageMaker's events to a queue and to builds",
        parameters=_parameters(setup),
        conditions={
            "StartsBuild": given("ApprovalProject"),
            "Dispatches": given("DispatchSecret"),
            "ReviewsInCodeCommit": given("CodeCommitRepository"),
        },
        resources={
            **_queue(),
            "ExecutionRule": _execution_rule(setup),
            **_starting_role(),
            "ApprovalBuildRule": _approval_build_rule(setup),
            **_dispatching(),
            "ApprovalDispatchRule": _approval_dispatch_rule(setup),
            **_reviewing_role(),
            "PullRequestRule": _pull_request_rule(),
        },
        outputs={
            "QueueUrl": Output(value=Ref("EventQueue"), description="The setting queue"),
        },
    )


def _parameters(setup: Setup) -> dict[str, Parameter]:
    return {
        **shared_parameters(setup, "Name", "Repository", "Queue"),
        "ApprovalProject": Parameter(
            description="CodeBuild project that an approval starts; empty: none", default=""
        ),
        "DispatchSecret": Parameter(
            description="Name of the secret whose key `token` may write the repository's contents;"
            " an approval is dispatched to GitHub by it; empty: none is",
            default="",
        ),
        "GitHubApi": Parameter(
            description="Address of GitHub's API",
            default="https://api.github.com",
            pattern="https://.+[^/]",
        ),
        "CodeCommitRepository": Parameter(
            description="Name of the CodeCommit repository whose pull requests start builds;"
            " empty: none",
            default="",
        ),
        "PullRequestProject": Parameter(
            description="CodeBuild project that CodeCommit's pull requests start",
            default=f"{setup.name}-pull-request",
        ),
    }


def execution_pattern(setup: Setup) -> dict[str, object]:
    """Events of the project's own pipelines: their names are patterns."""
    return {
        "source": ["aws.sagemaker"],
        "detail-type": list(_EXECUTIONS),
        "detail": {"pipelineArn": [_matches(_pipeline_arn(name)) for name in _names(setup)]},
    }


def approval_pattern(setup: Setup) -> dict[str, object]:
    """Decisions on packages of the project's groups. Metadata that is written on a package sends
    an event with its approval status as well, hence the updated field."""
    return {
        "source": ["aws.sagemaker"],
        "detail-type": [_PACKAGES],
        "detail": {
            "UpdatedModelPackageFields": ["ModelApprovalStatus"],
            "ModelApprovalStatus": ["Approved", "Rejected"],
            "ModelPackageGroupName": [_matches(name) for name in setup.seen.groups],
        },
    }


def _names(setup: Setup) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.lower() for name in setup.seen.pipelines))


def _pipeline_arn(name: str) -> str:
    return f"arn:${{AWS::Partition}}:sagemaker:${{AWS::Region}}:${{AWS::AccountId}}:pipeline/{name}"


def _matches(pattern: str) -> object:
    if pattern.endswith("*") and pattern.count("*") == 1:
        return {"prefix": sub(pattern[:-1])}
    return {"wildcard": sub(pattern)} if "*" in pattern else sub(pattern)


def _queue() -> dict[str, Resource]:
    statement = {
        "Sid": "FromTheRule",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": GetAtt("EventQueue", "Arn"),
        "Condition": {"ArnEquals": {"aws:SourceArn": GetAtt("ExecutionRule", "Arn")}},
    }
    return {
        "EventQueue": Resource(
            kind="AWS::SQS::Queue",
            properties={
                "QueueName": Ref("Queue"),
                # Followers leave what is another's: nothing in it is older than this.
                "MessageRetentionPeriod": _KEPT_SECONDS,
                "ReceiveMessageWaitTimeSeconds": 20,
                "SqsManagedSseEnabled": True,
                "Tags": tags(),
            },
        ),
        "EventQueuePolicy": Resource(
            kind="AWS::SQS::QueuePolicy",
            properties={
                "Queues": [Ref("EventQueue")],
                "PolicyDocument": {"Version": VERSION, "Statement": [statement]},
            },
        ),
    }


def _execution_rule(setup: Setup) -> Resource:
    target = {"Id": "queue", "Arn": GetAtt("EventQueue", "Arn")}
    return rule("executions", execution_pattern(setup), target)


def _approval_build_rule(setup: Setup) -> Resource:
    target = {
        "Id": "build",
        "Arn": _project_arn("ApprovalProject"),
        "RoleArn": GetAtt("StartBuildRole", "Arn"),
        "InputTransformer": {
            "InputPathsMap": {"package": "$.detail.ModelPackageArn"},
            "InputTemplate": _APPROVAL,
        },
    }
    return rule("approvals-build", approval_pattern(setup), target, condition="StartsBuild")


def _approval_dispatch_rule(setup: Setup) -> Resource:
    target = {
        "Id": "github",
        "Arn": GetAtt("DispatchDestination", "Arn"),
        "RoleArn": GetAtt("DispatchRole", "Arn"),
        "InputTransformer": {
            "InputPathsMap": {"package": "$.detail.ModelPackageArn"},
            "InputTemplate": _DISPATCH,
        },
    }
    return rule("approvals-github", approval_pattern(setup), target, condition="Dispatches")


def _pull_request_rule() -> Resource:
    pattern = {
        "source": ["aws.codecommit"],
        "detail-type": [_PULL_REQUESTS],
        "resources": [
            Sub(
                "arn:${AWS::Partition}:codecommit:${AWS::Region}:${AWS::AccountId}"
                ":${CodeCommitRepository}"
            )
        ],
        "detail": {
            "event": [
                "pullRequestCreated",
                "pullRequestSourceBranchUpdated",
                "pullRequestStatusChanged",
                "pullRequestMergeStatusUpdated",
            ]
        },
    }
    target = {
        "Id": "build",
        "Arn": _project_arn("PullRequestProject"),
        "RoleArn": GetAtt("ReviewRole", "Arn"),
        "InputTransformer": {
            "InputPathsMap": {
                "commit": "$.detail.sourceCommit",
                "number": "$.detail.pullRequestId",
                "status": "$.detail.pullRequestStatus",
                "branch": "$.detail.sourceReference",
            },
            "InputTemplate": _REVIEW,
        },
    }
    return rule("pull-requests", pattern, target, condition="ReviewsInCodeCommit")


def _starting_role() -> dict[str, Resource]:
    arn = _project_text("ApprovalProject")
    return {
        "StartBuildRole": _caller("approvals-start", "StartsBuild", "codebuild:StartBuild", arn)
    }


def _reviewing_role() -> dict[str, Resource]:
    arn = _project_text("PullRequestProject")
    return {
        "ReviewRole": _caller("reviews-start", "ReviewsInCodeCommit", "codebuild:StartBuild", arn)
    }


def _dispatching() -> dict[str, Resource]:
    token = "Bearer {{resolve:secretsmanager:${DispatchSecret}:SecretString:token}}"  # noqa: S105 - where it stands, not what it is
    return {
        "DispatchConnection": Resource(
            kind="AWS::Events::Connection",
            condition="Dispatches",
            properties={
                "Name": Sub("${Name}-github"),
                "AuthorizationType": "API_KEY",
                "AuthParameters": {
                    "ApiKeyAuthParameters": {
                        "ApiKeyName": "Authorization",
                        "ApiKeyValue": Sub(token),
                    },
                    "InvocationHttpParameters": {
                        "HeaderParameters": [
                            {"Key": "Accept", "Value": "application/vnd.github+json"}
                        ]
                    },
                },
            },
        ),
        "DispatchDestination": Resource(
            kind="AWS::Events::ApiDestination",
            condition="Dispatches",
            properties={
                "Name": Sub("${Name}-github"),
                "ConnectionArn": GetAtt("DispatchConnection", "Arn"),
                "HttpMethod": "POST",
                "InvocationEndpoint": Sub("${GitHubApi}/repos/${Repository}/dispatches"),
                "InvocationRateLimitPerSecond": 1,
            },
        ),
        "DispatchRole": _caller(
            "approvals-dispatch",
            "Dispatches",
            "events:InvokeApiDestination",
            "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}"
            ":api-destination/${Name}-github/*",
        ),
    }


def _caller(name: str, condition: str, action: str, resource: str) -> Resource:
    """A role in whose name a rule calls its target, and nothing else."""
    statement = Statement(sid="Target", actions=(action,), resources=(resource,))
    policy = {"PolicyName": "target", "PolicyDocument": policy_document([statement])}
    return Resource(
        kind="AWS::IAM::Role",
        condition=condition,
        properties={
            "RoleName": Sub(f"${{Name}}-{name}"),
            "AssumeRolePolicyDocument": _assumed_by("events"),
            "Policies": [policy],
            "Tags": tags(),
        },
    )


def _assumed_by(*services: str) -> dict[str, object]:
    statements: Sequence[object] = [trust_service(*services)]
    return {"Version": VERSION, "Statement": statements}


def _project_text(parameter: str) -> str:
    return (
        "arn:${AWS::Partition}:codebuild:${AWS::Region}:${AWS::AccountId}"
        f":project/${{{parameter}}}"
    )


def _project_arn(parameter: str) -> Sub:
    return Sub(_project_text(parameter))
