"""Rules on the document itself: its version and size, its names, its parameters."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from ci.definition.canonical import canonical_bytes
from ci.definition.model import Definition, Parameter, ParameterType, Problem, Step
from ci.definition.rules import Rule
from ci.definition.values import LONGEST_VALUE

VERSIONS = frozenset({"2020-12-01"})
LARGEST = 1_048_576  # bytes: CreatePipeline's PipelineDefinition
MOST_PARAMETERS = 200  # quota "parameters per pipeline"
STEP_TYPES = frozenset(
    [
        "Athena",
        "AutoML",
        "BedrockCustomModel",
        "BedrockCustomModelDeployment",
        "BedrockModelImport",
        "BedrockProvisionedModelThroughput",
        "Callback",
        "ClarifyCheck",
        "Cleanup",
        "Condition",
        "EMR",
        "EMRServerless",
        "Endpoint",
        "EndpointConfig",
        "Fail",
        "ForEach",
        "HubContent",
        "InferenceComponent",
        "Job",
        "Lambda",
        "Lineage",
        "Model",
        "Processing",
        "QualityCheck",
        "RegisterModel",
        "Training",
        "Transform",
        "Tuning",
    ]
)
_STEP_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PARAMETER_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")
_TEXT_LIMITS = {"DisplayName": 256, "Description": 3072}


def document_problems(definition: Definition) -> Iterator[Problem]:
    if definition.version not in VERSIONS:
        yield Problem(
            rule=Rule.VERSION,
            path="$.Version",
            message=f"SageMaker knows no definition version {definition.version!r}.",
            fix=f'"Version": "{max(VERSIONS)}"',
        )
    size = len(canonical_bytes(definition.raw))
    if size > LARGEST:
        yield Problem(
            rule=Rule.SIZE,
            path="$",
            message=f"The definition is {size:,} bytes; SageMaker takes {LARGEST:,}.",
            fix="Split the pipeline, or move long texts into files on S3.",
        )
    if not definition.steps:
        yield Problem(rule=Rule.STEPS_EMPTY, path="$.Steps", message="The pipeline has no step.")
    yield from _steps(definition)
    yield from _parameters(definition)


def default_problems(definition: Definition, given: Mapping[str, object]) -> Iterator[Problem]:
    """Parameters without a default that `given` leaves out: a trigger starts with these alone."""
    for parameter in definition.parameters.values():
        if parameter.default is None and parameter.name not in given:
            yield Problem(
                rule=Rule.PARAMETER_REQUIRED,
                path="$.Parameters",
                message=f"Parameter {parameter.name!r} has no default and is not given.",
                fix=f"Give it a default in the pipeline, or a value under `parameters:`"
                f" ({parameter.name}: ...).",
            )


def value_problem(parameter: Parameter, value: object) -> str | None:
    """Why a value does not fit a parameter, None where it does. Also for values given at start."""
    fits = {
        ParameterType.STRING: isinstance(value, str),
        ParameterType.INTEGER: isinstance(value, int) and not isinstance(value, bool),
        ParameterType.FLOAT: isinstance(value, int | float) and not isinstance(value, bool),
        ParameterType.BOOLEAN: isinstance(value, bool),
    }[parameter.type]
    if not fits:
        return f"{value!r:.80} is no {parameter.type}"
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        return f"it has {len(value):,} characters; SageMaker takes {LONGEST_VALUE:,}"
    if parameter.choices and value not in parameter.choices:
        return f"{value!r:.80} is none of {', '.join(parameter.choices)}"
    return None


def _steps(definition: Definition) -> Iterator[Problem]:
    counts = Counter(step.name for step in definition.walk())
    seen: set[str] = set()
    for step in definition.walk():
        if not _STEP_NAME.fullmatch(step.name):
            yield Problem(
                rule=Rule.STEP_NAME,
                path=f"{step.path}.Name",
                message=f"{step.name!r:.90} is no step name: letters, digits, - and _, at most 64.",
                step=step.name,
            )
        if counts[step.name] > 1 and step.name in seen:
            yield Problem(
                rule=Rule.STEP_TWICE,
                path=f"{step.path}.Name",
                message=f"Another step is named {step.name!r}. Names are unique over all branches.",
                step=step.name,
            )
        seen.add(step.name)
        yield from _step(step)


def _step(step: Step) -> Iterator[Problem]:
    if step.type not in STEP_TYPES:
        yield Problem(
            rule=Rule.STEP_TYPE,
            path=f"{step.path}.Type",
            message=f"SageMaker has no step type {step.type!r:.80}.",
            fix=f"Use one of {', '.join(sorted(STEP_TYPES))}.",
            step=step.name,
        )
    for key, limit in _TEXT_LIMITS.items():
        text = step.raw.get(key)
        if text is not None and not (isinstance(text, str) and len(text) <= limit):
            yield Problem(
                rule=Rule.STEP_TEXT,
                path=f"{step.path}.{key}",
                message=f"{key} must be a text of at most {limit:,} characters.",
                step=step.name,
            )


def _parameters(definition: Definition) -> Iterator[Problem]:
    listed = definition.raw.get("Parameters")
    entries = listed if isinstance(listed, list) else []
    if len(entries) > MOST_PARAMETERS:
        yield Problem(
            rule=Rule.PARAMETER_COUNT,
            path="$.Parameters",
            message=f"{len(entries)} parameters; SageMaker takes {MOST_PARAMETERS}.",
        )
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        path, parameter = f"$.Parameters[{index}]", definition.parameters[entry["Name"]]
        if parameter.name in seen:
            yield Problem(
                rule=Rule.PARAMETER_TWICE,
                path=path,
                message=f"Another parameter is named {parameter.name!r:.80}.",
            )
            continue
        seen.add(parameter.name)
        yield from _parameter(parameter, path, entry)


def _parameter(parameter: Parameter, path: str, entry: Mapping[str, object]) -> Iterator[Problem]:
    if not _PARAMETER_NAME.fullmatch(parameter.name):
        yield Problem(
            rule=Rule.PARAMETER_NAME,
            path=f"{path}.Name",
            message=f"{parameter.name!r:.80} is no parameter name: letters, digits, - and _,"
            " at most 256.",
        )
    if entry.get("EnumValues") is not None and not (
        parameter.choices and parameter.type is ParameterType.STRING
    ):
        yield Problem(
            rule=Rule.PARAMETER_ENUM,
            path=f"{path}.EnumValues",
            message=f"Parameter {parameter.name!r:.80}: EnumValues is a list of at least one text,"
            " on a String parameter.",
        )
    if parameter.default is not None:
        reason = value_problem(parameter, parameter.default)
        if reason is not None:
            yield Problem(
                rule=Rule.PARAMETER_DEFAULT,
                path=f"{path}.DefaultValue",
                message=f"The default of parameter {parameter.name!r:.80} does not fit: {reason}.",
            )
