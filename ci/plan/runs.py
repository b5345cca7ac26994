"""What the next execution runs again, and what the step cache spares.

SageMaker looks for a successful execution of the same step with equal attributes. Which
attributes count depends on the step's type ("Default cache key attributes by pipeline step type"
in the SageMaker developer guide): a Processing step's instance type and outputs do not. The values
are compared after references are resolved, so a step whose input is a fixed S3 URI is spared even
when the step that writes there runs again.

What an earlier execution left in the cache is not read: it may have failed, or its results may be
too old. So a step is never said to come from the cache, only that it can.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ci.definition.graph import dependencies, topological_order
from ci.definition.model import Definition, Step
from ci.definition.references import Reference, ReferenceKind, find_references
from ci.plan.compute import describe_image, describe_instances
from ci.plan.model import MISSING, PathPart, StepChange, StepRun, Verdict
from ci.plan.normal import FlatStep
from ci.plan.tree import diff_values

_TUNED = frozenset(
    {
        "AlgorithmSpecification",
        "HyperParameterRanges",
        "InputDataConfig",
        "StaticHyperParameters",
        "TuningObjective",
    }
)
CACHE_KEYS: Mapping[str, frozenset[str]] = {
    "Processing": frozenset({"AppSpecification", "Environment", "ProcessingInputs"}),
    "Training": frozenset(
        {
            "AlgorithmSpecification",
            "CheckpointConfig",
            "DebugHookConfig",
            "DebugRuleConfigurations",
            "Environment",
            "HyperParameters",
            "InputDataConfig",
        }
    ),
    "Tuning": frozenset(
        {"HyperParameterTuningJobConfig", "TrainingJobDefinition", "TrainingJobDefinitions"}
    ),
}
# Step members beside Arguments that a cached result does not depend on.
_NOT_KEYS = frozenset(
    {"Type", "DisplayName", "Description", "DependsOn", "Branch", "CacheConfig", "RetryPolicies"}
    | {"PropertyFiles", "OutputParameters"}
)
_EACH_ANEW = frozenset(
    {
        "StartDateTime",
        "CurrentDateTime",
        "PipelineExecutionId",
        "PipelineExecutionArn",
        "TrainingJobName",
        "ProcessingJobName",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What is known of the steps as deployed: flat, under their new names; the old name of each
    renamed step, the parameters whose default moved, what changed of each step, and the
    parameters that the next execution is given another value for than the one before."""

    steps: Mapping[str, FlatStep]
    renamed: Mapping[str, str]
    defaults: frozenset[str]
    exists: bool
    changes: Mapping[str, StepChange] = field(default_factory=dict)
    given: frozenset[str] = frozenset()


def predict_runs(
    definition: Definition, flat: Mapping[str, FlatStep], before: Before
) -> tuple[StepRun, ...]:
    """One verdict for each step that does work, in an order in which they may run."""
    graph = dependencies(definition)
    order = topological_order(graph)
    steps = {step.name: step for step in definition.walk()}
    runs: dict[str, StepRun] = {}
    held_up = steps.keys() - set(order)
    for name in (*order, *(name for name in steps if name in held_up)):
        run = _predict(steps[name], flat, before, runs, steps)
        runs[name] = replace(
            run,
            instances=describe_instances(steps[name], definition),
            image=describe_image(steps[name], definition),
        )
    return tuple(run for run in runs.values() if run.type not in ("Condition", "Fail", "ForEach"))


def cache_key(flat: FlatStep) -> dict[str, object]:
    """The members of a step that its cached result depends on."""
    arguments = flat.document.get("Arguments")
    named = CACHE_KEYS.get(flat.step.type)
    result: dict[str, object] = {}
    if isinstance(arguments, Mapping):
        for key, value in arguments.items():
            if named is None or key in named:
                result[key] = _tuned(value) if key == "TrainingJobDefinition" else value
    if named is None:
        result.update(
            {k: v for k, v in flat.document.items() if k not in {"Arguments"} | _NOT_KEYS}
        )
    return result


def _tuned(value: object) -> object:
    return {k: v for k, v in value.items() if k in _TUNED} if isinstance(value, Mapping) else value


