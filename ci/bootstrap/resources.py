"""Which ARNs an action is allowed on: as narrow as the project file's names make them.

Formats: Service Authorization Reference. Pipelines have lower-case names in their ARNs.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from ci.bootstrap.model import Scope
from ci.bootstrap.operations import Kind

# What SageMaker calls the jobs that pipelines start.
_JOBS = "pipelines-*"
_JOB_LOGS = ("ProcessingJobs", "TrainingJobs", "TransformJobs")
BUCKET = "${Bucket}"
PREFIX = "${Prefix}"
QUEUE = "${Queue}"
CODE_PIPELINE = "${CodePipeline}"
KEY = "${KmsKey}"


def _log_groups(scope: Scope) -> tuple[str, ...]:
    jobs = tuple(f"/aws/sagemaker/{name}" for name in _JOB_LOGS)
    return jobs + tuple(f"/aws/lambda/{name}" for name in scope.functions)


# Service, form of the resource, and the names that fill it.
_FORMS: Mapping[Kind, tuple[str, str, Callable[[Scope], tuple[str, ...]]]] = {
    Kind.PIPELINE: ("sagemaker", "pipeline/{}", lambda scope: scope.pipelines),
    Kind.EXECUTION: ("sagemaker", "pipeline/{}/execution/*", lambda scope: scope.pipelines),
    Kind.GROUP: ("sagemaker", "model-package-group/{}", lambda scope: scope.groups),
    Kind.PACKAGE: ("sagemaker", "model-package/{}/*", lambda scope: scope.groups),
    Kind.ENDPOINT: ("sagemaker", "endpoint/{}", lambda scope: scope.hosted),
    Kind.CONFIG: ("sagemaker", "endpoint-config/{}*", lambda scope: scope.hosted),
    Kind.MODEL: ("sagemaker", "model/{}*", lambda scope: scope.hosted),
    Kind.PROCESSING_JOB: ("sagemaker", "processing-job/{}", lambda _: (_JOBS,)),
    Kind.TRAINING_JOB: ("sagemaker", "training-job/{}", lambda _: (_JOBS,)),
    Kind.TRANSFORM_JOB: ("sagemaker", "transform-job/{}", lambda _: (_JOBS,)),
    Kind.FUNCTION: ("lambda", "function:{}", lambda scope: scope.functions),
    # Calls about a group are checked against the group's ARN with something behind it.
    Kind.LOG_GROUP: ("logs", "log-group:{}:*", _log_groups),
    Kind.LOG_STREAM: ("logs", "log-group:{}:log-stream:*", _log_groups),
    Kind.QUEUE: ("sqs", "{}", lambda _: (QUEUE,)),
    # Secrets Manager puts six characters behind a secret's name.
    Kind.SECRET: ("secretsmanager", "secret:{}-*", lambda scope: scope.secrets),
    Kind.PARAMETER: ("ssm", "parameter/{}", lambda scope: scope.parameters),
    Kind.REPOSITORY: ("codecommit", "{}", lambda scope: scope.repositories),
    Kind.CODE_PIPELINE: ("codepipeline", "{}", lambda scope: scope.code_pipelines),
    # Below the pipeline: stage and action.
    Kind.CODE_ACTION: ("codepipeline", "{}/*/*", lambda scope: scope.code_pipelines),
}


def resources_of(kind: Kind, scope: Scope) -> tuple[str, ...]:
    """ARNs with `${AWS::AccountId}` and the template's parameters in them; none where the scope
    names nothing of this kind."""
    return _widest(tuple(dict.fromkeys(_resources(kind, scope))))


def _widest(arns: tuple[str, ...]) -> tuple[str, ...]:
    """Without those that another one covers: `function:a*` says all that `function:a-pr-*` does."""
    open_ = tuple(each for each in arns if "*" in each)
    return tuple(
        each for each in arns if not any(each != other and covers(other, each) for other in open_)
    )


def covers(wide: str, narrow: str) -> bool:
    """Whether one pattern matches all that another one does: in IAM `*` is any text."""
    first, *others = wide.split("*")
    # Most differ there already, and an expression for each costs seconds where there are many.
    if not narrow.startswith(first):
        return False
    return re.fullmatch(".*".join(map(re.escape, ["", *others])), narrow[len(first) :]) is not None


def _resources(kind: Kind, scope: Scope) -> Iterator[str]:
    match kind:
        case Kind.ANY:
            yield "*"
        case Kind.BUCKET:
            yield f"arn:${{AWS::Partition}}:s3:::{BUCKET}"
        case Kind.OBJECT:
            yield f"arn:${{AWS::Partition}}:s3:::{BUCKET}/*"
        case Kind.ARTIFACT:
            for prefix in scope.artifacts:
                yield f"arn:${{AWS::Partition}}:s3:::{BUCKET}/{prefix}/*"
        case Kind.KEY:
            yield KEY
        case Kind.ROLE:
            yield from scope.execution_roles
        case _:
            for region in scope.regions:
                yield from _regional(kind, scope, region)


def _regional(kind: Kind, scope: Scope, region: str) -> Iterator[str]:
    service, form, names = _FORMS[kind]
    for name in names(scope):
        # SageMaker writes the names in its ARNs in small letters.
        for spelled in dict.fromkeys((name, name.lower() if service == "sagemaker" else name)):
            resource = form.format(spelled).replace("**", "*")
            yield f"arn:${{AWS::Partition}}:{service}:{region}:${{AWS::AccountId}}:{resource}"


def fill_resource(
    arn: str,
    *,
    account: str,
    region: str,
    bucket: str,
    prefix: str,
    queue: str,
    codepipeline: str = "*",
) -> str:
    """The ARN as CloudFormation makes it of the template's text."""
    values = {
        "${AWS::Partition}": partition_of(region),
        "${AWS::AccountId}": account,
        "${AWS::Region}": region,
        BUCKET: bucket,
        PREFIX: prefix,
        QUEUE: queue,
        CODE_PIPELINE: codepipeline,
    }
    for variable, value in values.items():
        arn = arn.replace(variable, value)
    return arn


def partition_of(region: str) -> str:
    """`cn-north-1` -> aws-cn."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"
