"""Every rule finds what it is there to find, says where, and is told of in the docs."""

import copy
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.definitions import parsed, small_pipeline

from ci.definition.rules import Rule
from ci.definition.rules_document import STEP_TYPES
from ci.definition.shapes import service_shapes
from ci.definition.validate import find_problems
from ci.sagemaker.read import parse_step

Document = dict[str, Any]
Break = Callable[[Document], None]
ROOT = Path(__file__).parents[2]
ACCEPTED = sorted((Path(__file__).parent / "accepted").glob("*.json"))

PREPARE, TRAIN, EVALUATE, BETTER = range(4)


def step(document: Document, index: int) -> Document:
    found: Document = document["Steps"][index]
    return found


def arguments(document: Document, index: int) -> Document:
    found: Document = document["Steps"][index]["Arguments"]
    return found


def branch(document: Document, index: int) -> Document:
    found: Document = arguments(document, BETTER)["IfSteps"][index]
    return found


def put(target: Callable[[Document], Document], key: str, value: object) -> Break:
    def change(document: Document) -> None:
        target(document)[key] = value

    return change


def at(index: int) -> Callable[[Document], Document]:
    return lambda document: step(document, index)


def args(index: int) -> Callable[[Document], Document]:
    return lambda document: arguments(document, index)


def inside(index: int, *keys: str | int) -> Callable[[Document], Document]:
    def find(document: Document) -> Document:
        value: Any = arguments(document, index)
        for key in keys:
            value = value[key]
        found: Document = value
        return found

    return find


def top(document: Document) -> Document:
    return document


def drop(target: Callable[[Document], Document], key: str) -> Break:
    def change(document: Document) -> None:
        del target(document)[key]

    return change


def parameter(index: int) -> Callable[[Document], Document]:
    return lambda document: document["Parameters"][index]


def environment(value: object) -> Break:
    return put(inside(PREPARE, "Environment"), "X", value)


def get(text: str) -> dict[str, str]:
    return {"Get": text}


def condition(value: object) -> Break:
    return put(args(BETTER), "Conditions", value)


def many_parameters(document: Document) -> None:
    document["Parameters"] += [
        {"Name": f"P{n}", "Type": "String", "DefaultValue": ""} for n in range(198)
    ]


def large(document: Document) -> None:
    many = {f"K{n}": "x" * 250 for n in range(100)}
    for n in range(45):
        extra = copy.deepcopy(document["Steps"][PREPARE])
        extra["Name"] = f"Extra{n}"
        extra["Arguments"]["Environment"] = many
        document["Steps"].append(extra)


def twice(document: Document) -> None:
    document["Parameters"].append({"Name": "Data", "Type": "Integer"})


def for_each(document: Document) -> None:
    body = copy.deepcopy(branch(document, 1))
    body |= {"Name": "One", "Arguments": {"x": get("ForEach.CurrentItem.name")}}
    document["Steps"].append(
        {
            "Name": "Each",
            "Type": "ForEach",
            "Arguments": {
                "IterableItems": ["a"],
                "MaxConcurrency": 1,
                "Selector": {"Pick": "MaxBy", "Field": get("IterationOutput.Two.X")},
                "ForEachBody": [body],
            },
        }
    )


