"""Executions: what starts them, what they carry, and what may be done to them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.dispatched import LocalApi, definition

from ci.local.context import ApiError

TOKEN = "a" * 64
PARAMETERS = [
    {"Name": "Text", "Type": "String"},
    {"Name": "Kind", "Type": "String", "DefaultValue": "a", "EnumValues": ["a", "b"]},
    {"Name": "Count", "Type": "Integer", "DefaultValue": 3},
    {"Name": "Ratio", "Type": "Float", "DefaultValue": 0.5},
    {"Name": "Flag", "Type": "Boolean", "DefaultValue": True},
]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[LocalApi]:
    local = LocalApi(tmp_path)
    local.create()
    local.create("typed", PipelineDefinition=definition(parameters=PARAMETERS))
    yield local
    local.store.close()


def refused(call: Callable[[], Any], code: str) -> str:
    with pytest.raises(ApiError) as caught:
        call()
    assert caught.value.code == code
    return caught.value.message


def given(**values: str) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in values.items()]


def test_a_start_is_recorded_and_handed_to_the_engine(api: LocalApi) -> None:
    arn = api.start(
        PipelineExecutionDisplayName="main-abc",
        PipelineExecutionDescription="why",
        ParallelismConfiguration={"MaxParallelExecutionSteps": 2},
    )
    assert api.engine.submitted == [arn]
    found = api("DescribePipelineExecution", PipelineExecutionArn=arn)
    assert found["PipelineExecutionStatus"] == "Executing"
    assert found["PipelineExecutionDisplayName"] == "main-abc"
    assert found["PipelineExecutionDescription"] == "why"
    assert found["ParallelismConfiguration"] == {"MaxParallelExecutionSteps": 2}
    assert found["PipelineVersionId"] == 1
    assert "Definition" not in found
    assert api("DescribePipeline", PipelineName="p")["LastRunTime"] == found["CreationTime"]
    [version] = api("ListPipelineVersions", PipelineName="p")["PipelineVersionSummaries"]
    assert version["LastExecutionPipelineExecutionArn"] == arn


def test_one_token_is_one_execution(api: LocalApi) -> None:
    first = api.start(ClientRequestToken=TOKEN)
    assert api.start(ClientRequestToken=TOKEN) == first
    pipeline = api("DescribePipeline", PipelineName="p")["PipelineArn"]
    assert api.start(pipeline, ClientRequestToken=TOKEN) == first
    assert api.engine.submitted == [first]
    listed = api("ListPipelineExecutions", PipelineName="p")["PipelineExecutionSummaries"]
    assert len(listed) == 1


def test_one_token_for_two_different_starts_is_a_conflict(api: LocalApi) -> None:
    first = api.start(ClientRequestToken=TOKEN)
    message = refused(
        lambda: api.start(ClientRequestToken=TOKEN, PipelineExecutionDisplayName="other"),
        "ConflictException",
    )
    assert first in message


def test_a_token_counts_within_its_pipeline(api: LocalApi) -> None:
    first = api.start(ClientRequestToken=TOKEN)
    other = api.start("typed", ClientRequestToken=TOKEN, PipelineParameters=given(Text="x"))
    assert other != first


def test_parameters_are_read_by_type_with_defaults_for_the_rest(api: LocalApi) -> None:
    arn = api.start("typed", PipelineParameters=given(Text="x", Count="-7", Flag="False"))
    record = api.store.get("execution", arn)
    assert record is not None
    assert record["Parameters"] == {
        "Text": "x",
        "Kind": "a",
        "Count": -7,
        "Ratio": 0.5,
        "Flag": False,
    }
    listed = api("ListPipelineParametersForExecution", PipelineExecutionArn=arn)
    assert listed["PipelineParameters"] == given(
        Text="x", Kind="a", Count="-7", Ratio="0.5", Flag="false"
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "[Text]"),
        ({"Text": "x", "Unknown": "1"}, "Unknown parameters [Unknown]"),
        ({"Text": ""}, "too short"),
        ({"Text": "x", "Kind": "c"}, "must be one of [a, b]"),
        ({"Text": "x", "Count": "1.5"}, "type Integer, not '1.5'"),
        ({"Text": "x", "Count": "١"}, "type Integer, not '١'"),
        ({"Text": "x", "Ratio": "1e999"}, "type Float, not '1e999'"),
        ({"Text": "x", "Ratio": "nan"}, "type Float, not 'nan'"),
        ({"Text": "x", "Flag": "yes"}, "type Boolean, not 'yes'"),
    ],
)
def test_bad_parameters_are_refused_and_nothing_starts(
    api: LocalApi, values: dict[str, str], said: str
) -> None:
    message = refused(
        lambda: api.start("typed", PipelineParameters=given(**values)), "ValidationException"
    )
    assert said in message
    assert api.engine.submitted == []


def test_a_parameter_given_twice_is_refused(api: LocalApi) -> None:
    twice = given(Text="x") + given(Text="y")
    message = refused(lambda: api.start("typed", PipelineParameters=twice), "ValidationException")
    assert "more than once" in message


def test_a_pinned_version_runs_its_own_definition(api: LocalApi) -> None:
    old = api("DescribePipeline", PipelineName="p")["PipelineDefinition"]
    api("UpdatePipeline", PipelineName="p", PipelineDefinition=definition(Metadata={"n": "2"}))
    arn = api.start(PipelineVersionId=1)
    found = api("DescribePipelineDefinitionForExecution", PipelineExecutionArn=arn)
    assert found["PipelineDefinition"] == old
    assert api("DescribePipelineExecution", PipelineExecutionArn=arn)["PipelineVersionId"] == 1
    refused(lambda: api.start(PipelineVersionId=9), "ResourceNotFound")
    refused(lambda: api.start(PipelineVersionAlias="prod"), "ResourceNotFound")


def test_an_alias_starts_and_lists_its_version(api: LocalApi) -> None:
    api("UpdatePipeline", PipelineName="p", PipelineDefinition=definition(Metadata={"n": "2"}))
    pipeline = api("DescribePipeline", PipelineName="p")["PipelineArn"]
    api(
        "UpdatePipelineVersion",
        PipelineArn=pipeline,
        PipelineVersionId=1,
        PipelineVersionAliasOperations={"Add": ["prod"]},
    )
    latest, old = api.start(), api.start(PipelineVersionAlias="prod")
    listed = api("ListPipelineExecutions", PipelineName="p", PipelineVersionAlias="prod")
    assert [item["PipelineExecutionArn"] for item in listed["PipelineExecutionSummaries"]] == [old]
    found = api("DescribePipelineExecution", PipelineExecutionArn=old)
    assert found["PipelineVersionAliases"] == ["prod"]
    assert api("DescribePipelineExecution", PipelineExecutionArn=latest)["PipelineVersionId"] == 2


@pytest.mark.parametrize(
    "member",
    [
        {"SelectiveExecutionConfig": {"SelectedSteps": [{"StepName": "stop"}]}},
        {"MlflowExperimentName": "x"},
        {"RoleArn": "arn:aws:iam::000000000000:role/other"},
    ],
)
def test_what_cannot_be_done_here_is_refused_by_name(api: LocalApi, member: dict[str, Any]) -> None:
    message = refused(lambda: api.start(**member), "ValidationException")
    assert next(iter(member)) in message


def test_callbacks_are_refused_by_name(api: LocalApi) -> None:
    message = refused(
        lambda: api("SendPipelineExecutionStepSuccess", CallbackToken="abcdefghij"),
        "UnsupportedOperationException",
    )
    assert "SendPipelineExecutionStepSuccess" in message


def test_only_what_runs_can_be_stopped_and_only_what_failed_retried(api: LocalApi) -> None:
    arn = api.start()
    refused(lambda: api("RetryPipelineExecution", PipelineExecutionArn=arn), "ConflictException")
    api("StopPipelineExecution", PipelineExecutionArn=arn)
    described = api("DescribePipelineExecution", PipelineExecutionArn=arn)
    assert described["PipelineExecutionStatus"] == "Stopped"
    refused(lambda: api("StopPipelineExecution", PipelineExecutionArn=arn), "ConflictException")
    api("RetryPipelineExecution", PipelineExecutionArn=arn, ClientRequestToken=TOKEN)
    api.engine.finish(arn, "Succeeded")
    api("RetryPipelineExecution", PipelineExecutionArn=arn, ClientRequestToken=TOKEN)
    described = api("DescribePipelineExecution", PipelineExecutionArn=arn)
    assert described["PipelineExecutionStatus"] == "Succeeded"
    refused(lambda: api("RetryPipelineExecution", PipelineExecutionArn=arn), "ConflictException")


def test_a_stop_that_was_cut_off_can_be_asked_for_again(api: LocalApi) -> None:
    arn = api.start()
    api("StopPipelineExecution", PipelineExecutionArn=arn, ClientRequestToken=TOKEN)
    api.engine.finish(arn, "Executing")  # as if the engine had never heard of it
    api("StopPipelineExecution", PipelineExecutionArn=arn, ClientRequestToken=TOKEN)
    described = api("DescribePipelineExecution", PipelineExecutionArn=arn)
    assert described["PipelineExecutionStatus"] == "Stopped"
    api("StopPipelineExecution", PipelineExecutionArn=arn, ClientRequestToken=TOKEN)


def test_an_execution_takes_new_words_and_tags(api: LocalApi) -> None:
    arn = api.start()
    api("UpdatePipelineExecution", PipelineExecutionArn=arn, PipelineExecutionDescription="new")
    found = api("DescribePipelineExecution", PipelineExecutionArn=arn)
    assert found["PipelineExecutionDescription"] == "new"
    api("AddTags", ResourceArn=arn, Tags=[{"Key": "commit", "Value": "f" * 40}])
    assert api("ListTags", ResourceArn=arn)["Tags"] == [{"Key": "commit", "Value": "f" * 40}]


def test_every_step_is_listed_once_newest_first(api: LocalApi) -> None:
    arn = api.start()
    for number in range(25):
        step = {
            "StepName": f"s{number}",
            "StartTime": 1_800_000_000.0 + number // 5,
            "StepStatus": "Succeeded",
            "AttemptCount": 1,
            "Properties": {"ProcessingJobName": "not for show"},
        }
        api.store.put("step", f"{arn}#s{number}", step, parent=arn)
    names: list[str] = []
    request: dict[str, Any] = {"PipelineExecutionArn": arn, "MaxResults": 7}
    while True:
        page = api("ListPipelineExecutionSteps", **request)
        names += [step["StepName"] for step in page["PipelineExecutionSteps"]]
        if "NextToken" not in page:
            break
        request["NextToken"] = page["NextToken"]
    assert sorted(names) == sorted(f"s{number}" for number in range(25))
    assert {int(name[1:]) // 5 for name in names[:5]} == {4}
    oldest = api("ListPipelineExecutionSteps", PipelineExecutionArn=arn, SortOrder="Ascending")
    assert len(oldest["PipelineExecutionSteps"]) == 10
    assert oldest["PipelineExecutionSteps"][0]["StepName"] == "s0"


def test_an_unknown_execution_is_not_found(api: LocalApi) -> None:
    pipeline = api("DescribePipeline", PipelineName="p")["PipelineArn"]
    arn = f"{pipeline}/execution/abcdefghijkl"
    for operation in (
        "DescribePipelineExecution",
        "ListPipelineExecutionSteps",
        "StopPipelineExecution",
        "RetryPipelineExecution",
        "DescribePipelineDefinitionForExecution",
        "ListPipelineParametersForExecution",
        "UpdatePipelineExecution",
    ):
        message = refused(
            lambda operation=operation: api(operation, PipelineExecutionArn=arn),
            "ResourceNotFound",
        )
        assert arn in message


def test_a_definition_is_kept_once_for_all_its_executions(api: LocalApi, tmp_path: Path) -> None:
    large = definition(Metadata={"note": "x" * 200_000})
    api.create("large", PipelineDefinition=large)
    for _ in range(50):
        api.start("large")
    size = sum(file.stat().st_size for file in tmp_path.glob("state.db*"))
    assert size < 5_000_000
    listed = api.store.all("execution", parent="large")
    assert all(execution["Definition"] == large for execution in listed)
