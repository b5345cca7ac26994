"""The model registry over an in-process context with a real store, against the service model."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.local_api import Api

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
