"""Which resource a recorded call is about, as the ARN that IAM would look at."""

from collections.abc import Iterator

from ci.bootstrap.operations import Kind
from support.recording import Request

ACCOUNT = "000000000000"
REGION = "us-east-1"
# The members of a request that name a resource of a kind, and the ARN's form where it is no ARN.
_MEMBERS: dict[Kind, tuple[tuple[str, str], ...]] = {
    Kind.PIPELINE: (
        ("PipelineName", "sagemaker:{place}:pipeline/{value}"),
        ("PipelineArn", "{value}"),
        ("ResourceArn", "{value}"),
    ),
    Kind.EXECUTION: (("PipelineExecutionArn", "{value}"), ("ResourceArn", "{value}")),
    Kind.GROUP: (("ModelPackageGroupName", "sagemaker:{place}:model-package-group/{value}"),),
    Kind.PACKAGE: (
        ("ModelPackageName", "{value}"),
        ("ModelPackageArn", "{value}"),
        ("ModelPackageGroupName", "sagemaker:{place}:model-package/{value}/1"),
    ),
    Kind.ENDPOINT: (
        ("EndpointName", "sagemaker:{place}:endpoint/{value}"),
        ("ResourceArn", "{value}"),
    ),
    Kind.CONFIG: (
        ("EndpointConfigName", "sagemaker:{place}:endpoint-config/{value}"),
        ("ResourceArn", "{value}"),
    ),
    Kind.MODEL: (("ModelName", "sagemaker:{place}:model/{value}"), ("ResourceArn", "{value}")),
    Kind.PROCESSING_JOB: (("ProcessingJobName", "sagemaker:{place}:processing-job/{value}"),),
    Kind.TRAINING_JOB: (("TrainingJobName", "sagemaker:{place}:training-job/{value}"),),
    Kind.FUNCTION: (
        ("FunctionName", "lambda:{place}:function:{value}"),
        ("Resource", "{value}"),
    ),
    Kind.LOG_GROUP: (("logGroupName", "logs:{place}:log-group:{value}:log-stream:"),),
    Kind.LOG_STREAM: (("logGroupName", "logs:{place}:log-group:{value}:log-stream:any/stream"),),
    Kind.BUCKET: (("Bucket", "s3:::{value}"),),
    Kind.OBJECT: (("Bucket", "s3:::{value}/{key}"),),
    Kind.ARTIFACT: (("Bucket", "s3:::{value}/{key}"),),
    Kind.QUEUE: (("QueueUrl", "sqs:{place}:{last}"),),
    Kind.CODE_PIPELINE: (
        ("name", "codepipeline:{place}:{value}"),
        ("pipelineName", "codepipeline:{place}:{value}"),
    ),
    Kind.CODE_ACTION: (("pipelineName", "codepipeline:{place}:{value}/Approve/Model"),),
    Kind.KEY: (("Bucket", "kms:{place}:key/any"),),
    Kind.ROLE: (("RoleArn", "{value}"), ("Role", "{value}")),
}
# How the ARN of a kind reads: one call may be about any of several kinds (ListTags).
_MARKS = {
    Kind.PIPELINE: ":pipeline/",
    Kind.EXECUTION: "/execution/",
    Kind.ENDPOINT: ":endpoint/",
    Kind.CONFIG: ":endpoint-config/",
    Kind.MODEL: ":model/",
}


def resources_in(request: Request, kind: Kind) -> Iterator[str]:
    """The ARNs of this kind that the request names; none where it is about another kind."""
    if kind is Kind.ANY:
        yield "*"
        return
    for member, form in _MEMBERS[kind]:
        value = request.parameters.get(member)
        if not isinstance(value, str):
            continue
        text = (
            value
            if value.startswith("arn:") and "/1" not in form
            else form.format(
                place=f"{REGION}:{ACCOUNT}",
                value=value,
                key=request.parameters.get("Key", ""),
                last=value.rpartition("/")[2],
            )
        )
        arn = text if text.startswith("arn:") else f"arn:aws:{text}"
        mark = _MARKS.get(kind)
        executes = "/execution/" in arn and kind is not Kind.EXECUTION
        if mark is None or (mark in arn and not executes):
            yield arn
