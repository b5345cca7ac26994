"""Processing and training jobs, as the step engine recorded them."""

from ci.local.api.listing import page, select
from ci.local.context import ApiError, Context, Operation, Operations
from ci.local.store import Document

_PROCESSING_SUMMARY = (
    "ProcessingJobName",
    "ProcessingJobArn",
    "CreationTime",
    "ProcessingEndTime",
    "LastModifiedTime",
    "ProcessingJobStatus",
    "FailureReason",
    "ExitMessage",
)
_TRAINING_SUMMARY = (
    "TrainingJobName",
    "TrainingJobArn",
    "CreationTime",
    "TrainingEndTime",
    "LastModifiedTime",
    "TrainingJobStatus",
    "SecondaryStatus",
)


def describe_processing_job(context: Context, request: Document) -> Document:
    name = request["ProcessingJobName"]
    job = context.store.get("processing_job", name)
    if job is None:
        message = f"Could not find requested job with name: {name}"
        raise ApiError("ValidationException", message)
    return job


def describe_training_job(context: Context, request: Document) -> Document:
    job = context.store.get("training_job", request["TrainingJobName"])
    if job is None:
        raise ApiError("ValidationException", "Requested resource not found.")
    return job


def _list(kind: str, what: str, summary: tuple[str, ...]) -> Operation:
    name, status = f"{what}Name", f"{what}Status"

    def operation(context: Context, request: Document) -> Document:
        wanted = request.get("StatusEquals")
        jobs = [
            job
            for job in select(context.store.all(kind), request, name=name)
            if wanted is None or job.get(status) == wanted
        ]
        field = {"Name": name, "Status": status}.get(request.get("SortBy", ""), "CreationTime")
        chosen, more = page(
            jobs, request, key=lambda job: (job.get(field, ""), job[name]), order="Descending"
        )
        summaries = [{member: job[member] for member in summary if member in job} for job in chosen]
        return {f"{what}Summaries": summaries, **more}

    return operation


OPERATIONS: Operations = {
    "DescribeProcessingJob": describe_processing_job,
    "DescribeTrainingJob": describe_training_job,
    "ListProcessingJobs": _list("processing_job", "ProcessingJob", _PROCESSING_SUMMARY),
    "ListTrainingJobs": _list("training_job", "TrainingJob", _TRAINING_SUMMARY),
}
