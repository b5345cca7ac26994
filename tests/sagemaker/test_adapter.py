"""The adapter against the local endpoint, and through a proxy that breaks calls."""

import contextlib
import io
import json
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.executing import BUCKET, ROLE, adapter, condition_definition, make_bundle, make_run
from support.faults import Fault, Rule, faulty_proxy

from ci.compile.bundle import Function
from ci.errors import AwsError
from ci.execution.start import ensure_execution
from ci.execution.upsert import deploy
from ci.registry.packages import (
    Provenance,
    champion,
    stamp_package,
)
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.functions import Put
from ci.sagemaker.model import ApprovalStatus, StepSnapshot

pytestmark = pytest.mark.endpoint


def test_what_is_not_there(aws: SageMaker) -> None:
    assert aws.pipelines.find("nowhere") is None
    assert aws.pipelines.delete("nowhere", token="t" * 32) is False
    assert list(aws.executions.summaries("nowhere")) == []
    assert aws.packages.endpoint("nowhere") is None
    assert list(aws.packages.in_group("nowhere")) == []
    with pytest.raises(AwsError) as caught:
        aws.artifacts.read(f"s3://{BUCKET}/nothing.json")
    assert caught.value.code == "NoSuchKey"
    assert caught.value.exit_code == 6


def test_artifacts_are_uploaded_once(aws: SageMaker, tmp_path: Path) -> None:
    files = {f"file-{number}.bin": bytes([number]) * 1000 for number in range(20)}
    bundle = make_bundle(b"{}", tmp_path, files)
    first, second = aws.artifacts.upload(bundle), aws.artifacts.upload(bundle)
    assert (first.written, first.present, first.size) == (20, 0, 20_000)
    assert (second.written, second.present) == (0, 20)
    for sha256, artifact in bundle.artifacts.items():
        uri = f"s3://{BUCKET}/bundles/{sha256}/{artifact.name}"
        assert aws.artifacts.read(uri) == files[artifact.name]


def test_a_missing_bucket_is_told_with_the_command_that_makes_it(
    aws: SageMaker, tmp_path: Path
) -> None:
    from dataclasses import replace

    bundle = replace(make_bundle(b"{}", tmp_path, {"a": b"a"}), bucket="no-such-bucket-here")
    with pytest.raises(AwsError) as caught:
        aws.artifacts.upload(bundle)
    assert caught.value.code == "NoSuchBucket"
    assert caught.value.fix == "aws s3 mb s3://no-such-bucket-here --region us-east-1"


def test_a_head_that_is_refused_without_a_reason_is_told_with_the_likely_ones(
    address: str, tmp_path: Path
) -> None:
    with faulty_proxy(address) as faults:
        faults.judge = lambda operation, _: (400, "", "") if operation == "s3:HEAD" else None
        with pytest.raises(AwsError) as caught:
            adapter(faults.address).artifacts.upload(make_bundle(b"{}", tmp_path, {"a": b"a"}))
    assert caught.value.what.startswith("HeadBucket was refused: 400")
    assert "credentials have expired" in str(caught.value.why)
    assert "region" in str(caught.value.fix)


def test_listings_are_read_to_the_last_page(aws: SageMaker, tmp_path: Path) -> None:
    bundle = make_bundle(condition_definition(), tmp_path)
    deploy(aws, bundle, make_run(bundle, name="pages"))
    for number in range(105):
        run = make_run(bundle, name="pages", commit=f"{number:040x}")
        ensure_execution_quickly(aws, run)
    assert len(list(aws.executions.summaries("pages"))) == 105
    found = aws.executions.find("pages", lambda item: "000000000003" in (item.description or ""))
    assert found is not None


def ensure_execution_quickly(aws: SageMaker, run: object) -> str:
    from ci.execution.start import start
    from ci.execution.upsert import Run

    assert isinstance(run, Run)
    return start(aws.executions, run, version_id=1)


def test_a_denied_call_tells_the_policy_statement_to_add(address: str) -> None:
    with faulty_proxy(address) as faults:
        faults.rules = [Rule(fault=Fault.DENIED, operation="DescribePipeline")]
        with pytest.raises(AwsError) as caught:
            adapter(faults.address).pipelines.find("pl")
    assert caught.value.code == "AccessDeniedException"
    assert caught.value.fix is not None
    statement = json.loads(caught.value.fix.splitlines()[-1])
    assert statement == {
        "Effect": "Allow",
        "Action": "sagemaker:DescribePipeline",
        "Resource": "arn:aws:sagemaker:us-east-1:000000000000:pipeline/pl",
    }
    assert faults.count("DescribePipeline") == 1


@pytest.mark.parametrize(
    "fault",
    [Fault.THROTTLE, Fault.RATE, Fault.UNAVAILABLE, Fault.RESET, Fault.TRUNCATED, Fault.GARBLED],
)
def test_patient_calls_outlast_a_fault_that_passes(address: str, fault: Fault) -> None:
    with faulty_proxy(address) as faults:
        faults.rules = [Rule(fault=fault, operation="ListPipelines", times=2)]
        aws = adapter(faults.address)
        assert isinstance(aws.pipelines.names("nothing-like-this"), tuple)
        assert faults.count("ListPipelines") == 3


