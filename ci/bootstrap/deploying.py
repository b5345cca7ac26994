"""Brings templates to an account by change sets: shown first, executed only where that is wanted.

A proposal that is not executed leaves nothing behind; one that changes nothing is told and no
failure.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ci.bootstrap.steps import Step
from ci.bootstrap.template import LARGEST_BODY, Equals, Not, Ref, Template, render_template
from ci.errors import AwsError, DeadlineReached
from ci.sagemaker.stacks import ChangeSet, Proposal, ResourceChange, Stack, Stacks

_GOOD = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})
_UNKNOWN = re.compile(r"Unrecognized resource types: \[([^]]*)\]")
_POLL = 1.0
_CHANGE_SET_SECONDS = 300.0


class State(StrEnum):
    UNCHANGED = "unchanged"
    PROPOSED = "proposed"
    DEPLOYED = "deployed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What became of one template."""

    stack: str
    state: State
    changes: tuple[ResourceChange, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """`left()` gives the seconds until the deadline. `store` puts a template that is too large for
    a request where CloudFormation reads it, and gives its URL."""

    stacks: Stacks
    store: Callable[[str], str]
    sleep: Callable[[float], None]
    left: Callable[[], float]
    show: Callable[[str, tuple[ResourceChange, ...]], None]


def deploy_step(means: Means, step: Step, *, execute: bool) -> Deployment:
    """Propose, show, and with `execute` carry out.

    AwsError with the reasons of the stack's events where it fails; DeadlineReached while it goes
    on.
    """
    stack = step.stack
    name = _propose(means, step)
    changes = _wait_for_change_set(means, stack, name)
    if changes.nothing:
        _discard(means.stacks, stack, name)
        return Deployment(stack=stack, state=State.UNCHANGED, outputs=step.outputs)
    if changes.status != "CREATE_COMPLETE":
        _discard(means.stacks, stack, name)
        raise _refused(stack, changes)
    listed = tuple(_real(step, changes.changes))
    means.show(stack, listed)
    if not execute:
        _discard(means.stacks, stack, name)
        return Deployment(stack=stack, state=State.PROPOSED, changes=listed)
    begun = means.stacks.find(stack)
    means.stacks.execute(stack, name)
    ended = _wait_for_stack(means, begun.id if begun else stack, stack)
    return Deployment(stack=stack, state=State.DEPLOYED, changes=listed, outputs=ended.outputs)


def _propose(means: Means, step: Step) -> str:
    """The name of the change set that is being made."""
    body = render_template(step.template)
    name = f"sagemaker-gitops-{hashlib.sha256(body.encode()).hexdigest()[:12]}"
    proposal = Proposal(
        stack=step.stack,
        change_set=name,
        body=body,
        parameters=step.parameters,
        known=tuple(step.kept),
        capabilities=step.template.capabilities,
        create=step.create,
        url=means.store(body) if len(body.encode()) > LARGEST_BODY else None,
    )
    try:
        means.stacks.propose(proposal)
    except AwsError as error:
        if unknown := _UNKNOWN.search(error.what):
            raise _unsupported(step, unknown[1].split(", "), error) from error
        raise
    return name


def _real(step: Step, changes: tuple[ResourceChange, ...]) -> Iterator[ResourceChange]:
    """Without resources whose condition is false: an emulator's change set lists them as well."""
    made = step.template.made({**step.parameters, **step.kept})
    return (each for each in changes if each.action != "Add" or each.resource in made)


def _wait_for_change_set(means: Means, stack: str, name: str) -> ChangeSet:
    waited = 0.0
    while (changes := means.stacks.read(stack, name)).pending:
        if waited >= _CHANGE_SET_SECONDS or means.left() <= 0:
            raise DeadlineReached("the change set is still being made", where=stack)
        means.sleep(_POLL)
        waited += _POLL
    return changes


def _wait_for_stack(means: Means, stack_id: str, name: str) -> Stack:
    while True:
        # At once the stack may still say what it said before.
        means.sleep(_POLL)
        found = means.stacks.find(stack_id)
        if found is not None and found.status in _GOOD:
            return found
        if found is None or not (found.moving or found.empty):
            raise _failed(means.stacks, stack_id, name, found)
        if means.left() <= 0:
            raise DeadlineReached(
                f"the stack {name} is still {found.status}", where=found.id, fix="Run again."
            )


def _discard(stacks: Stacks, stack: str, name: str) -> None:
    stacks.discard(stack, name)
    left = stacks.find(stack)
    if left is not None:
        stacks.forget(left)


def _refused(stack: str, changes: ChangeSet) -> AwsError:
    return AwsError(
        f"The change set of {stack} is {changes.status}: {changes.reason or 'no reason is given'}",
        code=changes.status,
        operation="CreateChangeSet",
        where=stack,
    )


def _unsupported(step: Step, kinds: list[str], error: AwsError) -> AwsError:
    """The endpoint's CloudFormation lacks types that the template makes something of."""
    ways = dict.fromkeys(
        _way_round(step.template, resource.condition)
        for resource in step.template.made({**step.parameters, **step.kept}).values()
        if resource.kind in kinds
    )
    return AwsError(
        f"CloudFormation here does not know {', '.join(kinds)}",
        code=error.code,
        operation=error.operation,
        status=error.status,
        where=f"the stack {step.stack}",
        why="Not every region has every type, and an emulator has few.",
        fix="\n".join(ways),
    )


def _way_round(template: Template, condition: str | None) -> str:
    match template.conditions.get(condition) if condition else None:
        case Equals(Ref(name), ""):
            return f"--parameter {name}=VALUE: {template.parameters[name].description}"
        case Not(Equals(Ref(name), "")):
            return f"--parameter {name}= (empty)"
        case _:
            return f"Leave the template {template.name} out."


def _failed(stacks: Stacks, stack_id: str, name: str, found: Stack | None) -> AwsError:
    reasons = stacks.failures(stack_id)
    state = found.status if found is not None else "gone again"
    return AwsError(
        f"The stack {name} failed and is {state}",
        code="StackFailed",
        operation="ExecuteChangeSet",
        where=stack_id,
        why="\n".join(reasons) or (found.reason if found else None),
    )
