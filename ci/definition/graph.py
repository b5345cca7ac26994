"""Which step waits for which, and the order that follows.

A step waits for what `DependsOn` names, for the steps it refers to (properties and property
files), and for the condition or ForEach step that holds it. Waiting for a condition step means
waiting for its outcome, not for its branches: SageMaker lays all steps of all branches out in one
graph, where a condition ends as soon as it is decided (its only property is `Outcome`). Whoever
must wait for a branch depends on the branch's steps.
"""

from collections.abc import Iterator, Mapping

from ci.definition.model import Definition, Step
from ci.definition.references import step_references


def dependencies(definition: Definition) -> Mapping[str, frozenset[str]]:
    """For each step, branches included and in the document's order, the steps it waits for.

    Names that no step has are left out here; `validate` tells of them.
    """
    steps = {step.name: step for step in definition.walk()}
    return {
        name: frozenset(other for other in _waits_for(step) if other in steps)
        for name, step in steps.items()
    }


def dependents(graph: Mapping[str, frozenset[str]]) -> Mapping[str, tuple[str, ...]]:
    """The graph turned round: for each step, those that wait for it."""
    result: dict[str, list[str]] = {name: [] for name in graph}
    for name, waits_for in graph.items():
        for other in waits_for:
            result[other].append(name)
    return {name: tuple(others) for name, others in result.items()}


def topological_order(graph: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """Every step after all it waits for; the same graph always gives the same order.

    Steps on a cycle, and those that wait for one, are not in it.
    """
    following = dependents(graph)
    open_ends = {name: len(waits_for) for name, waits_for in graph.items()}
    ready = [name for name in graph if not open_ends[name]]
    order: list[str] = []
    for name in ready:
        order.append(name)
        for other in following[name]:
            open_ends[other] -= 1
            if not open_ends[other]:
                ready.append(other)
    return tuple(order)


def find_cycles(graph: Mapping[str, frozenset[str]]) -> tuple[tuple[str, ...], ...]:
    """Cycles without a common step: each `(a, b, c)` says a waits for b, b for c and c for a."""
    found: list[tuple[str, ...]] = []
    rest = dict(graph)
    while True:
        ordered = set(topological_order(rest))
        rest = {
            name: waits_for - ordered for name, waits_for in rest.items() if name not in ordered
        }
        if not rest:
            return tuple(found)
        cycle = _one_cycle(rest)
        found.append(cycle)
        rest = {
            name: waits_for.difference(cycle)
            for name, waits_for in rest.items()
            if name not in cycle
        }


def upstream(graph: Mapping[str, frozenset[str]], name: str) -> frozenset[str]:
    """Every step that `name` waits for, at any distance. Itself only when it is on a cycle."""
    found: set[str] = set()
    open_names = list(graph.get(name, ()))
    while open_names:
        other = open_names.pop()
        if other not in found:
            found.add(other)
            open_names.extend(graph.get(other, ()))
    return frozenset(found)


def _one_cycle(graph: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """A cycle of a graph in which every step waits for another one."""
    walked: dict[str, int] = {}
    name = next(iter(graph))
    while name not in walked:
        walked[name] = len(walked)
        name = min(graph[name])
    return tuple(walked)[walked[name] :]


def _waits_for(step: Step) -> Iterator[str]:
    yield from step.depends_on
    if step.parent is not None:
        yield step.parent
    for reference in step_references(step):
        if reference.step is not None:
            yield reference.step
