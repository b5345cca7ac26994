"""Decides which lines of a step's log are the SageMaker SDK's own, and no news to a reader.

A training step of SDK v3 runs its script under a driver that prints the whole environment before
it, every command of its own (`set -x`), and its own traceback after it. The shapes are those of
`sagemaker.train.templates` and `sagemaker.train.container_drivers`; a line of any other is kept,
the one that says what is executed as well.
"""

import re
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

# What the driver's shell says, and what `set -x` says of it.
_SHELL = re.compile(
    r"\++ (?:set \+x|cd /opt/ml/input/data/code|source /opt/ml/input/sm_training\.env"
    r"|\S+ --version|\S+ /opt/ml/input/data/sm_drivers/\S+\.py(?: .*)?"
    r"|cat /opt/ml/input/config/\w+\.json|echo(?: /opt/ml/input/config/\w+\.json:)?"
    r"|echo '(?:Setting up environment variables|Running [\w ]+ [Dd]river"
    r"|An error occurred with exit code \d+)'"
    r"|handle_error|EXIT_STATUS=\d+|'\[' '!' -s /opt/ml/output/failure '\]'|exit \d+)"
    r"|/opt/ml/input/config/(?:resourceconfig|inputdataconfig)\.json:"
    r"|Starting training script|Setting up environment variables"
    r"|Running (?:Basic Script|\w+) [Dd]river|An error occurred with exit code \d+"
    r"|No (?:GPUs|Neurons) detected \(normal if no \w+ installed\).*"
)
_CONFIG = re.compile(r"\++ cat /opt/ml/input/config/\w+\.json")
_VARIABLE = re.compile(r"\w+=")
_DUMP, _LAST_VARIABLE = "Environment Variables:", "SM_TRAINING_ENV={"
_TRACE = re.compile(r"Command failed with exit code \d+\. Traceback: Traceback \(most recent .*")
# A process that a signal ended (`died with …`) is told nowhere else.
_RAISED = re.compile(r"subprocess\.CalledProcessError: Command .* returned non-zero exit status .*")


def leave_out_driver(lines: Sequence[str]) -> tuple[str, ...]:
    """The lines without the driver's; in their place how many of them there were."""
    theirs = [_SHELL.fullmatch(line) is not None for line in lines]
    for index, line in enumerate(lines):
        if line.startswith(_LAST_VARIABLE):
            _mark(theirs, _dump_start(lines, index), index)
        elif _TRACE.fullmatch(line):
            _mark(theirs, index, _trace_end(lines, index))
        elif index and _CONFIG.fullmatch(lines[index - 1]) and line.startswith("{"):
            theirs[index] = True
    kept: list[str] = []
    for is_theirs, pairs in groupby(zip(theirs, lines, strict=True), key=itemgetter(0)):
        group = [line for _, line in pairs]
        plural = "" if len(group) == 1 else "s"
        note = f"… {len(group)} line{plural} of the SageMaker SDK's driver left out"
        kept += [note] if is_theirs else group
    return tuple(kept)


def _mark(theirs: list[bool], first: int, last: int) -> None:
    theirs[first : last + 1] = [True] * (last + 1 - first)


def _dump_start(lines: Sequence[str], last: int) -> int:
    """The first of the variables that end at `last`, or the heading before them. Values may hold
    line breaks: without the heading only variables that follow one another count."""
    for at in range(last - 1, -1, -1):
        if lines[at] == _DUMP:
            return at
        if _SHELL.fullmatch(lines[at]):
            break
    first = last
    while first and _VARIABLE.match(lines[first - 1]):
        first -= 1
    return first


def _trace_end(lines: Sequence[str], start: int) -> int:
    """The last line of the driver's traceback; before `start` where it is not the known one."""
    for at in range(start + 1, len(lines)):
        if _RAISED.fullmatch(lines[at]):
            return at
        if not lines[at].startswith(" "):
            break
    return start - 1
