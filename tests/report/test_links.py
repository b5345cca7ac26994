"""Addresses in AWS's consoles; none for what is local or unknown."""

from dataclasses import replace

import pytest
from support.samples import package

from ci.report.links import execution_link, job_link, log_link, model_link, object_link

EXECUTION = "arn:aws:sagemaker:eu-west-1:111122223333:pipeline/p-1/execution/abc123"
EU = "https://eu-west-1.console.aws.amazon.com"
GOV = "https://us-gov-west-1.console.amazonaws-us-gov.com"
JOB = "arn:aws:sagemaker:eu-west-1:111122223333:training-job/pipelines-x-Train/1"


def test_an_execution_in_studio() -> None:
    link = execution_link(EXECUTION, studio_domain="d-abc")
    assert link is not None
    assert link.url == (
        "https://studio-d-abc.studio.eu-west-1.sagemaker.aws"
        "/pipelines/view/p-1/executions/abc123/graph"
    )


def test_without_a_domain_the_console_leads_to_studio() -> None:
    link = execution_link(EXECUTION)
    assert link is not None
    assert link.url == f"{EU}/sagemaker/home?region=eu-west-1#/studio-landing"


def test_a_model_in_studio_and_its_files_in_s3() -> None:
    model = replace(
        package(), arn=JOB.replace("training-job/pipelines-x-Train/1", "model-package/a/3")
    )
    link = model_link(model, studio_domain="d-abc")
    assert link is not None
    assert link.url == (
        "https://studio-d-abc.studio.eu-west-1.sagemaker.aws/models/registered-models/abalone/versions"
    )
    assert model_link(model) is None
    held = object_link("s3://acme-ml/a b/model.tar.gz", JOB, label="Model artifact")
    assert held is not None
    assert held.url == f"{EU}/s3/object/acme-ml?region=eu-west-1&prefix=a%20b%2Fmodel.tar.gz"


@pytest.mark.parametrize(
    "uri", ["", "s3://", "s3://b/k", "https://x/y", "s3://a@b/c", "s3://bucket/"]
)
def test_no_object_no_link(uri: str) -> None:
    assert object_link(uri, JOB, label="x") is None


@pytest.mark.parametrize(
    ("arn", "url"),
    [
        (
            "arn:aws:sagemaker:eu-west-1:111122223333:processing-job/a-b",
            f"{EU}/sagemaker/home?region=eu-west-1#/processing-jobs/a-b",
        ),
        (
            "arn:aws-cn:sagemaker:cn-north-1:111122223333:training-job/a",
            "https://cn-north-1.console.amazonaws.cn/sagemaker/home?region=cn-north-1#/jobs/a",
        ),
        (
            "arn:aws-us-gov:sagemaker:us-gov-west-1:111122223333:endpoint/e",
            f"{GOV}/sagemaker/home?region=us-gov-west-1#/endpoints/e",
        ),
    ],
)
def test_jobs_in_every_partition(arn: str, url: str) -> None:
    link = job_link(arn)
    assert link is not None
    assert link.url == url


def test_logs_are_encoded_as_the_console_does() -> None:
    link = log_link(JOB, "/aws/sagemaker/TrainingJobs", "x/algo-1")
    assert link is not None
    assert link.url == (
        "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1"
        "#logsV2:log-groups/log-group/$252Faws$252Fsagemaker$252FTrainingJobs"
        "/log-events/x$252Falgo-1"
    )


def test_the_streams_of_a_job_by_what_they_begin_with() -> None:
    link = log_link(JOB, "/aws/sagemaker/TrainingJobs", prefix="pipelines-x-Train/")
    assert link is not None
    assert link.url.endswith("TrainingJobs$3FlogStreamNameFilter$3Dpipelines-x-Train$252F")


@pytest.mark.parametrize(
    "arn",
    [
        "", "arn", "arn:aws:s3:::bucket", EXECUTION.replace("111122223333", "000000000000"),
        "arn:aws-iso:sagemaker:us-iso-east-1:111122223333:training-job/a",
        "arn:aws:lambda:eu-west-1:111122223333:function:f",
        "arn:aws:sagemaker:x/../evil:111122223333:training-job/a",
        "arn:aws:sagemaker:eu-west-1:111122223333:model-package/g/1",
    ],
)  # fmt: skip
def test_no_place_to_show(arn: str) -> None:
    assert job_link(arn) is None
    assert execution_link(arn.replace("training-job", "x"), studio_domain="d") is None


@pytest.mark.parametrize("arn", ["", "arn:aws:sagemaker:eu-west-1:000000000000:training-job/a"])
def test_no_logs_of_what_is_local(arn: str) -> None:
    assert log_link(arn, "/aws/sagemaker/TrainingJobs") is None