# id of the rule, the part of the JSON path it must name, what breaks the definition
BROKEN: list[tuple[Rule, str, Break]] = [
    (Rule.VERSION, "$.Version", put(top, "Version", "2021-01-01")),
    (Rule.SIZE, "$", large),
    (Rule.STEPS_EMPTY, "$.Steps", put(top, "Steps", [])),
    (Rule.STEP_NAME, "$.Steps[0].Name", put(at(PREPARE), "Name", "Prépare it")),
    (Rule.STEP_NAME, "$.Steps[2].Name", put(at(EVALUATE), "Name", "E" * 65)),
    (Rule.STEP_TWICE, "IfSteps[0].Name", lambda d: branch(d, 0).update(Name="Train")),
    (Rule.STEP_TYPE, "$.Steps[0].Type", put(at(PREPARE), "Type", "Procesing")),
    (Rule.STEP_TEXT, "$.Steps[0].Description", put(at(PREPARE), "Description", "d" * 3073)),
    (Rule.STEP_TEXT, "$.Steps[0].DisplayName", put(at(PREPARE), "DisplayName", 5)),
    (Rule.PARAMETER_NAME, "$.Parameters[2].Name", put(parameter(2), "Name", "a b")),
    (Rule.PARAMETER_TWICE, "$.Parameters[3]", twice),
    (Rule.PARAMETER_COUNT, "$.Parameters", many_parameters),
    (Rule.PARAMETER_DEFAULT, "$.Parameters[0]", put(parameter(0), "DefaultValue", 5)),
    (Rule.PARAMETER_DEFAULT, "$.Parameters[2]", put(parameter(2), "DefaultValue", True)),
    (Rule.PARAMETER_DEFAULT, "$.Parameters[2]", put(parameter(2), "DefaultValue", 1.5)),
    (Rule.PARAMETER_DEFAULT, "$.Parameters[0]", put(parameter(0), "DefaultValue", "x" * 1025)),
    (Rule.PARAMETER_DEFAULT, "$.Parameters[0]", put(parameter(0), "EnumValues", ["s3://c"])),
    (Rule.PARAMETER_ENUM, "$.Parameters[1]", put(parameter(1), "EnumValues", ["6.0"])),
    (Rule.PARAMETER_ENUM, "$.Parameters[0]", put(parameter(0), "EnumValues", [])),
    (Rule.PARAMETER_REQUIRED, "$.Parameters", drop(parameter(0), "DefaultValue")),
    (Rule.REFERENCE_FORM, "Environment.X", environment(get("Step.Prepare.X"))),
    (Rule.REFERENCE_FORM, "Environment.X", environment(get("Steps.Train[x"))),
    (Rule.REFERENCE_PARAMETER, "Environment.X", environment(get("Parameters.Dat"))),
    (Rule.REFERENCE_EXECUTION, "Environment.X", environment(get("Execution.Name"))),
    (Rule.REFERENCE_STEP, "Environment.X", environment(get("Steps.Nobody.ModelName"))),
    (
        Rule.REFERENCE_PROPERTY,
        "HyperParameters.x",
        put(inside(TRAIN, "HyperParameters"), "x", get("Steps.Prepare.ModelArtifacts")),
    ),
    (Rule.REFERENCE_PROPERTY, "Environment.X", environment(get("Steps.Worse.Message"))),
    (Rule.REFERENCE_PROPERTY, "Environment.X", environment(get("Steps.Better.Result"))),
    (
        Rule.REFERENCE_OUTPUT,
        "HyperParameters.x",
        put(
            inside(TRAIN, "HyperParameters"),
            "x",
            get("Steps.Prepare.ProcessingOutputConfig.Outputs['tain'].S3Output.S3Uri"),
        ),
    ),
    (
        Rule.REFERENCE_OUTPUT,
        "HyperParameters.x",
        put(inside(TRAIN, "HyperParameters"), "x", get("Steps.Deploy.OutputParameters['state']")),
    ),
    (Rule.REFERENCE_TYPE, "Environment.X", environment(get("Parameters.Count"))),
    (
        Rule.REFERENCE_TYPE,
        "InstanceCount",
        put(inside(TRAIN, "ResourceConfig"), "InstanceCount", get("Parameters.Data")),
    ),
    (Rule.REFERENCE_SCOPE, "Environment.X", environment(get("ForEach.CurrentItem"))),
    (Rule.REFERENCE_SCOPE, "Selector.Field", for_each),
    (Rule.PROPERTY_FILE, "LeftValue", put(at(EVALUATE), "PropertyFiles", [])),
    (
        Rule.PROPERTY_FILE_OUTPUT,
        "PropertyFiles",
        lambda d: step(d, EVALUATE)["PropertyFiles"][0].update(OutputName="metrics"),
    ),
    (
        Rule.EXPRESSION,
        "LeftValue",
        lambda d: arguments(d, BETTER)["Conditions"][0]["LeftValue"]["Std:JsonGet"].pop("Path"),
    ),
    (Rule.EXPRESSION, "Environment.X", environment({"Std:Join": {"On": "/"}})),
    (Rule.DEPENDS_ON, "$.Steps[1].DependsOn", put(at(TRAIN), "DependsOn", ["Nobody"])),
    (Rule.DEPENDS_ON_FAIL, "$.Steps[1].DependsOn", put(at(TRAIN), "DependsOn", ["Worse"])),
    (
        Rule.TRIGGER,
        "$.Steps[1].DependsOn",
        put(at(TRAIN), "DependsOn", [{"Step": "Prepare", "Trigger": "Maybe"}]),
    ),
    (Rule.CYCLE, "$.Steps[0]", put(at(PREPARE), "DependsOn", ["Evaluate"])),
    (Rule.CYCLE, "$.Steps[1]", put(at(TRAIN), "DependsOn", ["Train"])),
    (Rule.CYCLE, "$.Steps[3]", put(at(BETTER), "DependsOn", ["Register"])),
    (Rule.CONDITION, "Conditions", condition([])),
    (Rule.CONDITION, "Conditions[0].Type", condition([{"Type": "Like"}])),
    (Rule.CONDITION, "Conditions[0].RightValue", condition([{"Type": "Equals", "LeftValue": 1}])),
    (
        Rule.CONDITION,
        "Conditions[0].Values",
        condition([{"Type": "In", "QueryValue": 1, "Values": []}]),
    ),
    (Rule.CONDITION, "Conditions[0].Conditions", condition([{"Type": "Or", "Conditions": []}])),
    (Rule.CONDITION, "Conditions[0].Condition", condition([{"Type": "Not"}])),
    (
        Rule.REGISTER_GROUP,
        "ModelPackageGroupName",
        lambda d: branch(d, 0)["Arguments"].pop("ModelPackageGroupName"),
    ),
    (Rule.STEP_TARGET, "FunctionArn", lambda d: branch(d, 1).pop("FunctionArn")),
    (
        Rule.STEP_TARGET,
        "ErrorMessage",
        lambda d: arguments(d, BETTER)["ElseSteps"][0].update(Arguments={}),
    ),
    (Rule.CACHE, "CacheConfig", put(at(TRAIN), "CacheConfig", {"Enabled": "yes"})),
    (
        Rule.CACHE,
        "CacheConfig",
        put(at(TRAIN), "CacheConfig", {"Enabled": True, "ExpireAfter": "a month"}),
    ),
    (Rule.RETRY, "RetryPolicies", put(at(TRAIN), "RetryPolicies", [{"MaxAttempts": 3}])),
    (
        Rule.RETRY,
        "RetryPolicies",
        put(
            at(TRAIN),
            "RetryPolicies",
            [{"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": 21}],
        ),
    ),
    (Rule.ARGUMENT_MISSING, "Arguments.RoleArn", drop(args(TRAIN), "RoleArn")),
    (Rule.ARGUMENT_UNKNOWN, "Arguments.Role", put(args(TRAIN), "Role", "x")),
    (
        Rule.ARGUMENT_TYPE,
        "InstanceCount",
        put(inside(TRAIN, "ResourceConfig"), "InstanceCount", "1"),
    ),
    (Rule.ARGUMENT_TYPE, "Environment.X", environment(5)),
    (
        Rule.ARGUMENT_LENGTH,
        "ContainerArguments[0]",
        put(inside(PREPARE, "AppSpecification"), "ContainerArguments", ["x" * 257]),
    ),
    (
        Rule.ARGUMENT_LENGTH,
        "ContainerArguments",
        put(inside(PREPARE, "AppSpecification"), "ContainerArguments", []),
    ),
    (
        Rule.ARGUMENT_LENGTH,
        "Environment.X",
        environment({"Std:Join": {"On": "", "Values": ["x" * 300, get("Parameters.Data")]}}),
    ),
    (
        Rule.ARGUMENT_VALUE,
        "InstanceType",
        put(inside(TRAIN, "ResourceConfig"), "InstanceType", "ml.m5.huge"),
    ),
    (
        Rule.ARGUMENT_VALUE,
        "MaxRuntimeInSeconds",
        put(inside(TRAIN, "StoppingCondition"), "MaxRuntimeInSeconds", 0),
    ),
    (Rule.ARGUMENT_VALUE, "RoleArn", put(args(TRAIN), "RoleArn", "role/x with many wrong ")),
]


