"""The plan: what deploying a bundle would change, and what the next execution would then do."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from ci.definition.canonical import canonical_bytes
from ci.definition.model import Definition, Parameter
from ci.plan.artifacts import Side, split_code
from ci.plan.compute import describe_image, describe_instances
from ci.plan.model import (
    MISSING,
    Baseline,
    Change,
    CodeChange,
    FunctionState,
    Kind,
    NamedChange,
    PipelineState,
    Plan,
    StepChange,
)
from ci.plan.naming import name_plan
from ci.plan.normal import FlatStep, branches, flat_step, outer_document
from ci.plan.rename import find_renames, with_names
from ci.plan.runs import Before, predict_runs
from ci.plan.tree import diff_values, render_path
from ci.project.names import OWN

# Tags that tell of the deploy itself and move with every one.
_DIGEST = f"{OWN}digest"
VOLATILE_TAGS = frozenset({f"{OWN}commit", _DIGEST})


def plan_changes(
    new: PipelineState,
    deployed: PipelineState | None,
    *,
    pipeline: str,
    volatile: tuple[str, ...] = (),
    baseline: Baseline = Baseline.DEPLOYED,
    unread: tuple[str, ...] = (),
    given: frozenset[str] = frozenset(),
) -> Plan:
    """The difference between what is wanted and what is deployed (None: the pipeline is not there).

    `volatile` names what cannot be the same twice (a bundle's `volatile`), for the reader.
    `baseline` says what `deployed` is; against NOTHING no next execution can be foretold.
    `unread` names what could not be read and is left out of both sides. `given` names parameters
    that the next execution is given another value for than the one before.
    """
    flat = _flat_steps(new.definition)
    earlier = {} if deployed is None else _flat_steps(deployed.definition, flat)
    renames: Mapping[str, str] = {}
    if deployed is not None:
        renames = find_renames(earlier, flat, before=deployed.definition, after=new.definition)
    under_new_names = {
        renames.get(name, name): _renamed(name, step, renames) for name, step in earlier.items()
    }
    old_names = {new_name: old_name for old_name, new_name in renames.items()}
    steps = tuple(_step_changes(flat, under_new_names, old_names, new, deployed))
    parameters = tuple(_parameters(new, deployed))
    before = Before(
        steps=under_new_names,
        renamed=old_names,
        defaults=frozenset(change.name for change in parameters if change.kind is Kind.CHANGED),
        exists=deployed is not None,
        changes={change.name: change for change in steps},
        given=given,
    )
    settings = tuple(_settings(new, deployed))
    functions = tuple(_functions(new, deployed))
    if not (steps or parameters or functions):
        settings += tuple(_payloads(new, deployed, volatile))
    wanted = _digest(new)
    standing = None if deployed is None else _digest(_compared(deployed, new))
    compared = baseline is Baseline.DEPLOYED
    return Plan(
        pipeline=pipeline,
        exists=deployed is not None,
        digest=name_plan(pipeline, wanted, standing, compared=compared),
        wanted=wanted,
        deployed=standing,
        steps=steps,
        parameters=parameters,
        settings=settings,
        functions=functions,
        runs=() if baseline is Baseline.NOTHING else predict_runs(new.definition, flat, before),
        volatile=volatile,
        baseline=baseline,
        unread=unread,
    )


def _compared(deployed: PipelineState, new: PipelineState) -> PipelineState:
    """The deployed side without what is not compared: it may move as it likes."""
    return replace(
        deployed,
        role=None if new.role is None else deployed.role,
        parallelism=None if new.parallelism is None else deployed.parallelism,
        tags={key: value for key, value in deployed.tags.items() if key in new.tags},
    )


def _renamed(name: str, step: FlatStep, renames: Mapping[str, str]) -> FlatStep:
    """A step of the deployed side as it reads under the new names."""
    if not renames:
        return step
    own = name if name in renames else None
    return replace(step, document=with_names(step.document, renames, own=own))


def _flat_steps(
    definition: Definition, known: Mapping[str, FlatStep] | None = None
) -> dict[str, FlatStep]:
    """Flat steps by name; those that are `known` already are taken as they are."""
    places = branches(definition)
    result: dict[str, FlatStep] = {}
    for step in definition.walk():
        place = places[step.name]
        same = None if known is None else known.get(step.name)
        if same is not None and same.branch == place and _equal(same.step.raw, step.raw):
            result[step.name] = same
        else:
            result[step.name] = flat_step(step, place)
    return result


def _step_changes(
    flat: Mapping[str, FlatStep],
    earlier: Mapping[str, FlatStep],
    old_names: Mapping[str, str],
    new: PipelineState,
    deployed: PipelineState | None,
) -> Iterator[StepChange]:
    for name, step in flat.items():
        before = earlier.get(name)
        if before is None or deployed is None:
            yield StepChange(
                name=name,
                type=step.step.type,
                kind=Kind.ADDED,
                content=step.document,
                instances=describe_instances(step.step, new.definition),
                image=describe_image(step.step, new.definition),
            )
            continue
        if before is step or (name not in old_names and _equal(before.document, step.document)):
            continue
        found = diff_values(before.document, step.document)
        changes, code = split_code(
            [change for change in found if not _is_masked(change, new.masks)],
            Side(files=deployed.files, addresses=before.addresses),
            Side(files=new.files, addresses=step.addresses),
        )
        if changes or code or name in old_names:
            yield StepChange(
                name=name,
                type=step.step.type,
                kind=Kind.RENAMED if name in old_names else Kind.CHANGED,
                old_name=old_names.get(name),
                changes=changes,
                code=code,
            )
    for name, step in earlier.items():
        if name not in flat:
            yield StepChange(
                name=name, type=step.step.type, kind=Kind.REMOVED, content=step.document
            )


def _is_masked(change: Change, masks: tuple[str, ...]) -> bool:
    """Whether two texts differ only where the new one holds what is never the same twice."""
    if not (isinstance(change.old, str) and isinstance(change.new, str)):
        return False
    held = [mask for mask in masks if mask and mask in change.new]
    if not held:
        return False
    parts = re.split("|".join(re.escape(mask) for mask in held), change.new)
    return re.fullmatch(".+?".join(map(re.escape, parts)), change.old, re.DOTALL) is not None


def _equal(old: Mapping[str, object], new: Mapping[str, object]) -> bool:
    """Python takes 1, 1.0 and true for equal; their JSON is not. `repr` tells most pairs fast."""
    return old == new and (repr(old) == repr(new) or canonical_bytes(old) == canonical_bytes(new))


def _parameters(new: PipelineState, deployed: PipelineState | None) -> Iterator[NamedChange]:
    before = {} if deployed is None else deployed.definition.parameters
    after = new.definition.parameters
    for name in dict.fromkeys((*after, *before)):
        old, now = before.get(name), after.get(name)
        yield from _named(name, _parameter(old), _parameter(now))


def _parameter(parameter: Parameter | None) -> object:
    """A parameter as the definition writes it."""
    if parameter is None:
        return MISSING
    result: dict[str, object] = {"Type": str(parameter.type)}
    if parameter.default is not None:
        result["DefaultValue"] = parameter.default
    if parameter.choices:
        result["EnumValues"] = sorted(parameter.choices)
    return result


def _settings(new: PipelineState, deployed: PipelineState | None) -> Iterator[NamedChange]:
    """Role, parallelism, tags, and what stands beside the steps in the definition."""
    if deployed is None:
        return
    for name, old, now in (
        ("role", deployed.role, new.role),
        ("parallelism", deployed.parallelism, new.parallelism),
    ):
        if now is not None:
            yield from _named(name, MISSING if old is None else old, now)
    for key, value in new.tags.items():
        if key not in VOLATILE_TAGS:
            yield from _named(f"tag {key}", deployed.tags.get(key, MISSING), value)
    before, after = outer_document(deployed.definition), outer_document(new.definition)
    for change in diff_values(before, after):
        yield from _named(render_path(change.path), change.old, change.new)


def _payloads(
    new: PipelineState, deployed: PipelineState | None, volatile: tuple[str, ...]
) -> Iterator[NamedChange]:
    """Functions as steps that changed where the definition shows nothing but what always changes:
    the digest that was deployed tells, since it counts their code."""
    before = None if deployed is None else deployed.tags.get(_DIGEST)
    if volatile and before and new.identity and before != new.identity:
        name = f"code of functions as steps ({', '.join(volatile)})"
        yield NamedChange(name=name, kind=Kind.CHANGED, old=before, new=new.identity)


def _named(name: str, old: object, new: object) -> Iterator[NamedChange]:
    if diff_values({"": old}, {"": new}):
        kind = Change(path=(), old=old, new=new).kind
        yield NamedChange(
            name=name,
            kind=kind,
            old=None if old is MISSING else old,
            new=None if new is MISSING else new,
        )


def _functions(new: PipelineState, deployed: PipelineState | None) -> Iterator[NamedChange]:
    """Lambda functions. Where the deployed side does not tell of any, nothing is compared."""
    if new.functions is None:
        return
    before = None if deployed is None else deployed.functions
    if deployed is not None and before is None:
        return
    for name, function in new.functions.items():
        old = (before or {}).get(name)
        if old is None:
            yield NamedChange(name=name, kind=Kind.ADDED, new=dict(function.configuration))
        else:
            yield from _function(name, old, function, new, deployed)


def _function(
    name: str,
    old: FunctionState,
    function: FunctionState,
    new: PipelineState,
    deployed: PipelineState | None,
) -> Iterator[NamedChange]:
    code: CodeChange | None = None
    if old.sha256 != function.sha256 and deployed is not None:
        address = Change(
            path=("Code",), old=f"artifact:{old.sha256}", new=f"artifact:{function.sha256}"
        )
        sides = (Side(files=side.files, addresses={}) for side in (deployed, new))
        _, changes = split_code((address,), *sides)
        code = changes[0] if changes else None
    settings = diff_values(dict(old.configuration), dict(function.configuration))
    if code is not None or settings:
        yield NamedChange(
            name=name,
            kind=Kind.CHANGED,
            old=dict(old.configuration),
            new=dict(function.configuration),
            code=code,
        )


def _digest(state: PipelineState) -> str:
    """SHA-256, in hex, of all that a deploy writes."""
    functions = {}
    if state.identity is None:  # a bundle's digest covers its functions
        functions = {
            name: [function.sha256, dict(function.configuration)]
            for name, function in (state.functions or {}).items()
        }
    document = {
        "definition": state.identity
        or hashlib.sha256(canonical_bytes(state.definition.raw)).hexdigest(),
        "role": state.role,
        "parallelism": state.parallelism,
        "tags": {k: v for k, v in state.tags.items() if k not in VOLATILE_TAGS},
        "functions": functions,
    }
    return hashlib.sha256(canonical_bytes(document)).hexdigest()
