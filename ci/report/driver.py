"""Decides which lines of a step's log are SageMaker's own, and no news to a reader; and what the
script raised that its log ends in.

A training step of SDK v3 runs its script under a driver that prints the whole environment before
it, every command of its own (`set -x`), and its own traceback after it. In script mode (SDK v2) the
training toolkit of the image does the same in words of its own. The shapes are those of
`sagemaker.train.templates`, `sagemaker.train.container_drivers` and sagemaker-training 5.1; a line
of any other is kept, the one that says what is executed as well.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
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
_LAST_VARIABLE = "SM_TRAINING_ENV={"
_TRACE = re.compile(r"Command failed with exit code \d+\. Traceback: Traceback \(most recent .*")
# A process that a signal ended (`died with …`) is told nowhere else.
_RAISED = re.compile(r"subprocess\.CalledProcessError: Command .* returned non-zero exit status .*")

_STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} sagemaker-training-toolkit "
_TOOLKIT = re.compile(
    rf"{_STAMP}(?:INFO     .*|ERROR    (?:Reporting training FAILURE|Encountered exit_code \d+))"
)
_SCRIPT_ERROR = re.compile(rf"{_STAMP}ERROR    ExecuteUserScriptError:")
_COMMAND = re.compile(r'Command ".*"')
_LONGEST_ERROR = 100  # lines: the toolkit repeats what the script wrote last
_INVOKING = "Invoking script with the following command:"
_TRACEBACK = "Traceback (most recent call last):"
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(?:: \S.*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dump:
    """How an environment is told: its heading, its lines, and what may stand before it."""

    heading: str
    line: re.Pattern[str]
    before: re.Pattern[str]


_OF_DRIVER = _Dump(heading="Environment Variables:", line=re.compile(r"\w+=.*"), before=_SHELL)
_OF_TOOLKIT = _Dump(
    heading="Training Env:",
    line=re.compile(r"|Environment variables:|\w+=.*|[{}]| {4,}\S.*"),
    before=_TOOLKIT,
)


def leave_out_driver(lines: Sequence[str]) -> tuple[str, ...]:
    """The lines without SageMaker's; in their place how many of them there were."""
    kept: list[str] = []
    for is_theirs, pairs in groupby(zip(_theirs(lines), lines, strict=True), key=itemgetter(0)):
        group = [line for _, line in pairs]
        plural = "" if len(group) == 1 else "s"
        note = f"… {len(group)} line{plural} of SageMaker's own left out"
        kept += [note] if is_theirs else group
    return tuple(kept)


def raised_at_last(lines: Sequence[str]) -> str | None:
    """The exception of the Python traceback that the script's own lines end in (`KeyError: 'x'`).

    None for any other end: a traceback that something was written after may be one that was
    handled, and what follows an exception's first line cannot be told from that.
    """
    told = zip(_theirs(lines), lines, strict=True)
    own = [line for is_theirs, line in told if line.strip() and not is_theirs]
    if _TRACEBACK not in own or _EXCEPTION.fullmatch(own[-1]) is None:
        return None
    start = len(own) - 1 - own[::-1].index(_TRACEBACK)
    # The driver of SDK v3 takes the indentation away.
    in_a_frame = any(line.lstrip().startswith('File "') for line in own[start + 1 : -1])
    return own[-1] if in_a_frame else None


def is_drivers_reason(reason: str) -> bool:
    """Whether a reason of failure is the driver's own traceback: the script's is in its log."""
    return "/sm_drivers/" in reason and _RAISED.search(reason) is not None


def _theirs(lines: Sequence[str]) -> list[bool]:
    theirs = [(_SHELL.fullmatch(line) or _TOOLKIT.fullmatch(line)) is not None for line in lines]
    for index, line in enumerate(lines):
        if line.startswith(_LAST_VARIABLE):
            _mark(theirs, _dump_start(lines, index, _OF_DRIVER), index)
        elif _TRACE.fullmatch(line):
            _mark(theirs, index, _trace_end(lines, index))
        elif line == _INVOKING:
            _mark(theirs, _dump_start(lines, index, _OF_TOOLKIT), index)
        elif _SCRIPT_ERROR.fullmatch(line):
            _mark(theirs, index, _script_error_end(lines, index))
        elif index and _CONFIG.fullmatch(lines[index - 1]) and line.startswith("{"):
            theirs[index] = True
    for order in (range(1, len(lines)), range(len(lines) - 2, -1, -1)):
        for index in order:  # blank lines go with what they are beside
            beside = index - 1 if order.step > 0 else index + 1
            theirs[index] |= theirs[beside] and not lines[index].strip()
    return theirs


def _mark(theirs: list[bool], first: int, last: int) -> None:
    theirs[first : last + 1] = [True] * (last + 1 - first)


def _dump_start(lines: Sequence[str], last: int, dump: _Dump) -> int:
    """The first of the lines that tell the environment up to `last`, or the heading before them.
    Values may hold line breaks: without the heading only lines of its form that follow one another
    count."""
    for at in range(last - 1, -1, -1):
        if lines[at] == dump.heading:
            return at
        if dump.before.fullmatch(lines[at]):
            break
    first = last
    while first and dump.line.fullmatch(lines[first - 1]):
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


def _script_error_end(lines: Sequence[str], start: int) -> int:
    """The last line of what the toolkit says of a script that failed; before `start` where that
    is not the known."""
    for at in range(start + 1, min(len(lines), start + _LONGEST_ERROR)):
        if _COMMAND.fullmatch(lines[at]):
            return at
    return start - 1
