"""The one table of calls: who makes which, and what IAM asks for it.

A test records every call that commands make on the local endpoint and holds it against this
table, both ways: a new call is one new line here. Names and resource types are those of the
Service Authorization Reference; where an action is not called as its operation is, the line says
so by `needs`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ci.bootstrap.model import Duty


class Kind(StrEnum):
    """What an action is allowed on. Its ARNs: `ci.bootstrap.resources`."""

    PIPELINE = "pipeline"
    EXECUTION = "execution"
    GROUP = "model package group"
    PACKAGE = "model package"
    ENDPOINT = "endpoint"
    CONFIG = "endpoint config"
    MODEL = "model"
    PROCESSING_JOB = "processing job"
    TRAINING_JOB = "training job"
    TRANSFORM_JOB = "transform job"
    FUNCTION = "function"
    LOG_GROUP = "log group"
    LOG_STREAM = "log stream"
    BUCKET = "bucket"
    OBJECT = "object"
    ARTIFACT = "artifact"
    QUEUE = "queue"
    ROLE = "execution role"
    SECRET = "secret"  # noqa: S105 - a kind of resource
    PARAMETER = "parameter"
    REPOSITORY = "repository"
    CODE_PIPELINE = "code pipeline"
    CODE_ACTION = "code action"
    KEY = "key"
    ANY = "any"


class Reach(StrEnum):
    """OWN: the environment's own resources. SEEN: all that the project file names. REVIEWED: what
    pull requests have of their own, for the role that obeys comments on them."""

    OWN = "own"
    SEEN = "seen"
    REVIEWED = "reviewed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """An action of IAM. `passed_to` is the service that a role is passed to."""

    action: str
    kind: Kind
    reach: Reach
    passed_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A call of boto3 (`sagemaker:DescribePipeline`) and what it needs of IAM."""

    name: str
    by: frozenset[Duty]
    needs: tuple[Need, ...]


_ALL = frozenset(Duty)
_JOB = frozenset({Duty.PLAN, Duty.PULL_REQUEST, Duty.MAIN})
_RUN = frozenset({Duty.PULL_REQUEST, Duty.MAIN})
_DELIVER = _RUN | {Duty.FUNCTION}
_SHARED = frozenset({Duty.MAIN, Duty.FUNCTION})
_PULL_REQUEST = frozenset({Duty.PULL_REQUEST})
_MAIN = frozenset({Duty.MAIN})
_FUNCTION = frozenset({Duty.FUNCTION})


def _reads(
    name: str, kind: Kind, by: frozenset[Duty] = _ALL, *more: Need, action: str = ""
) -> Operation:
    return Operation(name=name, by=by, needs=(_seen(action or name, kind), *more))


def _seen(action: str, kind: Kind) -> Need:
    return Need(action=action, kind=kind, reach=Reach.SEEN)


def _tags_of(kind: Kind) -> Operation:
    """Whose what serves a model is; asked before a cleanup deletes it."""
    return _reads("sagemaker:ListTags", kind, _PULL_REQUEST)


def _writes(
    name: str, kind: Kind, by: frozenset[Duty] = _DELIVER, *more: Need, action: str = ""
) -> Operation:
    need = Need(action=action or name, kind=kind, reach=Reach.OWN)
    return Operation(name=name, by=by, needs=(need, *more))


def _passes(service: str) -> Need:
    """Whoever hands a role to a service needs iam:PassRole on it."""
    return Need(action="iam:PassRole", kind=Kind.ROLE, reach=Reach.OWN, passed_to=service)


_TAGS = Need(action="sagemaker:AddTags", kind=Kind.PIPELINE, reach=Reach.OWN)
_EXECUTION_TAGS = Need(action="sagemaker:AddTags", kind=Kind.EXECUTION, reach=Reach.OWN)
_FUNCTION_TAGS = Need(action="lambda:TagResource", kind=Kind.FUNCTION, reach=Reach.OWN)
_ORDERED_STOP, _ORDERED_DECISION = (
    Need(action=action, kind=kind, reach=Reach.REVIEWED)
    for action, kind in (
        ("sagemaker:StopPipelineExecution", Kind.EXECUTION),
        ("sagemaker:UpdateModelPackage", Kind.PACKAGE),
    )
)
# An encrypted bucket asks of whoever reads or writes it to use its key as well; of who writes in
# parts both (AWS KMS, "Using AWS KMS encryption with Amazon S3").
_DECRYPT, _ENCRYPT = (
    Need(action=action, kind=Kind.KEY, reach=Reach.SEEN)
    for action in ("kms:Decrypt", "kms:GenerateDataKey")
)
_TO_SAGEMAKER = _passes("sagemaker.amazonaws.com")
_TO_LAMBDA = _passes("lambda.amazonaws.com")