def test_the_small_pipeline_breaks_no_rule() -> None:
    assert find_problems(parsed(small_pipeline()), given={}) == ()


@pytest.mark.parametrize(
    ("rule", "path", "break_it"), BROKEN, ids=[f"{b[0]}-{n}" for n, b in enumerate(BROKEN)]
)
def test_a_broken_definition_is_told_by_its_rule(rule: Rule, path: str, break_it: Break) -> None:
    document = small_pipeline()
    break_it(document)
    problems = find_problems(parsed(document), given={})
    found = [problem for problem in problems if problem.rule == rule]
    assert any(path in problem.path for problem in found), problems
    assert all(problem.message.endswith((".", "?")) for problem in found)
    assert all(len(problem.message) < 600 for problem in problems)


def test_every_rule_has_a_bad_definition_and_a_line_in_the_docs() -> None:
    documented = re.findall(
        r"^\| `([a-z-]+)` \|", (ROOT / "docs/rules.md").read_text(), re.MULTILINE
    )
    assert sorted(documented) == sorted(documented_rule.value for documented_rule in Rule)
    assert {rule for rule, _, _ in BROKEN} == set(Rule)


@pytest.mark.parametrize("file", ACCEPTED, ids=lambda file: file.stem)
def test_what_the_sdk_writes_is_accepted(file: Path) -> None:
    from ci.definition.parse import parse_definition

    assert find_problems(parse_definition(file.read_bytes())) == ()


