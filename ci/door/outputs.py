"""The action's output variables: those that the buildspec exports, by the same names. Pure."""

from collections.abc import Mapping

from ci.cli.workflow import OUTPUTS, variable_of


def variables_of(outputs: Mapping[str, str]) -> dict[str, str]:
    """KeyError for an output that the other doors do not have. CodePipeline takes no empty
    value."""
    for name in outputs:
        OUTPUTS[name]
    return {variable_of(name): value for name, value in outputs.items() if value}
