"""The events that SageMaker publishes: their shapes, and that no kill or fault loses one."""

import io
import json
import os
import signal
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.dispatched import ROLE
from support.endpoint import client, running_endpoint
from support.executing import condition_definition
from support.local_api import Api
from support.rules import OF_PIPELINES, RuledQueue

from ci.execution.events import parse_notice
from ci.local.events import TELLERS
from ci.local.lifecycle import Endpoint, up
from ci.local.publisher import Publisher
from ci.local.store import Store

PIPELINE = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/demo"
EXECUTION = f"{PIPELINE}/execution/abc123def456"
WRITTEN = "2021-03-15T16:03:13Z"
MOMENT = 1615824193.25


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "state.db", tellers=TELLERS)) as opened:
        yield opened


def execution(status: str, **more: Any) -> dict[str, Any]:
    return {
        "PipelineArn": PIPELINE,
        "PipelineExecutionArn": EXECUTION,
        "PipelineExecutionDisplayName": "c0ffee",
        "PipelineExecutionStatus": status,
        "CreationTime": MOMENT,
        "LastModifiedTime": MOMENT,
        "Definition": "x" * 1000,
        **more,
    }


def told(store: Store) -> list[dict[str, Any]]:
    return [entry for _, entry in store.events(100)]


def details(store: Store) -> list[dict[str, Any]]:
    return [json.loads(entry["Detail"]) for entry in told(store)]


def test_an_execution_is_told_by_its_changes_of_status(store: Store) -> None:
    store.put("execution", EXECUTION, execution("Executing"), parent="demo")
    store.update("execution", EXECUTION, PipelineExecutionDescription="told by nothing")
    store.update("execution", EXECUTION, PipelineExecutionStatus="Succeeded")
    first, last = details(store)
    assert first["currentPipelineExecutionStatus"] == "Executing"
    assert "previousPipelineExecutionStatus" not in first
    assert "executionEndTime" not in first
    assert last == {
        "pipelineExecutionDisplayName": "c0ffee",
        "pipelineExecutionDescription": "told by nothing",
        "currentPipelineExecutionStatus": "Succeeded",
        "previousPipelineExecutionStatus": "Executing",
        "executionStartTime": WRITTEN,
        "executionEndTime": WRITTEN,
        "pipelineArn": PIPELINE,
        "pipelineExecutionArn": EXECUTION,
    }
    assert {entry["Source"] for entry in told(store)} == {"aws.sagemaker"}
    assert told(store)[0]["Resources"] == [PIPELINE, EXECUTION]


def test_a_step_is_told_as_the_guide_shows_it(store: Store) -> None:
    job = {"ProcessingJob": {"Arn": "arn:aws:sagemaker:us-east-1:1:processing-job/j"}}
    body = {"StepName": "prepare", "StepType": "Processing", "StartTime": MOMENT}
    key = f"{EXECUTION}#prepare"
    store.put("step", key, body | {"StepStatus": "Executing", "Metadata": job}, parent=EXECUTION)
    store.update("step", key, AttemptCount=2)
    store.update("step", key, StepStatus="Failed", EndTime=MOMENT, FailureReason="no such file")
    first, last = details(store)
    assert (first["previousStepStatus"], first["currentStepStatus"]) == ("Starting", "Executing")
    assert last == {
        "metadata": {"processingJob": {"arn": job["ProcessingJob"]["Arn"]}},
        "stepStartTime": WRITTEN,
        "stepEndTime": WRITTEN,
        "stepName": "prepare",
        "stepType": "Processing",
        "previousStepStatus": "Executing",
        "currentStepStatus": "Failed",
        "failureReason": "no such file",
        "pipelineArn": PIPELINE,
        "pipelineExecutionArn": EXECUTION,
    }


def test_a_cached_step_names_the_execution_it_took_its_result_from(store: Store) -> None:
    hit = {"CacheHitResult": {"SourcePipelineExecutionArn": EXECUTION}}
    body = {"StepName": "train", "StepStatus": "Succeeded", "StartTime": MOMENT, **hit}
    store.put("step", f"{EXECUTION}#train", body, parent=EXECUTION)
    (detail,) = details(store)
    assert detail["cacheHitResult"] == {"sourcePipelineExecutionArn": EXECUTION}
    assert detail["previousStepStatus"] == "Executing"


