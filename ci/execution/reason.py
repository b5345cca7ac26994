"""Decides what of a failure reason is told on one line: what was raised, and not where. Pure.

A reason holds what the container left in its failure file: a Python traceback, or in script mode
the words of sagemaker-training (`errors.py`), which quote the end of the script's log.
"""

import re

_TRACEBACK = "Traceback (most recent call last):"
_SCRIPT_ERROR = re.compile(
    r'ExecuteUserScriptError:\s+(?P<code>ExitCode \S+)\s+ErrorMessage "(?P<said>.*?)"\s+'
    r'(?:ExtraInfo|Command) "[^"]*"',
    re.DOTALL,
)


def short_reason(reason: str) -> str:
    """`AlgorithmError: KeyError: 'rings', exit code: 1`; any other reason as it is."""
    return _raised(_SCRIPT_ERROR.sub(_said, reason))


def _said(found: re.Match[str]) -> str:
    """The script's last words, from its last traceback on; its exit code where it had none."""
    said = found["said"].strip()
    if _TRACEBACK in said:
        return said[said.rindex(_TRACEBACK) :]
    return said.rpartition("\n")[2].strip() or found["code"]


def _raised(text: str) -> str:
    """Of chained exceptions the last is the one that ended the script."""
    before, trace, _ = text.partition(_TRACEBACK)
    lines = text.rpartition(_TRACEBACK)[2].splitlines()
    raised = next((line for line in lines if line.strip() and not line[0].isspace()), None)
    return before + raised if trace and raised else text
