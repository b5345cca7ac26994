"""Decides what a comment on a pull request asks for, and whether it may. Pure.

An order is the first line of a comment that begins with `/sagemaker`; nothing else of a comment is
ever read. Who gives it must be able to write to the repository, as the forge tells, and it counts
for the commit that was the pull request's head when it was written: what was pushed later is
another's doing. A decision counts for the report that stood there when it was written: nobody
approves what was not shown yet.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ci.errors import ExitCode, GitOpsError
from ci.forge.model import PullRequest
from ci.trigger.model import Remark

COMMAND = "/sagemaker"
WRITERS = frozenset({"admin", "maintain", "write"})
_LONGEST = 1000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")
HELP = """\
| comment | what it does |
|---|---|
| `/sagemaker approve [PIPELINE]` | approve the model that is reported here |
| `/sagemaker reject [--pipeline PIPELINE] REASON` | reject it, and say why |
| `/sagemaker run [PIPELINE]` | run the head commit, apart from production; `--again` runs it anew |
| `/sagemaker plan [PIPELINE]` | show what merging would change |
| `/sagemaker stop [PIPELINE]` | stop what runs |
| `/sagemaker help` | this |

Each takes `--environment NAME`, and `--commit COMMIT`: then it counts for that commit alone."""


class Refused(GitOpsError):
    """An order that is not obeyed."""

    exit_code = ExitCode.USAGE


class Verb(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    RUN = "run"
    PLAN = "plan"
    STOP = "stop"
    HELP = "help"


_RUNS_CODE = frozenset({Verb.RUN, Verb.PLAN})
_BOUND = _RUNS_CODE | {Verb.APPROVE, Verb.REJECT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for. `commit` is what the author named, 7 digits or more."""

    verb: Verb
    pipeline: str | None = None
    environment: str | None = None
    commit: str | None = None
    reason: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear:
    """A line that is meant for this program and cannot be obeyed; `problem` says why."""

    problem: str


def parse_order(body: str) -> Order | Unclear | None:
    """The order in a comment; None where it holds none."""
    line = body.partition("\n")[0].rstrip("\r")
    if not re.match(rf"{COMMAND}(?:[ \t]|\Z)", line):
        return None
    if len(line) > _LONGEST:
        return Unclear(problem=f"the line is longer than {_LONGEST} characters")
    words = line.split()[1:]
    if not words:
        return Order(verb=Verb.HELP)
    if words[0] not in set(Verb):
        return Unclear(problem="there is no such command")
    return _order(Verb(words[0]), words[1:])


def refusal(
    order: Order, remark: Remark, pull: PullRequest, *, pushed: datetime | None
) -> str | None:
    """Why the order is not obeyed, of someone who may give orders; None where it is.

    `pushed` is when the branch was brought to its head, by the forge's own clock; None where
    that is not known.
    """
    if order.verb in _RUNS_CODE and not pull.open:
        return "the pull request is closed"
    if order.verb in _RUNS_CODE and pull.from_fork:
        return (
            "the code comes from a fork, and is never run with this repository's rights. To run"
            " it, push its branch to this repository"
        )
    if order.commit is not None and not pull.head.startswith(order.commit):
        return f"the head of the pull request is {pull.head[:12]}, not {order.commit[:12]}"
    if order.verb in _BOUND and pull.open and order.commit is None:
        return _stale(remark, pull, pushed)
    return None


def _stale(remark: Remark, pull: PullRequest, pushed: datetime | None) -> str | None:
    name = f"To mean it all the same: `--commit {pull.head[:12]}`"
    if pushed is None or remark.written is None:
        return (
            f"it cannot be told whether {pull.head[:12]} was the head when this was written. {name}"
        )
    if pushed >= remark.written:
        return f"{pull.head[:12]} was pushed after this was written. {name}"
    return None


def unseen(remark: Remark, *, changed: datetime | None, final: bool) -> str | None:
    """Why a decision is not made on the model that a report names; None where its author can have
    seen it. `changed` is when the report's text was written last, `final` whether it is the last
    word on its execution.

    A report is only rewritten where it says something else than before: another execution of the
    same commit, another comparison with production. While it follows its execution it offers no
    model, so that what it says of the progress keeps nobody from deciding. GitHub's times are of
    whole seconds: within one it cannot be told which came first, and the order counts as earlier.
    """
    if not final:
        return "its execution is still followed, and its model is not reported yet"
    if changed is None or remark.written is None:
        return "it cannot be told whether its report came before this. Give the order again"
    if changed >= remark.written:
        return (
            f"its report is of {changed:%H:%M:%S}, and this was written at"
            f" {remark.written:%H:%M:%S}. Look at the report, then give the order again"
        )
    return None


def needs_time(order: Order, pull: PullRequest) -> bool:
    """Whether it matters when the head was pushed."""
    return order.verb in _BOUND and pull.open and order.commit is None


def runs_code(order: Order) -> bool:
    return order.verb in _RUNS_CODE


def _order(verb: Verb, words: list[str]) -> Order | Unclear:
    named: dict[str, str] = {}
    again = False
    rest: list[str] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if verb is Verb.REJECT and rest:
            rest.append(word)
        elif word == "--again" and verb is Verb.RUN and not again:
            again = True
        elif word in _OPTIONS:
            form = _OPTIONS[word]
            value = waiting.pop(0) if waiting else ""
            if word in named or not form.fullmatch(value):
                return Unclear(problem=f"{word} takes one value, of the right form")
            named[word] = value
        elif word.startswith("-"):
            return Unclear(problem="there is no such option")
        else:
            rest.append(word)
    return _settled(verb, named, rest, again=again)


_OPTIONS = {"--environment": _NAME, "--pipeline": _NAME, "--commit": _COMMIT}


def _settled(verb: Verb, named: dict[str, str], rest: list[str], *, again: bool) -> Order | Unclear:
    pipeline = named.get("--pipeline")
    if verb is Verb.REJECT:
        if not rest:
            return Unclear(problem="a rejection says why: `/sagemaker reject REASON`")
    elif len(rest) > 1 or (rest and pipeline) or not _all_names(rest):
        return Unclear(problem="it takes the name of one pipeline at most")
    else:
        pipeline = rest[0] if rest else pipeline
    return Order(
        verb=verb,
        pipeline=pipeline,
        environment=named.get("--environment"),
        commit=named.get("--commit"),
        reason=" ".join(rest) if verb is Verb.REJECT else "",
        again=again,
    )


def _all_names(words: Iterable[str]) -> bool:
    return all(_NAME.fullmatch(word) for word in words)
