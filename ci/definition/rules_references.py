"""Rules on references: that what they name is there, and has the property they ask for."""

import difflib
from collections.abc import Iterable, Iterator, Mapping

from ci.definition.model import Definition, Parameter, Problem, Step
from ci.definition.references import Reference, ReferenceKind, definition_references
from ci.definition.rules import Rule
from ci.definition.shapes import Resolved, resolve_property

EXECUTION_VARIABLES = frozenset(
    [
        "StartDateTime",
        "CurrentDateTime",
        "PipelineName",
        "PipelineArn",
        "PipelineExecutionId",
        "PipelineExecutionArn",
        "TrainingJobName",
        "ProcessingJobName",
    ]
)
_CHECK_PROPERTIES = frozenset(
    [
        "CalculatedBaselineConstraints",
        "CalculatedBaselineStatistics",
        "BaselineUsedForDriftCheckConstraints",
        "BaselineUsedForDriftCheckStatistics",
    ]
)
_OWN_PROPERTIES: Mapping[str, frozenset[str]] = {
    "Condition": frozenset({"Outcome"}),
    "QualityCheck": _CHECK_PROPERTIES,
    "ClarifyCheck": _CHECK_PROPERTIES,
    "Lineage": frozenset({"ActionArns", "ArtifactArns", "ContextArns", "Associations"}),
    "ForEach": frozenset(
        [
            "Status",
            "InputItemCount",
            "TotalStepCount",
            "SucceededStepCount",
            "FailedStepCount",
            "StoppedStepCount",
            "IterationOutputs",
            "Selected",
        ]
    ),
}
_OUTPUT_TYPES = {"String": "string", "Integer": "integer", "Float": "double", "Boolean": "boolean"}
# Properties that no Describe answer has; SageMaker adds them (AutoMLStep.get_best_model).
_BEYOND_DESCRIBE = {"AutoML": frozenset({"BestCandidateProperties"})}


def reference_problems(definition: Definition) -> Iterator[Problem]:
    steps = {step.name: step for step in definition.walk()}
    for step, reference in definition_references(definition):
        for rule, message in _problems(step, reference, definition.parameters, steps):
            yield Problem(
                rule=rule,
                path=reference.path,
                message=message,
                step=None if step is None else step.name,
            )
    for step in steps.values():
        yield from _written_files(step)


def expression_type(
    reference: Reference, parameters: Mapping[str, Parameter], steps: Mapping[str, Step]
) -> str | None:
    """The JSON type a reference gives, as the service model names types. None where unknown."""
    match reference.kind:
        case ReferenceKind.PARAMETER:
            parameter = parameters.get(reference.target)
            return None if parameter is None else _OUTPUT_TYPES[parameter.type]
        case ReferenceKind.STEP:
            step = steps.get(reference.target)
            if step is None:
                return None
            if step.type in ("Lambda", "Callback"):
                declared = _declared_outputs(step)
                return declared.get(str(reference.tokens[-1])) if reference.tokens else None
            found = resolve_property(step.type, reference.tokens)
            return found.type if isinstance(found, Resolved) else None
        case _:
            return None


def _problems(
    step: Step | None,
    reference: Reference,
    parameters: Mapping[str, Parameter],
    steps: Mapping[str, Step],
) -> Iterator[tuple[Rule, str]]:
    name = reference.target
    match reference.kind:
        case ReferenceKind.PARAMETER if name not in parameters:
            yield Rule.REFERENCE_PARAMETER, _missing("parameter", name, parameters)
        case ReferenceKind.EXECUTION if name not in EXECUTION_VARIABLES:
            message = _missing("execution variable", name, EXECUTION_VARIABLES)
            yield Rule.REFERENCE_EXECUTION, message
        case ReferenceKind.STEP | ReferenceKind.PROPERTY_FILE if name not in steps:
            yield Rule.REFERENCE_STEP, _missing("step", name, steps)
        case ReferenceKind.STEP:
            yield from _property(steps[name], reference)
        case ReferenceKind.PROPERTY_FILE:
            yield from _property_file(steps[name], reference)
        case ReferenceKind.FOR_EACH if step is None or not _inside_for_each(step, steps):
            yield Rule.REFERENCE_SCOPE, f"{reference.text} has a value inside a ForEach body only."
        case ReferenceKind.ITERATION_OUTPUT if step is None or name not in {
            child.name for child in step.body
        }:
            yield (
                Rule.REFERENCE_SCOPE,
                f"{reference.text} must name a step of the ForEach body it selects from.",
            )
        case ReferenceKind.MALFORMED:
            yield (
                Rule.REFERENCE_FORM,
                (
                    f"{reference.text!r:.120} is no reference: SageMaker knows Parameters.Name,"
                    " Execution.Variable and Steps.Name.Property."
                ),
            )
        case _:
            pass


def _inside_for_each(step: Step, steps: Mapping[str, Step]) -> bool:
    parent = steps.get(step.parent) if step.parent is not None else None
    return parent is not None and (parent.type == "ForEach" or _inside_for_each(parent, steps))


