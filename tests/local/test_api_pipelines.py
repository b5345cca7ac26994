"""Pipelines and their versions, as AWS's API behaves."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.dispatched import ROLE, LocalApi, definition

from ci.local.context import ApiError


@pytest.fixture
def api(tmp_path: Path) -> Iterator[LocalApi]:
    local = LocalApi(tmp_path)
    yield local
    local.store.close()


def refused(call: Callable[[], Any], code: str) -> str:
    with pytest.raises(ApiError) as caught:
        call()
    assert caught.value.code == code
    return caught.value.message


def test_a_created_pipeline_is_described_as_it_was_given(api: LocalApi) -> None:
    arn = api.create("My-Pipe", PipelineDescription="d", Tags=[{"Key": "a", "Value": "b"}])
    assert arn == "arn:aws:sagemaker:us-east-1:000000000000:pipeline/my-pipe"
    found = api("DescribePipeline", PipelineName="My-Pipe")
    assert found["PipelineDefinition"] == definition()
    assert (found["RoleArn"], found["PipelineDescription"]) == (ROLE, "d")
    assert found["PipelineStatus"] == "Active"
    assert found == api("DescribePipeline", PipelineName=arn)
    assert api("ListTags", ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]


def test_a_second_pipeline_of_one_name_is_refused_in_the_words_upsert_looks_for(
    api: LocalApi,
) -> None:
    api.create("p")
    message = refused(lambda: api.create("p"), "ValidationException")
    assert "already exists" in message


def test_names_that_differ_in_case_alone_have_one_arn_and_are_one_pipeline(api: LocalApi) -> None:
    api.create("Pipe")
    assert "already exists" in refused(lambda: api.create("pipe"), "ValidationException")


def test_the_same_create_request_twice_makes_one_pipeline(api: LocalApi) -> None:
    token = "t" * 40
    assert api.create(ClientRequestToken=token) == api.create(ClientRequestToken=token)
    message = refused(
        lambda: api.create(ClientRequestToken=token, PipelineDescription="another"),
        "ConflictException",
    )
    assert token in message


def test_a_definition_is_required_and_only_one(api: LocalApi) -> None:
    refused(lambda: api("CreatePipeline", PipelineName="p", RoleArn=ROLE), "ValidationException")
    location = {"Bucket": "bucket", "ObjectKey": "key"}
    message = refused(
        lambda: api.create(PipelineDefinitionS3Location=location), "ValidationException"
    )
    assert "Only one" in message


@pytest.mark.parametrize("text", ["{", "[]", "null", '"x"', "{}", '{"Version": "2020-12-01"}'])
def test_what_is_no_definition_is_refused(api: LocalApi, text: str) -> None:
    refused(lambda: api.create(PipelineDefinition=text), "ValidationException")


def test_all_problems_of_a_definition_are_told_at_once(api: LocalApi) -> None:
    steps = [
        {"Name": "a", "Type": "Fail", "DependsOn": ["b"], "Arguments": {"ErrorMessage": "x"}},
        {
            "Name": "c",
            "Type": "Fail",
            "Arguments": {"ErrorMessage": {"Get": "Parameters.Missing"}},
        },
    ]
    message = refused(
        lambda: api.create(PipelineDefinition=definition(Steps=steps)), "ValidationException"
    )
    assert "$.Steps[0]" in message
    assert "Missing" in message


def test_a_step_that_cannot_run_here_is_refused_by_name(api: LocalApi) -> None:
    inner = {"Name": "tune-it", "Type": "Tuning", "Arguments": {}}
    condition = {
        "Name": "check",
        "Type": "Condition",
        "Arguments": {"Conditions": [], "IfSteps": [inner], "ElseSteps": []},
    }
    message = refused(
        lambda: api.create(PipelineDefinition=definition(Steps=[condition])),
        "ValidationException",
    )
    assert "step 'tune-it'" in message
    assert "type 'Tuning'" in message
    assert "Run this pipeline on AWS" in message
    assert api("ListPipelines")["PipelineSummaries"] == []


def test_only_a_changed_definition_makes_a_version(api: LocalApi) -> None:
    arn = api.create()
    same = api("UpdatePipeline", PipelineName="p", PipelineDescription="new words")
    assert same == {"PipelineArn": arn, "PipelineVersionId": 1}
    changed = definition(Metadata={"n": "2"})
    assert (
        api("UpdatePipeline", PipelineName="p", PipelineDefinition=changed)["PipelineVersionId"]
        == 2
    )
    listed = api("ListPipelineVersions", PipelineName="p")["PipelineVersionSummaries"]
    assert [version["PipelineVersionId"] for version in listed] == [2, 1]
    first = api("DescribePipeline", PipelineName="p", PipelineVersionId=1)
    assert first["PipelineDefinition"] == definition()
    assert first["PipelineDescription"] == "new words"
    assert api("DescribePipeline", PipelineName="p")["PipelineDefinition"] == changed


def test_an_alias_names_one_version_and_moves_only_when_it_was_removed(api: LocalApi) -> None:
    arn = api.create(PipelineVersionAliases=["prod"])
    api("UpdatePipeline", PipelineName="p", PipelineDefinition=definition(Metadata={"n": "2"}))
    add: dict[str, Any] = {
        "PipelineArn": arn,
        "PipelineVersionId": 2,
        "PipelineVersionAliasOperations": {"Add": ["prod"]},
    }
    assert "version 1" in refused(lambda: api("UpdatePipelineVersion", **add), "ConflictException")
    api(
        "UpdatePipelineVersion",
        PipelineArn=arn,
        PipelineVersionId=1,
        PipelineVersionAliasOperations={"Remove": ["prod"]},
    )
    api("UpdatePipelineVersion", **add)
    found = api("DescribePipeline", PipelineName="p", PipelineVersionAlias="prod")
    assert json.loads(found["PipelineDefinition"])["Metadata"] == {"n": "2"}


def test_bad_aliases_are_refused(api: LocalApi) -> None:
    refused(lambda: api.create(PipelineVersionAliases=["2026"]), "ValidationException")
    api.create()
    message = refused(
        lambda: api("UpdatePipeline", PipelineName="p", PipelineVersionAliases=["x"]),
        "ValidationException",
    )
    assert "only when the update changes" in message
    refused(
        lambda: api("DescribePipeline", PipelineName="p", PipelineVersionAlias="x"),
        "ResourceNotFound",
    )
    refused(
        lambda: api(
            "DescribePipeline", PipelineName="p", PipelineVersionAlias="x", PipelineVersionId=1
        ),
        "ValidationException",
    )


def test_a_failed_create_leaves_nothing(api: LocalApi) -> None:
    refused(lambda: api.create(PipelineVersionAliases=["7"]), "ValidationException")
    refused(lambda: api.create(Tags=[{"Key": "aws:x", "Value": ""}]), "ValidationException")
    assert api("ListPipelines")["PipelineSummaries"] == []
    assert api.create()


@pytest.mark.parametrize(
    "name",
    ["nope", "arn:aws:sagemaker:us-east-1:000000000000:pipeline/nope"],
)
def test_what_is_not_there_is_not_found(api: LocalApi, name: str) -> None:
    message = refused(lambda: api("DescribePipeline", PipelineName=name), "ResourceNotFound")
    assert message == (
        "Pipeline 'arn:aws:sagemaker:us-east-1:000000000000:pipeline/nope' does not exist."
    )


def test_a_pipeline_of_another_account_or_region_is_not_ours(api: LocalApi) -> None:
    api.create("p")
    for place in ("eu-west-1:000000000000", "us-east-1:111111111111"):
        arn = f"arn:aws:sagemaker:{place}:pipeline/p"
        assert arn in refused(
            lambda arn=arn: api("DescribePipeline", PipelineName=arn), "ResourceNotFound"
        )


def test_a_deleted_pipeline_takes_its_history_along(api: LocalApi) -> None:
    arn = api.create()
    execution = api.start(ClientRequestToken="s" * 32)
    api("AddTags", ResourceArn=execution, Tags=[{"Key": "k", "Value": "v"}])
    message = refused(lambda: api("DeletePipeline", PipelineName="p"), "ConflictException")
    assert execution in message
    api.engine.finish(execution, "Failed")
    assert api("DeletePipeline", PipelineName="p") == {"PipelineArn": arn}
    refused(
        lambda: api("DescribePipelineExecution", PipelineExecutionArn=execution),
        "ResourceNotFound",
    )
    api.create()
    assert api("ListPipelineExecutions", PipelineName="p")["PipelineExecutionSummaries"] == []
    assert api.start(ClientRequestToken="s" * 32) != execution
    assert api("ListTags", ResourceArn=arn)["Tags"] == []


def test_lists_filter_and_sort(api: LocalApi) -> None:
    for name in ("beta", "alpha", "gamma", "beta-2"):
        api.create(name)

    def names(**request: Any) -> list[str]:
        listed = api("ListPipelines", **request)["PipelineSummaries"]
        return [item["PipelineName"] for item in listed]

    assert names() == ["beta-2", "gamma", "alpha", "beta"]
    assert names(SortBy="Name", SortOrder="Ascending") == ["alpha", "beta", "beta-2", "gamma"]
    assert names(PipelineNamePrefix="beta") == ["beta-2", "beta"]
    assert names(ManagedBy="AWS") == []
    created = {
        item["PipelineName"]: item["CreationTime"]
        for item in api("ListPipelines")["PipelineSummaries"]
    }
    assert names(CreatedAfter=created["alpha"]) == ["beta-2", "gamma"]
    assert names(CreatedBefore=created["alpha"]) == ["beta"]


def test_pages_neither_repeat_nor_hide_when_pipelines_come_and_go(api: LocalApi) -> None:
    for number in range(6):
        api.create(f"p{number}")
    first = api("ListPipelines", MaxResults=2)
    assert [item["PipelineName"] for item in first["PipelineSummaries"]] == ["p5", "p4"]
    api.create("newest")
    api("DeletePipeline", PipelineName="p4")
    second = api("ListPipelines", MaxResults=2, NextToken=first["NextToken"])
    assert [item["PipelineName"] for item in second["PipelineSummaries"]] == ["p3", "p2"]
    refused(lambda: api("ListPipelines", NextToken="nonsense"), "ValidationException")


def test_tags_are_merged_replaced_and_limited(api: LocalApi) -> None:
    arn = api.create(Tags=[{"Key": "a", "Value": "1"}])
    api("AddTags", ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
    assert api("ListTags", ResourceArn=arn)["Tags"] == [
        {"Key": "a", "Value": "2"},
        {"Key": "b", "Value": ""},
    ]
    api("DeleteTags", ResourceArn=arn, TagKeys=["a", "never"])
    assert api("ListTags", ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": ""}]
    many = [{"Key": f"k{number}", "Value": "v"} for number in range(50)]
    refused(lambda: api("AddTags", ResourceArn=arn, Tags=many), "ResourceLimitExceeded")
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    refused(lambda: api("AddTags", ResourceArn=arn, Tags=twice), "ValidationException")
    refused(lambda: api("ListTags", ResourceArn=arn.replace("/p", "/nope")), "ResourceNotFound")


def test_an_operation_we_do_not_serve_is_refused_by_name(api: LocalApi) -> None:
    message = refused(lambda: api.dispatcher.call("CreateApp", {}), "UnsupportedOperationException")
    assert "CreateApp" in message
    message = refused(lambda: api.dispatcher.call("MakeTea", {}), "UnknownOperationException")
    assert "MakeTea" in message


def test_a_response_that_does_not_fit_is_a_bug_not_an_answer(api: LocalApi) -> None:
    api.create()
    api.store.update("pipeline", "p", PipelineStatus="Sleeping")
    message = refused(lambda: api("DescribePipeline", PipelineName="p"), "InternalFailure")
    assert "Sleeping" in message


def test_a_request_nested_too_deep_is_refused(api: LocalApi) -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    refused(lambda: api("ListPipelines", NextToken=deep), "SerializationException")
