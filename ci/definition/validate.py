"""All that can be said against a definition before SageMaker sees it. Offline, no clients."""

from collections.abc import Mapping

from ci.definition.model import Definition, Problem
from ci.definition.rules_arguments import argument_problems
from ci.definition.rules_document import default_problems, document_problems
from ci.definition.rules_references import reference_problems
from ci.definition.rules_steps import step_problems


def find_problems(
    definition: Definition, *, given: Mapping[str, object] | None = None
) -> tuple[Problem, ...]:
    """Every problem, each once, in the order of its rule's module. Empty means valid.

    `given` are the parameters an execution or trigger would start with; without it, parameters
    that have no default are no problem.
    """
    found = [
        *document_problems(definition),
        *step_problems(definition),
        *reference_problems(definition),
        *argument_problems(definition),
    ]
    if given is not None:
        found.extend(default_problems(definition, given))
    return tuple(dict.fromkeys(found))