def test_a_package_is_told_when_made_and_when_it_changes(tmp_path: Path) -> None:
    with Api(tmp_path, tellers=TELLERS) as api:
        api("CreateModelPackageGroup", ModelPackageGroupName="g")
        arn = api("CreateModelPackage", ModelPackageGroupName="g")["ModelPackageArn"]
        for status in ("Approved", "Approved", "Rejected"):
            api("UpdateModelPackage", ModelPackageArn=arn, ModelApprovalStatus=status)
        note = {"owner": "ada"}
        api("UpdateModelPackage", ModelPackageArn=arn, CustomerMetadataProperties=note)
        made, *updates = details(api.store)
        assert told(api.store)[0]["Resources"] == [arn]
    assert made["ModelApprovalStatus"] == "PendingManualApproval"
    assert made["CreationTime"] == made["LastModifiedTime"] == "2027-01-15T08:00:01Z"
    assert "UpdatedModelPackageFields" not in made
    assert [
        (each["ModelApprovalStatus"], each["UpdatedModelPackageFields"]) for each in updates
    ] == [
        ("Approved", ["ModelApprovalStatus"]),
        ("Rejected", ["ModelApprovalStatus"]),
        ("Rejected", ["CustomerMetadataProperties"]),
    ]


def test_jobs_and_endpoints_write_their_times_in_their_own_ways(store: Store) -> None:
    common = {"CreationTime": MOMENT, "LastModifiedTime": MOMENT}
    processing = {"ProcessingJobArn": "arn:p", "ProcessingJobStatus": "InProgress"}
    training = {"TrainingJobArn": "arn:t", "TrainingJobStatus": "InProgress"}
    serving = {"EndpointArn": "arn:e", "EndpointName": "e", "EndpointStatus": "InService"}
    store.put("processing_job", "p", common | processing)
    store.put("training_job", "t", common | training | {"SecondaryStatus": "Downloading"})
    store.update("training_job", "t", SecondaryStatus="Training")
    store.put("endpoint", "e", common | serving)
    of_processing, downloading, in_training, of_endpoint = details(store)
    assert of_processing["CreationTime"] == 1615824193250
    assert downloading["CreationTime"] == "1615824193250"
    assert in_training["SecondaryStatus"] == "Training"
    assert (of_endpoint["EndpointStatus"], of_endpoint["CreationTime"]) == (
        "IN_SERVICE",
        1615824193250,
    )


def test_what_is_rolled_back_is_not_told(store: Store) -> None:
    def change() -> None:
        with store.transaction():
            store.put("execution", EXECUTION, execution("Executing"), parent="demo")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change()
    assert store.events(10) == []