def _property(target: Step, reference: Reference) -> Iterator[tuple[Rule, str]]:
    tokens = reference.tokens
    if target.type in ("Lambda", "Callback"):
        yield from _output_parameter(target, reference)
        return
    if not tokens or tokens[0] in _BEYOND_DESCRIBE.get(target.type, ()):
        if not tokens:
            yield Rule.REFERENCE_FORM, f"{reference.text} names no property of the step."
        return
    own = _OWN_PROPERTIES.get(target.type)
    if own is not None:
        if tokens[0] not in own:
            message = _missing(f"property of the {target.type} step", str(tokens[0]), own)
            yield Rule.REFERENCE_PROPERTY, message
        elif target.type == "ForEach" and tokens[0] == "IterationOutputs":
            yield from _iteration(target, reference)
        return
    found = resolve_property(target.type, tokens)
    if found is None:
        if target.type in ("Fail", "Cleanup"):
            message = f"A {target.type} step has no properties to refer to."
            yield Rule.REFERENCE_PROPERTY, message
    elif isinstance(found, Resolved):
        yield from _output_name(target, reference)
    else:
        message = _missing(f"property of a {target.type} step", str(found.token), found.choices)
        yield Rule.REFERENCE_PROPERTY, f"{reference.text}: {message}"


def _iteration(target: Step, reference: Reference) -> Iterator[tuple[Rule, str]]:
    tokens = reference.tokens
    body = {child.name for child in target.body}
    if len(tokens) < 4 or not isinstance(tokens[1], int) or tokens[2] not in body:
        yield (
            Rule.REFERENCE_PROPERTY,
            (
                f"{reference.text}: write IterationOutputs[<number>].<step of the body>.<property>"
                f" (the body's steps: {', '.join(sorted(body))})."
            ),
        )


def _output_parameter(target: Step, reference: Reference) -> Iterator[tuple[Rule, str]]:
    outputs = _declared_outputs(target)
    tokens = reference.tokens
    if len(tokens) != 2 or tokens[0] != "OutputParameters":
        yield (
            Rule.REFERENCE_PROPERTY,
            f"{reference.text}: a {target.type} step has OutputParameters['name'] only.",
        )
    elif tokens[1] not in outputs:
        yield (
            Rule.REFERENCE_OUTPUT,
            f"{target.name}: " + _missing("output parameter", str(tokens[1]), outputs),
        )


def _declared_outputs(step: Step) -> dict[str, str]:
    listed = step.raw.get("OutputParameters")
    return {
        str(item.get("OutputName")): _OUTPUT_TYPES.get(str(item.get("OutputType")), "string")
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, Mapping)
    }


def _output_name(target: Step, reference: Reference) -> Iterator[tuple[Rule, str]]:
    """`ProcessingOutputConfig.Outputs['name']`: the step must have an output of that name."""
    tokens = reference.tokens
    if tokens[:2] != ("ProcessingOutputConfig", "Outputs") or len(tokens) < 3:
        return
    outputs = _processing_outputs(target)
    if outputs is not None and isinstance(tokens[2], str) and tokens[2] not in outputs:
        yield Rule.REFERENCE_OUTPUT, f"{target.name}: " + _missing("output", tokens[2], outputs)
    elif outputs is not None and isinstance(tokens[2], int) and tokens[2] >= len(outputs):
        yield (
            Rule.REFERENCE_OUTPUT,
            f"{reference.text}: {target.name} has {len(outputs)} outputs, counted from 0.",
        )


def _processing_outputs(step: Step) -> list[str] | None:
    """The names of a processing step's outputs, None where one is only known at run time."""
    config = step.arguments.get("ProcessingOutputConfig")
    listed = config.get("Outputs") if isinstance(config, Mapping) else []
    names = [
        item.get("OutputName") if isinstance(item, Mapping) else None
        for item in (listed if isinstance(listed, list) else [])
    ]
    texts = [name for name in names if isinstance(name, str)]
    return texts if len(texts) == len(names) else None


def _property_file(target: Step, reference: Reference) -> Iterator[tuple[Rule, str]]:
    if reference.property_file not in target.property_files:
        message = _missing("property file", str(reference.property_file), target.property_files)
        yield Rule.PROPERTY_FILE, f"{target.name} writes it not: {message}"
    if not reference.json_path:
        yield Rule.EXPRESSION, "Std:JsonGet needs a Path into the property file."


def _written_files(step: Step) -> Iterator[Problem]:
    outputs = _processing_outputs(step)
    for name, (output, _) in step.property_files.items():
        if outputs is not None and output not in outputs:
            yield Problem(
                rule=Rule.PROPERTY_FILE_OUTPUT,
                path=f"{step.path}.PropertyFiles",
                message=f"Property file {name!r}: " + _missing("output", output, outputs),
                step=step.name,
            )


def _missing(what: str, name: str, there: Iterable[str]) -> str:
    names = sorted(there)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    if not near and names:
        shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        hint = f" There are: {shown}."
    return f"There is no {what} {name!r:.80}.{hint}"