def test_pollers_make_one_attempt(address: str) -> None:
    for fault in (Fault.THROTTLE, Fault.UNAVAILABLE, Fault.RESET, Fault.TRUNCATED, Fault.GARBLED):
        with faulty_proxy(address) as faults:
            faults.rules = [Rule(fault=fault, times=9)]
            with pytest.raises(AwsError):
                adapter(faults.address).executions.poll_summaries("p")
            assert len(faults.calls) == 1


def test_no_endpoint_at_all() -> None:
    with pytest.raises(AwsError) as caught:
        adapter("http://127.0.0.1:9").executions.poll_summaries("p")
    assert caught.value.code == "EndpointConnectionError"
    assert "127.0.0.1:9" in caught.value.what


def test_functions_are_made_updated_and_left_alone(aws: SageMaker) -> None:
    def function(source: str, memory: int) -> tuple[Function, bytes]:
        import hashlib

        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(zipfile.ZipInfo("main.py"), source)
        code = buffer.getvalue()
        configuration = {
            "Runtime": "python3.11",
            "Role": ROLE,
            "Handler": "main.handler",
            "MemorySize": memory,
            "Environment": {"Variables": {"A": "1"}},
        }
        return (
            Function(
                name="put-me",
                arn="arn:aws:lambda:us-east-1:000000000000:function:put-me",
                sha256=hashlib.sha256(code).hexdigest(),
                configuration=configuration,
            ),
            code,
        )

    assert aws.functions.put(*function("def handler(e, c): return 1", 128)) is Put.CREATED
    assert aws.functions.put(*function("def handler(e, c): return 1", 128)) is Put.UNCHANGED
    assert aws.functions.put(*function("def handler(e, c): return 2", 128)) is Put.UPDATED
    assert aws.functions.put(*function("def handler(e, c): return 2", 256)) is Put.UPDATED
    assert aws.functions.put(*function("def handler(e, c): return 2", 256)) is Put.UNCHANGED


def test_the_end_of_a_log_is_found_across_streams(aws: SageMaker) -> None:
    group = "/aws/sagemaker/ProcessingJobs"
    logs = aws.clients.client("logs")
    with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=group)
    now = int(time.time() * 1000)
    for stream, lines in (("tail-1/algo-1-1", 300), ("tail-10/algo-1-1", 3)):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        logs.put_log_events(
            logGroupName=group,
            logStreamName=stream,
            logEvents=[
                {"timestamp": now + number, "message": f"{stream} line {number}"}
                for number in range(lines)
            ],
        )
    step = StepSnapshot(
        name="x",
        status="Failed",
        job="arn:aws:sagemaker:us-east-1:000000000000:processing-job/tail-1",
    )
    tail = aws.logs.tail(step, lines=20)
    assert tail == tuple(f"tail-1/algo-1-1 line {number}" for number in range(280, 300))
    assert aws.logs.tail(StepSnapshot(name="x", status="Failed")) == ()
    missing = step.job.replace("tail-1", "never") if step.job else None
    assert aws.logs.tail(StepSnapshot(name="x", status="Failed", job=missing)) == ()


def _packages(aws: SageMaker, group: str, count: int) -> list[str]:
    sagemaker = aws.clients.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    return [
        sagemaker.create_model_package(
            ModelPackageGroupName=group, ModelApprovalStatus="PendingManualApproval"
        )["ModelPackageArn"]
        for _ in range(count)
    ]


def test_the_champion_is_the_newest_approved_but_the_challenger(aws: SageMaker) -> None:
    assert champion(aws.packages, "no-group", challenger=None, before=None) is None
    first, second, third, fourth = _packages(aws, "champions", 4)
    assert champion(aws.packages, "champions", challenger=fourth, before=None) is None
    for package in (first, second, fourth):
        aws.packages.update(package, approval=ApprovalStatus.APPROVED)
    found = champion(aws.packages, "champions", challenger=fourth, before=None)
    assert found is not None
    assert found.arn == second
    newest = champion(aws.packages, "champions", challenger=third, before=None)
    assert newest is not None
    assert newest.arn == fourth
    born = aws.packages.describe(second).created
    earlier = champion(aws.packages, "champions", challenger=None, before=born)
    assert earlier is not None
    assert earlier.arn == first


def test_a_package_tells_its_commit(aws: SageMaker) -> None:
    (package,) = _packages(aws, "stamped", 1)
    provenance = Provenance(
        commit="a" * 40,
        execution="arn:aws:sagemaker:us-east-1:000000000000:pipeline/p/execution/1",
        environment="main",
        digest="d" * 64,
        repository="acme/größe",
        run_url="https://ci.example/run?id=1&x=" + "y" * 400,
    )
    assert stamp_package(aws.packages, package, provenance) is True
    assert stamp_package(aws.packages, package, provenance) is False
    held = aws.packages.describe(package).metadata
    assert held["sagemaker-gitops:commit"] == "a" * 40
    assert len(held["sagemaker-gitops:run-url"]) == 256


def test_parallel_updates_of_one_pipeline_all_end(address: str, tmp_path: Path) -> None:
    bundles = [make_bundle(condition_definition(steps=n), tmp_path) for n in (1, 2, 3)]

    def job(number: int) -> bool:
        bundle = bundles[number]
        run = make_run(bundle, name="parallel", commit=f"{number:040x}")
        arn = ensure_execution(adapter(address), bundle, run).arn
        return adapter(address).executions.definition(arn) == bundle.definition

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(job, range(3))) == [True, True, True]