class Bus:
    """An event bus in the place of boto3's client: takes what it is told to take."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.codes: list[str | None] = []
        self.down = 0

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's
        from botocore.exceptions import EndpointConnectionError

        if self.down:
            self.down -= 1
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")
        assert 1 <= len(Entries) <= 10
        results: list[dict[str, Any]] = []
        for entry in Entries:
            code = self.codes.pop(0) if self.codes else None
            if code is None:
                self.taken.append(json.loads(entry["Detail"])["pipelineExecutionDisplayName"])
            results.append({"ErrorCode": code} if code else {"EventId": "1"})
        return {"FailedEntryCount": 0, "Entries": results}


def publish(store: Store, bus: Bus, done: Callable[[], bool]) -> None:
    publisher = Publisher(store, lambda _service: bus)
    publisher.start()
    wait_until(done)
    publisher.close()


def wait_until(done: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def fill(store: Store, names: range) -> None:
    for number in names:
        body = execution("Executing", PipelineExecutionDisplayName=str(number))
        store.put("execution", f"{EXECUTION}{number}", body)


def test_events_arrive_in_order_although_the_bus_is_away_and_throttles(store: Store) -> None:
    bus = Bus()
    bus.down = 1
    bus.codes = [None, None, "ThrottlingException"]
    fill(store, range(25))
    publish(store, bus, lambda: not store.events(1))
    first = list(dict.fromkeys(bus.taken))
    assert sorted(map(int, first)) == list(range(25))
    # Those of the throttled one's batch that were taken come once more behind it.
    assert bus.taken[-23:] == [str(number) for number in range(2, 25)]


def test_one_that_the_bus_refuses_does_not_hold_up_the_next(store: Store) -> None:
    bus = Bus()
    bus.codes = ["NotAuthorizedForSourceException"]
    fill(store, range(3))
    publish(store, bus, lambda: not store.events(1))
    assert bus.taken == ["1", "2"]


def test_what_was_not_sent_when_it_ended_is_sent_after_the_next_start(tmp_path: Path) -> None:
    file, bus = tmp_path / "state.db", Bus()
    bus.down = 1000
    first = Store(file, tellers=TELLERS)
    fill(first, range(3))
    publish(first, bus, lambda: bus.down < 1000)
    first.close()
    bus.down = 0
    with closing(Store(file, tellers=TELLERS)) as again:
        publish(again, bus, lambda: not again.events(1))
    assert bus.taken == ["0", "1", "2"]


def test_a_change_never_waits_for_a_bus_that_hangs(store: Store) -> None:
    released = threading.Event()

    class Hanging(Bus):
        def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
            released.wait(20)
            return super().put_events(Entries)

    bus = Hanging()
    publisher = Publisher(store, lambda _service: bus)
    publisher.start()
    began = time.monotonic()
    fill(store, range(50))
    assert time.monotonic() - began < 2
    released.set()
    wait_until(lambda: not store.events(1))
    publisher.close()
    assert len(bus.taken) == 50


# ---------------------------------------------------------------- behind the real endpoint


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with running_endpoint(tmp_path_factory.mktemp("endpoint")) as running:
        yield running


def run_pipeline(endpoint: Endpoint, name: str) -> str:
    sagemaker = client(endpoint, "sagemaker")
    sagemaker.create_pipeline(
        PipelineName=name, PipelineDefinition=condition_definition().decode(), RoleArn=ROLE
    )
    return str(sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"])


@pytest.mark.endpoint
def test_a_rule_fills_a_queue_that_following_understands(endpoint: Endpoint) -> None:
    queue = RuledQueue(endpoint.address, "all", OF_PIPELINES)
    arn = run_pipeline(endpoint, "told")

    def ended(bodies: list[str]) -> bool:
        return any(found and found.terminal for found in map(parse_notice, bodies))

    notices = [parse_notice(body) for body in queue.wait_for(ended)]
    assert [(found.step, found.status) for found in notices if found] == [
        (None, "Executing"),
        ("check-0", "Succeeded"),
        (None, "Succeeded"),
    ]
    assert {found.arn for found in notices if found} == {arn}
    event = json.loads(queue.bodies[0])
    assert (event["region"], event["account"]) == ("us-east-1", "000000000000")


@pytest.mark.endpoint
def test_a_rule_on_approvals_calls_a_function(endpoint: Endpoint) -> None:
    functions, events = client(endpoint, "lambda"), client(endpoint, "events")
    sagemaker, sqs = client(endpoint, "sagemaker"), client(endpoint, "sqs")
    url = sqs.create_queue(QueueName="heard")["QueueUrl"]
    code = (
        "import boto3, json, os\n"
        "def handler(event, context):\n"
        "    boto3.client('sqs', region_name='us-east-1').send_message(\n"
        "        QueueUrl=os.environ['QUEUE'], MessageBody=json.dumps(event['detail']))\n"
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", code)
    function = functions.create_function(
        FunctionName="hears",
        Runtime="python3.11",
        Role=ROLE,
        Handler="index.handler",
        Code={"ZipFile": packed.getvalue()},
        Environment={"Variables": {"QUEUE": url}},
    )["FunctionArn"]
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": ["heard"], "ModelApprovalStatus": ["Approved"]},
    }
    events.put_rule(Name="heard", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="heard", Targets=[{"Id": "function", "Arn": function}])
    foreign = {"Source": "aws.s3", "DetailType": "x", "Detail": "{}"}
    assert events.put_events(Entries=[foreign])["FailedEntryCount"] == 1
    sagemaker.create_model_package_group(ModelPackageGroupName="heard")
    arn = sagemaker.create_model_package(ModelPackageGroupName="heard")["ModelPackageArn"]
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=15)["Messages"]
    detail = json.loads(message["Body"])
    assert (detail["ModelPackageArn"], detail["ModelApprovalStatus"]) == (arn, "Approved")


@pytest.mark.endpoint
def test_no_kill_loses_an_event(tmp_path: Path) -> None:
    with running_endpoint(tmp_path) as endpoint:
        queue = RuledQueue(
            endpoint.address, "ends", {"detail": {"currentPipelineExecutionStatus": ["Succeeded"]}}
        )
        time.sleep(1.5)  # the emulator has saved rule and queue by then
        os.kill(int((tmp_path / "emulator.pid").read_text()), signal.SIGKILL)
        arns = {run_pipeline(endpoint, "while-it-is-away")}
        os.kill(endpoint.pid, signal.SIGKILL)
        up(tmp_path)
        arns.add(run_pipeline(endpoint, "afterwards"))
        bodies = queue.wait_for(lambda found: len(heard(found)) == 2)
        assert heard(bodies) == arns


def heard(bodies: list[str]) -> set[str]:
    return {str(json.loads(body)["detail"]["pipelineExecutionArn"]) for body in bodies}
