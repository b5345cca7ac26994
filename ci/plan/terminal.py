"""The plan as lines for a terminal.

Everything that comes from a definition or a file is shown as it is and does nothing: no escape
sequence in it takes effect. A change is told whole, a new pipeline by its outline
(`ci.plan.outline`) unless all of it is asked for.
"""

from collections.abc import Iterator, Mapping, Sequence

from ci.plan.lines import (
    LONGEST_PLACE,
    function_lines,
    named_lines,
    parameter_lines,
    step_lines,
    unreadable,
    whole_lines,
)
from ci.plan.model import CodeChange, Plan
from ci.plan.outline import outline
from ci.plan.words import (
    BASELINES,
    SIGNS,
    fate,
    file_summary,
    summary,
    verdict,
    visible,
    visible_lines,
    why,
)
from ci.text.wrap import wrap_line

_NOTHING_GIVEN: Mapping[str, object] = {}
_HEADING, _SENTENCE = "heading", "sentence"
_COLORS = {"+": "32", "-": "31", "~": "33", "@": "36", _HEADING: "1"}


def render_terminal(
    plan: Plan,
    *,
    given: Mapping[str, object] = _NOTHING_GIVEN,
    verbose: bool = False,
    width: int | None = None,
    color: bool = False,
) -> str:
    """The plan as lines, with ANSI colors if `color`; `verbose` tells all arguments of a new
    pipeline too.

    Sentences are wrapped at `width` columns (None: not at all). Lines of values and code stay
    whole: where they are cut, what differs may be what is gone.
    """
    lines: list[str] = []
    for style, line in _terminal(plan, given, verbose=verbose):
        if style == _SENTENCE:
            lines.extend(_wrapped(line, width))
            continue
        code = _COLORS.get(style or line.lstrip()[:1]) if color else None
        lines.append(f"\x1b[{code}m{line}\x1b[0m" if code and line else line)
    return "\n".join(lines) + "\n"


def _wrapped(sentence: str, width: int | None) -> list[str]:
    indent = len(sentence) - len(sentence.lstrip())
    return wrap_line(sentence, width, hang=indent + 4 if indent else 0)


def _terminal(
    plan: Plan, given: Mapping[str, object], *, verbose: bool
) -> Iterator[tuple[str, str]]:
    """Lines with their style: a heading, a sentence, or plain (colored by its sign)."""
    yield _HEADING, f"Plan for {visible(plan.pipeline)}"
    yield _SENTENCE, summary(plan)
    if BASELINES[plan.baseline]:
        yield _SENTENCE, BASELINES[plan.baseline]
    if plan.volatile:
        listed = ", ".join(visible(name) for name in plan.volatile)
        yield _SENTENCE, f"Never the same twice, left out of the comparison: {listed}"
    if plan.unread:
        listed = ", ".join(visible(name) for name in plan.unread)
        yield _SENTENCE, f"Not compared, since what is deployed could not be read: {listed}"
    named = [*named_lines(plan.settings), *parameter_lines(plan.parameters, given)]
    yield from _block("", named)
    yield from _whole_terminal(plan) if plan.exists or verbose else _outline_terminal(plan)
    yield "", ""
    yield "", f"Plan {plan.digest}"


def _outline_terminal(plan: Plan) -> Iterator[tuple[str, str]]:
    yield "", ""
    for each in outline(plan):
        then = f", {visible(each.when)}" if each.when else ""
        yield "", f"+ {visible(each.name)} ({visible(each.type)}){then}"
        on = f"on {each.on[:LONGEST_PLACE]}" if each.on else ""
        does = "; ".join(part for part in (on, *each.does) if part)
        if does:
            yield _SENTENCE, f"    {visible(does)}"
    yield "", ""
    count = sum(len(lines) for _, lines in whole_lines(plan))
    yield _SENTENCE, f"plan --verbose shows all {count} lines of arguments."


def _whole_terminal(plan: Plan) -> Iterator[tuple[str, str]]:
    for function in plan.functions:
        code = [] if function.code is None else list(_code_terminal(function.code))
        head = f"{SIGNS[function.kind]} {visible(function.name)} (Lambda function) {function.kind}"
        yield from _block(head, [*function_lines(function), *code])
    for step in plan.steps:
        was = f", was {visible(step.old_name)}" if step.old_name else ""
        head = f"{SIGNS[step.kind]} {visible(step.name)} ({visible(step.type)}) {fate(step)}{was}"
        code = [line for change in step.code for line in _code_terminal(change)]
        yield from _block(head, [*step_lines(step), *code])
    if plan.runs:
        yield "", ""
        yield _HEADING, "Next execution"
        wide = min(32, max(len(visible(run.name)) for run in plan.runs))
        for run in plan.runs:
            told = f"  {visible(run.name):<{wide}}  {verdict(run)}: {why(run)}"
            place = [visible(part[:LONGEST_PLACE]) for part in (run.instances, run.image) if part]
            yield _SENTENCE, f"{told} [{', '.join(place)}]" if place else told


def _block(head: str, lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    if head or lines:
        yield "", ""
    if head:
        yield "", head
    for line in lines:
        yield "", f"    {line}" if head else f"  {line}"


def _code_terminal(change: CodeChange) -> Iterator[str]:
    if change.unreadable:
        yield f"code of {visible(change.name)}: {unreadable(change)}"
    for file in change.files:
        yield file_summary(file)
        for line in visible_lines(file.diff)[2:] if file.diff else ():
            yield line.expandtabs(4).rstrip()