def _predict(
    step: Step,
    flat: Mapping[str, FlatStep],
    before: Before,
    runs: Mapping[str, StepRun],
    steps: Mapping[str, Step],
) -> StepRun:
    key = cache_key(flat[step.name])
    references = list(find_references(key))
    reasons = list(_reasons(step, key, references, before))
    if not _is_cached(step):
        verdict = Verdict.RUN if reasons else Verdict.ALWAYS
        stale: list[str] = []
    else:
        moved, stale = _upstream(references, runs, steps)
        if before.exists:
            reasons += [f"{name} runs" for name in moved]
        verdict = Verdict.RUN if reasons else Verdict.CACHE
    return StepRun(
        name=step.name,
        type=step.type,
        verdict=verdict,
        reasons=tuple(reasons),
        stale=tuple(stale) if verdict is Verdict.CACHE else (),
        branch_of=step.parent,
    )


def _upstream(
    references: list[Reference], runs: Mapping[str, StepRun], steps: Mapping[str, Step]
) -> tuple[list[str], list[str]]:
    """The steps that run and hand on other values than before; those that run and hand on the
    same."""
    moved: list[str] = []
    stale: list[str] = []
    for name in dict.fromkeys(r.target for r in references if r.step is not None):
        upstream = runs.get(name)
        if upstream is None or upstream.verdict is Verdict.CACHE:
            continue
        uses = [r for r in references if r.step == name]
        fixed = all(_is_fixed(r, steps[name]) for r in uses)
        (stale if fixed else moved).append(name)
    return moved, stale


def _reasons(
    step: Step, key: Mapping[str, object], references: list[Reference], before: Before
) -> Iterator[str]:
    if not before.exists:
        yield "first execution"
        return
    earlier = before.steps.get(step.name)
    if earlier is None:
        yield "added"
    else:
        if step.name in before.renamed:
            yield f"renamed from {before.renamed[step.name]}"
        change = before.changes.get(step.name)
        old = cache_key(earlier)
        if change is not None or old != key:
            members = dict.fromkeys((*old, *key))
            moved = [k for k in members if not _equal(old.get(k, MISSING), key.get(k, MISSING))]
            yield from _told(moved, change)
    targets = {r.target for r in references if r.kind is ReferenceKind.PARAMETER}
    for name in sorted(targets & before.defaults):
        yield f"default of {name} changed"
    for name in sorted(targets & before.given - before.defaults):
        yield f"{name} is given another value"
    if _is_cached(step):
        variables = {r.target for r in references if r.kind is ReferenceKind.EXECUTION}
        for name in sorted(variables & _EACH_ANEW):
            yield f"{name} is another in each execution"


def _told(moved: list[str], change: StepChange | None) -> Iterator[str]:
    """What moved, in the words of the plan: files where code changed, else arguments."""
    if change is None:
        if moved:
            yield "its code has a new address, with equal content"
        return
    code = [c for c in change.code if any(_member_of(path) in moved for path in c.paths)]
    if code:
        files = dict.fromkeys(file.path for c in code for file in c.files)
        shown = ", ".join(list(files)[:3]) + (", ..." if len(files) > 3 else "")
        yield f"code changed ({shown})" if files else "code changed"
    told = {_member_of(c.path) for c in change.changes}
    plain = [name for name in moved if name in told]
    if plain:
        yield f"{', '.join(plain)} changed"


def _member_of(path: tuple[PathPart, ...]) -> PathPart:
    return path[1] if len(path) > 1 and path[0] == "Arguments" else path[0]


def _equal(old: object, new: object) -> bool:
    return old is new or not diff_values(old, new)


def _is_cached(step: Step) -> bool:
    config = step.raw.get("CacheConfig")
    return isinstance(config, Mapping) and config.get("Enabled") is True


def _is_fixed(reference: Reference, upstream: Step) -> bool:
    """Whether a reference resolves to the same text in every execution."""
    value: object = upstream.arguments
    for token in reference.tokens:
        value = _member(value, token)
    if reference.kind is not ReferenceKind.STEP or value is None:
        return False
    if isinstance(value, str | int | float):
        return True
    inner = list(find_references(value))
    return isinstance(value, Mapping) and all(r.kind is ReferenceKind.PARAMETER for r in inner)


def _member(value: object, token: str | int) -> object:
    if isinstance(value, Mapping):
        return value.get(token)
    if isinstance(value, list):
        if isinstance(token, int):
            return value[token] if token < len(value) else None
        named = (
            v
            for v in value
            if isinstance(v, Mapping) and token in (v.get("OutputName"), v.get("Name"))
        )
        return next(named, None)
    return None
