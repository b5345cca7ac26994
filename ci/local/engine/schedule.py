"""Which steps may start, and how an execution ends. Pure."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from enum import StrEnum

from ci.definition.graph import dependencies
from ci.definition.model import Definition, Step


class State(StrEnum):
    """Where a step stands; NEVER is a step that can no longer run."""

    WAITING = "Waiting"
    RUNNING = "Executing"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STOPPED = "Stopped"
    NEVER = "Never"


_OVER: Set[State] = frozenset({State.SUCCEEDED, State.FAILED, State.STOPPED, State.NEVER})
_WANTED: Mapping[str, Set[State]] = {
    "Completed": frozenset({State.SUCCEEDED}),
    "Failed": frozenset({State.FAILED}),
    "Stopped": frozenset({State.STOPPED}),
    "Any": frozenset({State.SUCCEEDED, State.FAILED, State.STOPPED}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A step and what must be done before it: `needs` maps a step's name to the states of it
    that let this one start. `parent` is the condition step whose outcome has to be `branch`."""

    step: Step
    needs: Mapping[str, Set["State"]]
    parent: str | None = None
    branch: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is known of an execution: each step's state (absent means waiting), the outcome of
    each condition, whether a stop was asked for, whether a Fail step has spoken."""

    states: Mapping[str, State] = field(default_factory=dict)
    outcomes: Mapping[str, bool] = field(default_factory=dict)
    stopping: bool = False
    failed_by_step: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Steps to start now, in the definition's order, and the execution's status once it is
    over."""

    start: tuple[str, ...] = ()
    status: str | None = None


def build_nodes(definition: Definition) -> dict[str, Node]:
    """Every step of a definition, branches included, with what it waits for."""
    steps = {step.name: step for step in definition.walk()}
    nodes: dict[str, Node] = {}
    for name, waits_for in dependencies(definition).items():
        step = steps[name]
        branch = None
        if step.parent is not None:
            branch = any(child.name == name for child in steps[step.parent].if_steps)
        nodes[name] = Node(
            step=step,
            needs={
                other: _WANTED[step.triggers.get(other, "Completed")]
                for other in waits_for
                if other != step.parent
            },
            parent=step.parent,
            branch=branch,
        )
    return nodes


def decide(nodes: Mapping[str, Node], progress: Progress, *, parallel: int) -> Decision:
    """The next move. A failed step ends only what depends on it; a Fail step and a stop keep
    anything new from starting. `parallel` bounds the steps running at once."""
    states = _settle(nodes, progress)
    running = sum(1 for state in states.values() if state is State.RUNNING)
    halted = progress.stopping or progress.failed_by_step
    ready = [] if halted else [n for n in nodes if _ready(nodes[n], states, progress)]
    if ready or running:
        return Decision(start=tuple(ready[: max(0, parallel - running)]))
    return Decision(status=_status(nodes, states, progress))


def _status(nodes: Mapping[str, Node], states: Mapping[str, State], progress: Progress) -> str:
    failed = {name for name, state in states.items() if state is State.FAILED}
    if progress.stopping:
        return "Stopped"
    if failed and not progress.failed_by_step and failed <= _answered(nodes, states):
        return "CompletedWithFailures"
    if failed:
        return "Failed"
    return "Stopped" if State.STOPPED in states.values() else "Succeeded"


def _answered(nodes: Mapping[str, Node], states: Mapping[str, State]) -> set[str]:
    """Steps whose failure another step waited for, and answered with success."""
    return {
        need
        for name, node in nodes.items()
        for need, wanted in node.needs.items()
        if State.FAILED in wanted and states[name] is State.SUCCEEDED
    }


def _settle(nodes: Mapping[str, Node], progress: Progress) -> dict[str, State]:
    """States with NEVER carried to everything that can no longer run."""
    states = {name: progress.states.get(name, State.WAITING) for name in nodes}
    changed = True
    while changed:
        changed = False
        for name, node in nodes.items():
            if states[name] is State.WAITING and _hopeless(node, states, progress):
                states[name] = State.NEVER
                changed = True
    return states


def _hopeless(node: Node, states: Mapping[str, State], progress: Progress) -> bool:
    if any(
        states[need] in _OVER and states[need] not in wanted for need, wanted in node.needs.items()
    ):
        return True
    if node.parent is None:
        return False
    if states[node.parent] in _OVER - {State.SUCCEEDED}:
        return True
    return states[node.parent] is State.SUCCEEDED and (
        progress.outcomes.get(node.parent) is not node.branch
    )


def _ready(node: Node, states: Mapping[str, State], progress: Progress) -> bool:
    if states[node.step.name] is not State.WAITING:
        return False
    if any(states[need] not in wanted for need, wanted in node.needs.items()):
        return False
    return node.parent is None or (
        states[node.parent] is State.SUCCEEDED and progress.outcomes.get(node.parent) is node.branch
    )