def test_step_types_are_those_that_the_service_tells_of() -> None:
    """What ListPipelineExecutionSteps has members for: a botocore that knows more is noticed."""
    told = service_shapes("sagemaker")["PipelineExecutionStepMetadata"]["members"]
    kinds = {parse_step({"Metadata": {member: {}}}).kind for member in told}
    assert kinds == STEP_TYPES


def test_the_near_name_is_offered() -> None:
    document = small_pipeline()
    arguments(document, PREPARE)["Environment"]["X"] = get("Parameters.Dta")
    (problem,) = find_problems(parsed(document))
    assert "Did you mean 'Data'?" in problem.message
    assert problem.step == "Prepare"


def test_a_cycle_is_named_step_by_step() -> None:
    document = small_pipeline()
    step(document, PREPARE)["DependsOn"] = ["Evaluate"]
    (problem,) = find_problems(parsed(document))
    assert "Prepare -> Evaluate -> Train -> Prepare" in problem.message


def test_a_default_that_is_given_is_no_problem() -> None:
    document = small_pipeline()
    del document["Parameters"][0]["DefaultValue"]
    assert find_problems(parsed(document), given={"Data": "s3://x"}) == ()
    assert find_problems(parsed(document)) == ()


@pytest.mark.parametrize("text", ["30d", "5y", "T16m", "30dT5h", "P30D", "p30d", "PT1H30M"])
def test_durations_as_aws_and_the_sdk_write_them_are_accepted(text: str) -> None:
    document = small_pipeline()
    step(document, TRAIN)["CacheConfig"] = {"Enabled": True, "ExpireAfter": text}
    assert find_problems(parsed(document)) == ()


@pytest.mark.parametrize(
    ("instance_type", "fits"),
    [("ml.m99.large", True), ("ml.m5.large", True), ("ml.m5.lrage", False), ("m99.large", False)],
)
def test_an_instance_family_of_tomorrow_is_accepted(instance_type: str, fits: bool) -> None:
    document = small_pipeline()
    arguments(document, TRAIN)["ResourceConfig"]["InstanceType"] = instance_type
    assert (find_problems(parsed(document)) == ()) is fits


def test_hostile_content_gives_problems_and_no_traceback() -> None:
    document = small_pipeline()
    arguments(document, PREPARE).update(
        {
            "Environment": [["\u202e"]],
            "ProcessingInputs": {"Get": 5},
            "ProcessingOutputConfig": "x",
            "AppSpecification": None,
            "x" * 5000: {"Std:Join": 7},
        }
    )
    step(document, TRAIN)["OutputParameters"] = {"a": 1}
    branch(document, 1)["OutputParameters"] = "no list"
    problems = find_problems(parsed(document))
    assert {problem.rule for problem in problems} >= {Rule.ARGUMENT_TYPE, Rule.ARGUMENT_UNKNOWN}


def test_validating_imports_neither_boto3_nor_botocore() -> None:
    code = (
        "import sys; from ci.definition.parse import parse_definition;"
        "from ci.definition.validate import find_problems;"
        "find_problems(parse_definition(open(sys.argv[1]).read()));"
        "assert not {'boto3', 'botocore', 'jsonschema'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code, str(ACCEPTED[0])], check=True, timeout=60)
