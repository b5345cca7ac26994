"""The plan: what deploying a bundle would change, and what the next execution would then do."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from ci.definition.canonical import canonical_bytes
from ci.definition.model import Definition
from ci.plan.artifacts import Side, split_code
from ci.plan.compute import describe_image, describe_instances
from ci.plan.model import (
    Baseline,
    Change,
    Kind,
    PipelineState,
    Plan,
    StepChange,
)
from ci.plan.naming import as_compared, digest_state, name_plan
from ci.plan.normal import FlatStep, branches, flat_step
from ci.plan.rename import find_renames, with_names
from ci.plan.runs import Before, predict_runs
from ci.plan.settings import diff_functions, diff_parameters, diff_payloads, diff_settings
from ci.plan.tree import diff_values


def plan_changes(
    new: PipelineState,
    deployed: PipelineState | None,
    *,
    pipeline: str,
    volatile: tuple[str, ...] = (),
    baseline: Baseline = Baseline.DEPLOYED,
    unread: tuple[str, ...] = (),
    given: frozenset[str] = frozenset(),
    values: Mapping[str, str] | None = None,
) -> Plan:
    """The difference between what is wanted and what is deployed (None: the pipeline is not there).

    `volatile` names what cannot be the same twice (a bundle's `volatile`), for the reader.
    `baseline` says what `deployed` is; against NOTHING no next execution can be foretold.
    `unread` names what could not be read and is left out of both sides. `given` names parameters
    that the next execution is given another value for than the one before; `values` are all that
    it is given, which the plan's name covers.
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
    parameters = tuple(diff_parameters(new, deployed))
    before = Before(
        steps=under_new_names,
        renamed=old_names,
        defaults=frozenset(change.name for change in parameters if change.kind is Kind.CHANGED),
        exists=deployed is not None,
        changes={change.name: change for change in steps},
        given=given,
    )
    settings = tuple(diff_settings(new, deployed))
    functions = tuple(diff_functions(new, deployed))
    if not (steps or parameters or functions):
        settings += tuple(diff_payloads(new, deployed, volatile))
    wanted = digest_state(new)
    standing = None if deployed is None else digest_state(as_compared(deployed, new))
    compared = baseline is Baseline.DEPLOYED
    return Plan(
        pipeline=pipeline,
        exists=deployed is not None,
        digest=name_plan(pipeline, wanted, standing, compared=compared, values=values),
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
