"""Which texts stand for a value of a parameter: StartPipelineExecution takes each as a string."""

import math
import re

from ci.definition.model import ParameterType

LONGEST_VALUE = 1024  # characters: PipelineParameter's Value

# In ASCII and without underscores or blanks, which Python's own int and float would take.
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")

Value = str | int | float | bool


def read_value(kind: ParameterType, text: str) -> Value | None:
    """The value of a parameter of this type; None where the text stands for none."""
    match kind:
        case ParameterType.STRING:
            return text or None
        case ParameterType.INTEGER:
            return int(text) if _INTEGER.fullmatch(text) else None
        case ParameterType.FLOAT:
            number = float(text) if _FLOAT.fullmatch(text) else math.inf
            return number if math.isfinite(number) else None
        case ParameterType.BOOLEAN:
            return {"true": True, "false": False}.get(text.lower())
