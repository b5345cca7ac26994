"""Brings templates to an account by change sets: shown first, executed only where that is wanted.

A proposal that is not executed leaves nothing behind; one that changes nothing is told and no
failure.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ci.bootstrap.template import LARGEST_BODY, Template, render_template
from ci.errors import AwsError, DeadlineReached, UsageError
from ci.sagemaker.stacks import ChangeSet, Proposal, ResourceChange, Stack, Stacks

_GOOD = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})
_STUCK = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "CREATE_FAILED"})
_POLL = 2.0
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


def deploy_template(
    means: Means,
    template: Template,
    *,
    stack: str,
    given: Mapping[str, str],
    execute: bool,
) -> Deployment:
    """Propose, show, and with `execute` carry out.

    `given` are parameters by name. UsageError for one that is missing; AwsError with the reasons
    of the stack's events where it fails; DeadlineReached while it goes on.
    """
    body = render_template(template)
    found = _settled(means.stacks.find(stack))
    parameters, known = choose_parameters(template, found, given)
    name = f"sagemaker-gitops-{hashlib.sha256(body.encode()).hexdigest()[:12]}"
    means.stacks.propose(
        Proposal(
            stack=stack,
            change_set=name,
            body=body,
            parameters=parameters,
            known=known,
            capabilities=template.capabilities,
            create=found is None or found.empty,
            url=means.store(body) if len(body.encode()) > LARGEST_BODY else None,
        )
    )
    changes = _wait_for_change_set(means, stack, name)
    if changes.nothing:
        _discard(means.stacks, stack, name)
        return Deployment(
            stack=stack, state=State.UNCHANGED, outputs=found.outputs if found else {}
        )
    if changes.status != "CREATE_COMPLETE":
        _discard(means.stacks, stack, name)
        raise _refused(stack, changes)
    means.show(stack, changes.changes)
    if not execute:
        _discard(means.stacks, stack, name)
        return Deployment(stack=stack, state=State.PROPOSED, changes=changes.changes)
    begun = means.stacks.find(stack)
    means.stacks.execute(stack, name)
    ended = _wait_for_stack(means, begun.id if begun else stack, stack)
    return Deployment(
        stack=stack, state=State.DEPLOYED, changes=changes.changes, outputs=ended.outputs
    )


def choose_parameters(
    template: Template, found: Stack | None, given: Mapping[str, str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The values to send, and the names that keep the stack's value.

    What was given goes first, then what the project file says, then what the stack has.
    """
    held = found.parameters if found is not None and not found.empty else {}
    values = {name: value for name, value in given.items() if name in template.parameters}
    known: list[str] = []
    missing: list[str] = []
    for name, parameter in template.parameters.items():
        if name in values:
            continue
        if name in held and not (parameter.settled and parameter.default is not None):
            known.append(name)
        elif parameter.default is not None:
            values[name] = str(parameter.default)
        else:
            missing.append(name)
    if missing:
        raise UsageError(
            f"the template {template.name} needs {', '.join(missing)}",
            why="; ".join(template.parameters[name].description for name in missing),
            fix=" ".join(f"--parameter {name}=VALUE" for name in missing),
        )
    return values, tuple(known)


def _settled(found: Stack | None) -> Stack | None:
    """A stack that can be changed now. AwsError for one that cannot."""
    if found is None:
        return None
    if found.moving:
        raise AwsError(
            f"The stack {found.name} is {found.status}",
            code=found.status,
            operation="DescribeStacks",
            where=found.id,
            why="Another change of it is under way.",
            fix="Run again when it has ended.",
        )
    if found.status in _STUCK:
        raise AwsError(
            f"The stack {found.name} is {found.status} and takes no change",
            code=found.status,
            operation="DescribeStacks",
            where=found.id,
            why=found.reason,
            fix=f"aws cloudformation delete-stack --stack-name {found.name}",
        )
    return found


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
