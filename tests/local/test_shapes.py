"""The validator against botocore's own, and in the words SageMaker uses."""

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel as BotocoreModel
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.definition.patterns import matches
from ci.local.service import sagemaker
from ci.local.shapes import as_validation_message, find_misfits

OPERATIONS = (
    "CreatePipeline",
    "StartPipelineExecution",
    "CreateModelPackage",
    "CreateProcessingJob",
    "ListPipelineExecutions",
    "AddTags",
)
TOKEN = "t" * 32
ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"


def problems(operation: str, request: object) -> list[str]:
    model = sagemaker()
    return [found.message for found in find_misfits(model, model.input(operation), request)]


def create(**changes: object) -> dict[str, object]:
    request: dict[str, object] = {
        "PipelineName": "p",
        "ClientRequestToken": TOKEN,
        "RoleArn": ROLE,
        "PipelineDefinition": "{}",
    }
    return {name: value for name, value in (request | changes).items() if value is not ...}


def test_a_fitting_request_has_no_misfits() -> None:
    assert problems("CreatePipeline", create()) == []


@pytest.mark.parametrize(
    ("request_body", "message"),
    [
        (
            create(PipelineName="a_b"),
            (
                "Value 'a_b' at 'pipelineName' failed to satisfy constraint: Member must satisfy"
                " regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}"
            ),
        ),
        (
            create(RoleArn=...),
            "Value null at 'roleArn' failed to satisfy constraint: Member must not be null",
        ),
        (
            create(ClientRequestToken="short"),
            (
                "Value 'short' at 'clientRequestToken' failed to satisfy constraint:"
                " Member must have length greater than or equal to 32"
            ),
        ),
        (
            create(ParallelismConfiguration={"MaxParallelExecutionSteps": 0}),
            (
                "Value '0' at 'parallelismConfiguration.maxParallelExecutionSteps' failed to"
                " satisfy constraint: Member must have value greater than or equal to 1"
            ),
        ),
        (
            create(Tags=[{"Key": "ok", "Value": "x" * 257}]),
            (
                f"Value '{'x' * 257}' at 'tags.1.member.value' failed to satisfy constraint:"
                " Member must have length less than or equal to 256"
            ),
        ),
        (create(PipelineName=7), "NUMBER_VALUE can not be converted to a String"),
        (create(PipelineName=True), "TRUE_VALUE can not be converted to a String"),
        (create(PipelineName=["p"]), "Start of list found where not expected"),
        (create(PipelineName={}), "Start of structure or map found where not expected."),
        (create(Tags={}), "Expected list or null, found START_OBJECT"),
        (
            create(Nonsense=1),
            "Unknown member 'Nonsense': the API's model has no such member",
        ),
    ],
)
def test_a_misfit_is_told_in_sagemakers_words(request_body: object, message: str) -> None:
    assert problems("CreatePipeline", request_body) == [message]


def test_an_enumeration_lists_what_it_holds() -> None:
    assert problems("ListPipelines", {"SortOrder": "Up"}) == [
        (
            "Value 'Up' at 'sortOrder' failed to satisfy constraint:"
            " Member must satisfy enum value set: [Ascending, Descending]"
        )
    ]


def test_a_list_longer_than_its_limit_is_refused() -> None:
    tags = [{"Key": str(number), "Value": ""} for number in range(51)]
    [message] = problems("CreatePipeline", create(Tags=tags))
    assert message.endswith("Member must have length less than or equal to 50")


def test_every_broken_constraint_is_counted() -> None:
    model = sagemaker()
    found = find_misfits(model, model.input("CreatePipeline"), {"PipelineName": "-"})
    assert as_validation_message(found).startswith("3 validation errors detected: Value null at")


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 1.5, float("nan"), "3"])
def test_what_is_no_integer_cannot_be_read(value: object) -> None:
    request = {"PipelineName": "p", "MaxResults": value}
    [message] = problems("ListPipelineExecutions", request)
    assert "can not be converted to an Integer" in message


def test_infinity_is_no_timestamp() -> None:
    [message] = problems("ListPipelines", {"CreatedAfter": float("inf")})
    assert message == "NUMBER_VALUE can not be converted to a Timestamp"


def test_letters_of_every_script_are_letters() -> None:
    pattern = r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)"
    assert matches(pattern, "größe 東京 9")
    assert not matches(pattern, "snow☃man")
    assert not matches(pattern, "a;b")


def test_a_pattern_holds_for_the_whole_value() -> None:
    assert not matches("[a-z]+", "abc\n")
    assert not matches("^[a-z]+$", "abc\n")


def test_every_pattern_of_the_model_can_be_read() -> None:
    """A pattern that Python cannot compile would fail a call nobody has tried yet."""
    raw = Loader().load_service_model("sagemaker", "service-2")
    patterns = {shape["pattern"] for shape in raw["shapes"].values() if "pattern" in shape}
    assert len(patterns) > 200
    for pattern in patterns:
        matches(pattern, "a")


def test_a_long_definition_with_many_lines_is_matched_at_once() -> None:
    assert problems("CreatePipeline", create(PipelineDefinition="{ \n\t }\u2028 " * 100_000)) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    ),
    max_leaves=4,
)


def _structures(shape: object, depth: int = 0) -> st.SearchStrategy[object]:
    """Requests near the shape: right and wrong members, right and wrong types."""
    kind = shape.type_name  # type: ignore[attr-defined]
    if depth > 3:
        return JSON
    if kind == "structure":
        known = {
            name: st.just(...) | _structures(member, depth + 1)
            for name, member in list(shape.members.items())[:8]  # type: ignore[attr-defined]
        }
        known["Nonsense"] = st.just(...) | st.just(...) | st.just(...) | JSON
        return st.fixed_dictionaries(known).map(
            lambda made: {name: value for name, value in made.items() if value is not ...}
        )
    if kind == "list":
        return st.lists(_structures(shape.member, depth + 1), max_size=2) | JSON  # type: ignore[attr-defined]
    if kind == "string":
        return st.text("ab-", max_size=3) | JSON
    return JSON


BOTOCORE = BotocoreModel(Loader().load_service_model("sagemaker", "service-2"))


@settings(max_examples=150)
@given(data=st.data(), operation=st.sampled_from(OPERATIONS))
def test_agrees_with_botocores_validator_on_members_and_types(
    data: st.DataObject, operation: str
) -> None:
    """Where botocore finds a missing member, a wrong type or an unknown member, so do we; where it
    finds nothing, we find no malformed value and nothing missing."""
    shape = BOTOCORE.operation_model(operation).input_shape
    request = data.draw(_structures(shape))
    if not isinstance(request, dict):
        return
    model = sagemaker()
    ours = find_misfits(model, model.input(operation), request)
    theirs = ParamValidator().validate(_without_nulls(request), shape)
    serious = [found for found in ours if found.malformed or "must not be null" in found.message]
    if theirs.has_errors():
        assert ours, theirs.generate_report()
    else:
        # botocore reads text as a number of seconds or a date; on the wire a timestamp is a number.
        assert [found for found in serious if "Timestamp" not in found.message] == []


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return value