# fmt: off
OPERATIONS: tuple[Operation, ...] = (
    # Pipelines and their versions
    _reads("sagemaker:ListPipelines", Kind.ANY, _JOB),
    _reads("sagemaker:DescribePipeline", Kind.PIPELINE),
    _reads("sagemaker:ListPipelineVersions", Kind.PIPELINE),
    _reads("sagemaker:ListTags", Kind.PIPELINE),
    _tags_of(Kind.ENDPOINT),
    _tags_of(Kind.CONFIG),
    _tags_of(Kind.MODEL),
    _writes("sagemaker:CreatePipeline", Kind.PIPELINE, _DELIVER, _TAGS, _TO_SAGEMAKER),
    _writes("sagemaker:UpdatePipeline", Kind.PIPELINE, _DELIVER, _TO_SAGEMAKER),
    _writes("sagemaker:UpdatePipelineVersion", Kind.PIPELINE),
    # Not documented for executions, and done without where it is refused.
    _writes("sagemaker:AddTags", Kind.PIPELINE, _DELIVER, _EXECUTION_TAGS),
    _writes("sagemaker:DeletePipeline", Kind.PIPELINE, _PULL_REQUEST),
    # Executions. Their ARNs are below their pipeline's.
    _reads("sagemaker:ListPipelineExecutions", Kind.PIPELINE, _DELIVER),
    _reads("sagemaker:DescribePipelineExecution", Kind.EXECUTION, _DELIVER),
    _reads("sagemaker:ListPipelineExecutionSteps", Kind.EXECUTION, _DELIVER),
    _reads("sagemaker:DescribePipelineDefinitionForExecution", Kind.EXECUTION, _DELIVER),
    _reads("sagemaker:ListPipelineParametersForExecution", Kind.EXECUTION, _DELIVER),
    _writes("sagemaker:StartPipelineExecution", Kind.PIPELINE),
    _writes("sagemaker:StopPipelineExecution", Kind.EXECUTION, _RUN, _ORDERED_STOP),
    _writes("sagemaker:RetryPipelineExecution", Kind.EXECUTION, _MAIN),
    # What steps tell of themselves
    _reads("sagemaker:DescribeProcessingJob", Kind.PROCESSING_JOB, _DELIVER),
    _reads("sagemaker:DescribeTrainingJob", Kind.TRAINING_JOB, _DELIVER),
    _reads("sagemaker:DescribeTransformJob", Kind.TRANSFORM_JOB, _DELIVER),
    _reads("logs:DescribeLogStreams", Kind.LOG_GROUP, _DELIVER),
    _reads("logs:GetLogEvents", Kind.LOG_STREAM, _DELIVER),
    # Model registry
    _reads("sagemaker:ListModelPackageGroups", Kind.ANY, _MAIN),
    _reads("sagemaker:ListModelPackages", Kind.PACKAGE, _DELIVER),
    _reads("sagemaker:DescribeModelPackage", Kind.PACKAGE, _DELIVER),
    _reads("sagemaker:DescribeModelPackageGroup", Kind.GROUP, _PULL_REQUEST),
    _writes("sagemaker:UpdateModelPackage", Kind.PACKAGE, _DELIVER, _ORDERED_DECISION),
    _writes("sagemaker:DeleteModelPackage", Kind.PACKAGE, _PULL_REQUEST),
    _writes("sagemaker:DeleteModelPackageGroup", Kind.GROUP, _PULL_REQUEST),
    # What serves models
    _reads("sagemaker:DescribeEndpoint", Kind.ENDPOINT, _DELIVER),
    _reads("sagemaker:DescribeEndpointConfig", Kind.CONFIG, _DELIVER),
    _reads("sagemaker:DescribeModel", Kind.MODEL, _DELIVER),
    _reads("sagemaker:ListEndpointConfigs", Kind.ANY, _PULL_REQUEST),
    _reads("sagemaker:ListModels", Kind.ANY, _PULL_REQUEST),
    _writes("sagemaker:DeleteEndpoint", Kind.ENDPOINT, _PULL_REQUEST),
    _writes("sagemaker:DeleteEndpointConfig", Kind.CONFIG, _PULL_REQUEST),
    _writes("sagemaker:DeleteModel", Kind.MODEL, _PULL_REQUEST),
    # Lambda functions of a bundle
    _reads("lambda:GetFunctionConfiguration", Kind.FUNCTION),
    _reads("lambda:GetFunction", Kind.FUNCTION),
    _reads("lambda:ListTags", Kind.FUNCTION),
    _writes("lambda:CreateFunction", Kind.FUNCTION, _DELIVER, _FUNCTION_TAGS, _TO_LAMBDA),
    _writes("lambda:UpdateFunctionCode", Kind.FUNCTION),
    _writes("lambda:UpdateFunctionConfiguration", Kind.FUNCTION, _DELIVER, _TO_LAMBDA),
    _writes("lambda:TagResource", Kind.FUNCTION),
    _writes("lambda:UntagResource", Kind.FUNCTION, _SHARED),
    _writes("lambda:DeleteFunction", Kind.FUNCTION, _PULL_REQUEST),
    # An approval given elsewhere: the function that deploys is called again.
    _writes("lambda:Invoke", Kind.FUNCTION, _MAIN, action="lambda:InvokeFunction"),
    # Artifacts and what executions wrote. HEAD asks for the right to read; whether a key is
    # missing or hidden is told only to who may list.
    _reads("s3:HeadBucket", Kind.BUCKET, _DELIVER, action="s3:ListBucket"),
    _reads("s3:ListObjectsV2", Kind.BUCKET, action="s3:ListBucket"),
    _reads("s3:HeadObject", Kind.OBJECT, action="s3:GetObject"),
    _reads("s3:GetObject", Kind.OBJECT, _ALL, _DECRYPT),
    _writes("s3:PutObject", Kind.ARTIFACT, _DELIVER, _ENCRYPT),
    _writes("s3:CreateMultipartUpload", Kind.ARTIFACT, _DELIVER, _ENCRYPT, action="s3:PutObject"),
    _writes("s3:UploadPart", Kind.ARTIFACT, _DELIVER, _ENCRYPT, _DECRYPT, action="s3:PutObject"),
    _writes("s3:CompleteMultipartUpload", Kind.ARTIFACT, action="s3:PutObject"),
    # Events
    _reads("sqs:ReceiveMessage", Kind.QUEUE, _RUN),
    _reads("sqs:DeleteMessageBatch", Kind.QUEUE, _RUN, action="sqs:DeleteMessage"),
    # CodePipeline: jobs of its function, and the manual approvals that are kept in step
    _reads("codepipeline:PutJobSuccessResult", Kind.ANY, _FUNCTION),
    _reads("codepipeline:PutJobFailureResult", Kind.ANY, _FUNCTION),
    _writes("codepipeline:GetPipelineState", Kind.CODE_PIPELINE, _SHARED),
    _writes("codepipeline:GetPipelineExecution", Kind.CODE_PIPELINE, _FUNCTION),
    _writes("codepipeline:ListActionExecutions", Kind.CODE_PIPELINE, _SHARED),
    _writes("codepipeline:PutApprovalResult", Kind.CODE_ACTION, _SHARED),
    # The forge's token, where the project file keeps it in AWS
    _reads("secretsmanager:GetSecretValue", Kind.SECRET),
    _reads("ssm:GetParameter", Kind.PARAMETER),
    # CodeCommit, where it is the forge
    _reads("codecommit:GetPullRequest", Kind.REPOSITORY),
    _reads("codecommit:ListPullRequests", Kind.REPOSITORY),
    _reads("codecommit:DescribePullRequestEvents", Kind.REPOSITORY),
    _reads("codecommit:GetCommentsForPullRequest", Kind.REPOSITORY),
    _reads("codecommit:PostCommentForPullRequest", Kind.REPOSITORY, _DELIVER),
    _reads("codecommit:UpdateComment", Kind.REPOSITORY, _DELIVER),
    _reads("codecommit:DeleteCommentContent", Kind.REPOSITORY, _DELIVER),
)
# fmt: on
# What only some projects have. The local endpoint runs no transform step.
OPTIONAL = frozenset({Kind.SECRET, Kind.PARAMETER, Kind.REPOSITORY, Kind.TRANSFORM_JOB})


def operations_of(duty: Duty) -> Iterator[Operation]:
    return (operation for operation in OPERATIONS if duty in operation.by)


def needs_of(duty: Duty) -> tuple[Need, ...]:
    """What a role with this duty has to be allowed, each once."""
    return tuple(dict.fromkeys(need for each in operations_of(duty) for need in each.needs))
