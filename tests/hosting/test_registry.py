"""The model registry over an in-process context with a real store, against the service model."""

import itertools
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.endpoint import client, running_endpoint
from support.local_api import Api, Clock

from ci.local.api.registry_events import event_entry
from ci.local.context import ApiError

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
SPECIFICATION = {
    "Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://bucket/model.tar.gz"}],
    "SupportedContentTypes": ["text/csv"],
    "SupportedResponseMIMETypes": ["text/csv"],
}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with Api(tmp_path) as api:
        yield api


def register(api: Api, group: str = "abalone", **more: Any) -> str:
    response = api(
        "CreateModelPackage",
        ModelPackageGroupName=group,
        InferenceSpecification=SPECIFICATION,
        **more,
    )
    return str(response["ModelPackageArn"])


def refused(api: Api, operation: str, **request: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        api(operation, **request)
    return caught.value


def test_versions_count_up_and_are_never_given_out_twice(api: Api) -> None:
    api("CreateModelPackageGroup", ModelPackageGroupName="abalone")
    first, second = register(api), register(api)
    assert first == "arn:aws:sagemaker:us-east-1:000000000000:model-package/abalone/1"
    assert second.endswith("/abalone/2")
    api("DeleteModelPackage", ModelPackageName=second)
    assert register(api).endswith("/abalone/3")


def test_a_package_needs_its_group(api: Api) -> None:
    error = refused(
        api,
        "CreateModelPackage",
        ModelPackageGroupName="nowhere",
        InferenceSpecification=SPECIFICATION,
    )
    assert error.code == "ValidationException"
    assert error.message.endswith(":model-package-group/nowhere does not exist.")
    assert refused(api, "CreateModelPackage").message == "Missing ARN."


def test_a_package_is_found_by_arn_by_name_and_version_and_by_name(api: Api) -> None:
    api("CreateModelPackageGroup", ModelPackageGroupName="abalone")
    arn = register(api, ModelPackageDescription="çok iyi 🐚")
    by_arn = api("DescribeModelPackage", ModelPackageName=arn)
    assert api("DescribeModelPackage", ModelPackageName="abalone/1") == by_arn
    assert by_arn["ModelPackageDescription"] == "çok iyi 🐚"
    assert by_arn["ModelApprovalStatus"] == "PendingManualApproval"
    api("CreateModelPackage", ModelPackageName="alone", InferenceSpecification=SPECIFICATION)
    alone = api("DescribeModelPackage", ModelPackageName="alone")
    assert "ModelApprovalStatus" not in alone
    assert "does not exist" in refused(api, "DescribeModelPackage", ModelPackageName="x/9").message


def test_a_repeated_client_token_registers_once(api: Api) -> None:
    api("CreateModelPackageGroup", ModelPackageGroupName="abalone")
    assert register(api, ClientToken="t-1") == register(api, ClientToken="t-1")
    assert (
        len(api("ListModelPackages", ModelPackageGroupName="abalone")["ModelPackageSummaryList"])
        == 1
    )
    with pytest.raises(ApiError) as caught:
        register(api, ClientToken="t-1", ModelPackageDescription="another")
    assert caught.value.code == "ConflictException"


def test_an_update_keeps_what_it_does_not_name(api: Api) -> None:
    api("CreateModelPackageGroup", ModelPackageGroupName="abalone")
    arn = register(api, CustomerMetadataProperties={"commit": "abc", "branch": "main"})
    api(
        "UpdateModelPackage",
        ModelPackageArn=arn,
        ModelApprovalStatus="Approved",
        ApprovalDescription="better",
        CustomerMetadataProperties={"branch": "side", "by": "ana"},
        CustomerMetadataPropertiesToRemove=["commit"],
    )
    package = api("DescribeModelPackage", ModelPackageName=arn)
    assert package["CustomerMetadataProperties"] == {"branch": "side", "by": "ana"}
    assert package["ModelApprovalStatus"] == "Approved"
    assert package["ApprovalDescription"] == "better"
    assert package["LastModifiedTime"] > package["CreationTime"]
    assert package["InferenceSpecification"] == SPECIFICATION
    api("UpdateModelPackage", ModelPackageArn=arn, ModelApprovalStatus="Rejected")
    package = api("DescribeModelPackage", ModelPackageName=arn)
    assert package["CustomerMetadataProperties"] == {"branch": "side", "by": "ana"}


def test_metadata_has_a_limit(api: Api) -> None:
    api("CreateModelPackageGroup", ModelPackageGroupName="abalone")
    arn = register(api, CustomerMetadataProperties={f"k{i}": "v" for i in range(50)})
    error = refused(
        api, "UpdateModelPackage", ModelPackageArn=arn, CustomerMetadataProperties={"one": "more"}
    )
    assert error.code == "ValidationException"
    assert "51" in error.message


def test_the_latest_approved_is_found_as_clients_look_for_it(api: Api) -> None:
    api("CreateModelPackageGroup", ModelPackageGroupName="abalone")
    arns = [register(api) for _ in range(4)]
    for arn in arns[:3]:
        api("UpdateModelPackage", ModelPackageArn=arn, ModelApprovalStatus="Approved")
    latest = api(
        "ListModelPackages",
        ModelPackageGroupName="abalone",
        ModelApprovalStatus="Approved",
        SortBy="CreationTime",
        SortOrder="Descending",
        MaxResults=1,
    )["ModelPackageSummaryList"]
    assert [package["ModelPackageArn"] for package in latest] == [arns[2]]


@pytest.mark.parametrize("order", ["Ascending", "Descending"])
@pytest.mark.parametrize("sort", ["Name", "CreationTime"])
def test_pages_hold_everything_once_even_at_one_moment(api: Api, order: str, sort: str) -> None:
    api.clock.step = 0.0
    api("CreateModelPackageGroup", ModelPackageGroupName="abalone")
    arns = [register(api) for _ in range(13)]
    request = {"ModelPackageGroupName": "abalone", "SortBy": sort, "SortOrder": order}
    seen: list[str] = []
    token: dict[str, Any] = {}
    while True:
        response = api("ListModelPackages", MaxResults=4, **request, **token)
        seen += [package["ModelPackageArn"] for package in response["ModelPackageSummaryList"]]
        if "NextToken" not in response:
            break
        token = {"NextToken": response["NextToken"]}
    assert seen == (arns if order == "Ascending" else arns[::-1])


@pytest.mark.parametrize("token", ["x", "e30=", "🐚", "WyJhIiwgMl0="])
def test_a_foreign_token_is_refused(api: Api, token: str) -> None:
    api("CreateModelPackageGroup", ModelPackageGroupName="abalone")
    register(api)
    error = refused(api, "ListModelPackages", ModelPackageGroupName="abalone", NextToken=token)
    assert (error.code, error.message) == ("ValidationException", "The NextToken is invalid.")


def test_a_list_without_a_group_holds_unversioned_packages(api: Api) -> None:
    api("CreateModelPackageGroup", ModelPackageGroupName="abalone")
    versioned = register(api)
    api("CreateModelPackage", ModelPackageName="alone", InferenceSpecification=SPECIFICATION)

    def listed(**request: Any) -> list[str]:
        response = api("ListModelPackages", **request)
        return [p["ModelPackageArn"] for p in response["ModelPackageSummaryList"]]

    assert [arn.rsplit("/", 1)[-1] for arn in listed()] == ["alone"]
    assert listed(ModelPackageType="Versioned") == [versioned]
    assert len(listed(ModelPackageType="Both")) == 2
    assert listed(ModelPackageType="Both", NameContains="LON") == listed(ModelPackageType="Both")
    assert listed(ModelPackageType="Both", CreationTimeBefore=1.0) == []


def test_a_group_with_packages_stays(api: Api) -> None:
    api(
        "CreateModelPackageGroup",
        ModelPackageGroupName="abalone",
        Tags=[{"Key": "a", "Value": "b"}],
    )
    arn = register(api)
    error = refused(api, "DeleteModelPackageGroup", ModelPackageGroupName="abalone")
    assert error.code == "ConflictException"
    api("DeleteModelPackage", ModelPackageName=arn)
    api("DeleteModelPackageGroup", ModelPackageGroupName="abalone")
    assert (
        "does not exist"
        in refused(api, "DescribeModelPackageGroup", ModelPackageGroupName="abalone").message
    )
    assert api.store.all("tags") == []


def test_groups_are_described_listed_and_unique(api: Api) -> None:
    for name in ("b", "a", "c"):
        api("CreateModelPackageGroup", ModelPackageGroupName=name)
    assert refused(api, "CreateModelPackageGroup", ModelPackageGroupName="a").message == (
        "Model Package Group already exists:"
        " arn:aws:sagemaker:us-east-1:000000000000:model-package-group/a"
    )
    listed = api("ListModelPackageGroups", SortBy="Name", MaxResults=2)
    names = [group["ModelPackageGroupName"] for group in listed["ModelPackageGroupSummaryList"]]
    assert names == ["a", "b"]
    arn = "arn:aws:sagemaker:us-east-1:000000000000:model-package-group/b"
    assert (
        api("DescribeModelPackageGroup", ModelPackageGroupName=arn)["ModelPackageGroupArn"] == arn
    )
    other = arn.replace("us-east-1", "eu-west-1")
    assert other in refused(api, "DescribeModelPackageGroup", ModelPackageGroupName=other).message


def test_a_batch_names_what_is_missing(api: Api) -> None:
    api("CreateModelPackageGroup", ModelPackageGroupName="abalone")
    arn = register(api)
    missing = arn.replace("/1", "/7")
    response = api("BatchDescribeModelPackage", ModelPackageArnList=[arn, missing])
    assert list(response["ModelPackageSummaries"]) == [arn]
    assert list(response["BatchDescribeModelPackageErrorMap"]) == [missing]


class _Bus(ThreadingHTTPServer):
    """An event bus that keeps what it is sent."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.arrived = threading.Condition()
        bus = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with bus.arrived:
                    bus.entries += json.loads(body)["Entries"]
                    bus.arrived.notify_all()
                answer = b'{"FailedEntryCount":0,"Entries":[]}'
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *arguments: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)


def test_an_approval_reaches_the_event_bus_once_and_in_order(tmp_path: Path) -> None:
    bus = _Bus()
    thread = threading.Thread(target=bus.serve_forever)
    thread.start()
    try:
        with Api(tmp_path, address=f"http://127.0.0.1:{bus.server_port}") as api:
            api("CreateModelPackageGroup", ModelPackageGroupName="abalone")
            arn = register(api)
            for status in ("Approved", "Approved", "Rejected"):
                api("UpdateModelPackage", ModelPackageArn=arn, ModelApprovalStatus=status)
            with bus.arrived:
                assert bus.arrived.wait_for(lambda: len(bus.entries) >= 3, timeout=30)
    finally:
        bus.shutdown()
        thread.join()
        bus.server_close()
    details = [json.loads(entry["Detail"]) for entry in bus.entries]
    assert [detail["ModelApprovalStatus"] for detail in details] == [
        "PendingManualApproval",
        "Approved",
        "Rejected",
    ]
    assert {entry["Source"] for entry in bus.entries} == {"aws.sagemaker"}
    assert bus.entries[0]["Resources"] == [arn]


@pytest.mark.endpoint
def test_a_rule_on_approvals_fires(tmp_path: Path) -> None:
    with running_endpoint(tmp_path) as endpoint:
        names = ("sagemaker", "events", "sqs")
        sagemaker, events, sqs = (client(endpoint, name) for name in names)
        queue = sqs.create_queue(QueueName="approvals")["QueueUrl"]
        wanted = {"QueueUrl": queue, "AttributeNames": ["QueueArn"]}
        target = sqs.get_queue_attributes(**wanted)["Attributes"]["QueueArn"]
        pattern = {
            "source": ["aws.sagemaker"],
            "detail-type": ["SageMaker Model Package State Change"],
            "detail": {"ModelPackageGroupName": ["g"], "ModelApprovalStatus": ["Approved"]},
        }
        events.put_rule(Name="approved", EventPattern=json.dumps(pattern))
        events.put_targets(Rule="approved", Targets=[{"Id": "queue", "Arn": target}])
        foreign = {"Source": "aws.s3", "DetailType": "x", "Detail": "{}"}
        assert events.put_events(Entries=[foreign])["FailedEntryCount"] == 1
        sagemaker.create_model_package_group(ModelPackageGroupName="g")
        arn = sagemaker.create_model_package(
            ModelPackageGroupName="g", InferenceSpecification=SPECIFICATION
        )["ModelPackageArn"]
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
        messages = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"]
    (message,) = (json.loads(message["Body"]) for message in messages)
    assert message["detail"]["ModelPackageArn"] == arn
    assert message["detail"]["ModelApprovalStatus"] == "Approved"


def test_an_event_carries_times_as_text() -> None:
    clock = Clock()
    entry = event_entry({"ModelPackageArn": "arn", "CreationTime": clock()})
    assert json.loads(entry["Detail"])["CreationTime"] == "2027-01-15T08:00:00.000Z"


def test_registrations_at_the_same_time_get_versions_of_their_own(api: Api) -> None:
    api("CreateModelPackageGroup", ModelPackageGroupName="abalone")
    arns: list[str] = []
    threads = [threading.Thread(target=lambda: arns.append(register(api))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(arn.rsplit("/", 1)[-1]) for arn in arns) == list(
        itertools.islice(itertools.count(1), 8)
    )
