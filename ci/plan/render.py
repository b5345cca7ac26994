"""The plan for people: Markdown for a pull request, lines for a terminal, JSON for programs.

Everything that comes from a definition or a file is shown as it is and does nothing: no Markdown,
no HTML, no mention, no escape sequence in it takes effect. A change is told whole, a new pipeline
by its outline (`ci.plan.outline`) with all arguments folded, or left to `--verbose`.
"""

import html
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from ci.plan.document import plan_to_json
from ci.plan.model import CodeChange, Kind, NamedChange, Plan, StepChange, StepRun, Verdict
from ci.plan.outline import Outline, outline
from ci.plan.words import (
    BASELINES,
    SIGNS,
    change_lines,
    fate,
    file_summary,
    shown,
    summary,
    value_lines,
    verdict,
    visible,
    visible_lines,
    why,
)

__all__ = ["plan_to_json", "render_markdown", "render_terminal"]

_LONGEST_VALUE = 160
_RUNS_SHOWN = 60
_LONGEST_PLACE = 80
_FOLDED_FROM = 12  # lines of an added or removed step
_NOTHING_GIVEN: Mapping[str, object] = {}
_NO_WIDTH = "\u200b"
_HEADING, _SENTENCE = "heading", "sentence"
_COLORS = {"+": "32", "-": "31", "~": "33", "@": "36", _HEADING: "1"}


def render_markdown(
    plan: Plan,
    *,
    title: str | None = None,
    subject: str | None = None,
    given: Mapping[str, object] = _NOTHING_GIVEN,
    headed: bool = True,
    limit: int = 60_000,
) -> str:
    """The plan as GitHub Markdown of at most `limit` characters (a comment holds 65,536).
    `subject` is a line below the title that says where the plan is for, `given` holds the values
    that executions are given in place of the parameters' defaults. `headed` False leaves title and
    summary to whoever says them above it.

    What does not fit goes in this order: code diffs beyond 80 lines a file, all code diffs,
    the arguments of each step, the steps beyond the first that fit.
    """
    text = ""
    for code_lines, argument_lines in ((400, 400), (80, 80), (0, 40), (0, 0)):
        sections = list(_markdown(plan, given, code_lines, argument_lines))
        if headed:
            sections[:0] = _heading(plan, title, subject)
        text = "\n\n".join(sections) + "\n"
        if len(text) <= limit:
            return text
    kept = 0
    note = "\n\n(The rest of this plan does not fit into a comment; see the job's output.)\n"
    while kept < len(sections) and len("\n\n".join(sections[: kept + 1])) + len(note) <= limit:
        kept += 1
    return "\n\n".join(sections[:kept]) + note


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
    if width is None:
        return [sentence]
    indent = " " * (len(sentence) - len(sentence.lstrip()))
    following = indent + "    " if indent else ""
    return textwrap.wrap(
        sentence.lstrip(),
        width,
        initial_indent=indent,
        subsequent_indent=following,
        break_long_words=False,
        break_on_hyphens=False,
    )


def inline(text: str) -> str:
    """Text as inline code that also stands in a table's cell."""
    plain = visible(text).replace("|", "\\|")
    ticks = max((len(run) for run in re.findall(r"`+", plain)), default=0) + 1
    edge = " " if plain.startswith("`") or plain.endswith("`") or not plain.strip() else ""
    return f"{'`' * ticks}{edge}{plain}{edge}{'`' * ticks}"


def fenced(lines: Sequence[str], language: str = "diff") -> str:
    """Lines in a fence that is longer than any in them."""
    body = "\n".join(lines)
    ticks = max(3, *(len(run) + 1 for run in re.findall(r"`+", body)), 3)
    return f"{'`' * ticks}{language}\n{body}\n{'`' * ticks}"


def _heading(plan: Plan, title: str | None, subject: str | None) -> Iterator[str]:
    yield f"### {_text(title) if title else 'Plan for ' + inline(plan.pipeline)}"
    if subject:
        yield _text(subject)
    yield f"**{_text(summary(plan))}**"


def _markdown(
    plan: Plan, given: Mapping[str, object], code_lines: int, argument_lines: int
) -> Iterator[str]:
    if BASELINES[plan.baseline]:
        yield f"> {_text(BASELINES[plan.baseline])}"
    if plan.volatile:
        listed = ", ".join(inline(name) for name in plan.volatile)
        yield f"Never the same twice, and left out of the comparison: {listed}."
    if plan.unread:
        listed = ", ".join(inline(name) for name in plan.unread)
        yield f"Not compared, since what is deployed could not be read: {listed}."
    named = [*_named_lines(plan.settings), *_parameter_lines(plan.parameters, given)]
    if named:
        yield fenced(_cut(named, 200))
    if plan.exists:
        for function in plan.functions:
            yield from _function_markdown(function, code_lines)
        for step in plan.steps:
            yield from _step_markdown(step, plan, code_lines, argument_lines)
        if plan.runs and not (plan.empty and all(r.verdict is Verdict.CACHE for r in plan.runs)):
            yield _runs_table(plan)
    else:
        yield _outline_table(outline(plan))
        yield _folded_arguments(plan, argument_lines)
    yield f"<sub>Plan {inline(plan.digest)}</sub>"


def _outline_table(outlined: Sequence[Outline]) -> str:
    rows = ["| step | type | on | what it does |", "|---|---|---|---|"]
    for each in outlined[:_RUNS_SHOWN]:
        does = _text("; ".join(part for part in (each.when, *each.does) if part))
        on = inline(each.on[:_LONGEST_PLACE]) if each.on else ""
        rows.append(f"| {inline(each.name)} | {_text(each.type)} | {on} | {does} |")
    if len(outlined) > _RUNS_SHOWN:
        rows.append(f"| {len(outlined) - _RUNS_SHOWN} more | | | |")
    return "\n".join(rows)


def _folded_arguments(plan: Plan, argument_lines: int) -> str:
    blocks, count = [], 0
    for name, lines in _whole(plan):
        count += len(lines)
        blocks.append(f"{inline(name)}\n\n{fenced(_cut(lines, argument_lines))}")
    if not argument_lines:
        return f"{count} lines of arguments are left out here."
    body = "\n\n".join(blocks)
    head = f"All {count} lines of arguments"
    return f"<details><summary>{head}</summary>\n\n{body}\n\n</details>"


def _whole(plan: Plan) -> Iterator[tuple[str, list[str]]]:
    """Functions and steps that have arguments, with a line for each."""
    for function in plan.functions:
        yield function.name, list(_function_lines(function))
    for step in plan.steps:
        yield step.name, list(_step_lines(step))


def _step_markdown(
    step: StepChange, plan: Plan, code_lines: int, argument_lines: int
) -> Iterator[str]:
    was = f", was {inline(step.old_name)}" if step.old_name else ""
    run = next((run for run in plan.runs if run.name == step.name), None)
    then = f" · {_text(verdict(run))}" if run is not None and step.kind is not Kind.REMOVED else ""
    yield f"#### {inline(step.name)} {fate(step)} · {_text(step.type)}{was}{then}"
    lines = list(_step_lines(step))
    if lines and argument_lines:
        block = fenced(_cut(lines, argument_lines))
        if step.kind in (Kind.ADDED, Kind.REMOVED) and len(lines) > _FOLDED_FROM:
            head = f"{len(lines)} lines of arguments"
            block = f"<details><summary>{head}</summary>\n\n{block}\n\n</details>"
        yield block
    elif lines:
        yield f"{len(lines)} lines of arguments are left out here."
    for change in step.code:
        yield from _code_markdown(change, code_lines)


def _step_lines(step: StepChange) -> Iterator[str]:
    if step.kind in (Kind.ADDED, Kind.REMOVED):
        content = {key: value for key, value in step.content.items() if key != "Type"}
        yield from value_lines(SIGNS[step.kind], "", content, longest=_LONGEST_VALUE)
    else:
        yield from change_lines(step.changes, longest=_LONGEST_VALUE)


def _code_markdown(change: CodeChange, code_lines: int) -> Iterator[str]:
    if change.unreadable:
        yield f"Code of {inline(change.name)}: {_text(_unreadable(change))}"
    for file in change.files:
        if not (file.diff and code_lines):
            yield f"Code: {inline(file_summary(file))}"
            continue
        body = fenced(_cut(visible_lines(file.diff), code_lines))
        head = f"<code>{_escape(file_summary(file))}</code>"
        yield f"<details><summary>{head}</summary>\n\n{body}\n\n</details>"


def _function_markdown(function: NamedChange, code_lines: int) -> Iterator[str]:
    yield f"#### {inline(function.name)} {function.kind} · Lambda function"
    lines = list(_function_lines(function))
    if lines:
        yield fenced(_cut(lines, 100))
    if function.code is not None:
        yield from _code_markdown(function.code, code_lines)


def _function_lines(function: NamedChange) -> Iterator[str]:
    old = function.old if isinstance(function.old, dict) else {}
    new = function.new if isinstance(function.new, dict) else {}
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) != new.get(key):
            if key in old:
                yield f"- {visible(key)}: {shown(old[key], _LONGEST_VALUE)}"
            if key in new:
                yield f"+ {visible(key)}: {shown(new[key], _LONGEST_VALUE)}"


def _named_lines(changes: Sequence[NamedChange]) -> Iterator[str]:
    for change in changes:
        name = visible(change.name)
        if change.kind is not Kind.ADDED:
            yield f"- {name}: {shown(change.old, _LONGEST_VALUE)}"
        if change.kind is not Kind.REMOVED:
            yield f"+ {name}: {shown(change.new, _LONGEST_VALUE)}"


def _parameter_lines(changes: Sequence[NamedChange], given: Mapping[str, object]) -> Iterator[str]:
    for change in changes:
        name = f"parameter {visible(change.name)}"
        if change.kind is not Kind.ADDED:
            yield f"- {name}: {_parameter(change.old)}"
        if change.kind is not Kind.REMOVED:
            value = given.get(change.name)
            then = "" if value is None else f"; given {shown(value, _LONGEST_VALUE)}"
            yield f"+ {name}: {_parameter(change.new)}{then}"


def _parameter(value: object) -> str:
    if not isinstance(value, dict):
        return shown(value, _LONGEST_VALUE)
    text = str(value.get("Type"))
    if "DefaultValue" in value:
        text += f" = {shown(value['DefaultValue'], _LONGEST_VALUE)}"
    if "EnumValues" in value:
        text += f", one of {shown(value['EnumValues'], _LONGEST_VALUE)}"
    return text


def _runs_table(plan: Plan) -> str:
    rows = ["| step | next execution | why | on |", "|---|---|---|---|"]
    rows.extend(
        f"| {inline(run.name)} | {_text(verdict(run))} | {_text(why(run))} | {_place(run)} |"
        for run in plan.runs[:_RUNS_SHOWN]
    )
    if len(plan.runs) > _RUNS_SHOWN:
        rows.append(f"| {len(plan.runs) - _RUNS_SHOWN} more | | | |")
    return "\n".join(rows)


def _place(run: StepRun) -> str:
    return ", ".join(inline(part[:_LONGEST_PLACE]) for part in (run.instances, run.image) if part)


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
    named = [*_named_lines(plan.settings), *_parameter_lines(plan.parameters, given)]
    yield from _block("", named)
    yield from _whole_terminal(plan) if plan.exists or verbose else _outline_terminal(plan)
    yield "", ""
    yield "", f"Plan {plan.digest}"


def _outline_terminal(plan: Plan) -> Iterator[tuple[str, str]]:
    yield "", ""
    for each in outline(plan):
        then = f", {visible(each.when)}" if each.when else ""
        yield "", f"+ {visible(each.name)} ({visible(each.type)}){then}"
        on = f"on {each.on[:_LONGEST_PLACE]}" if each.on else ""
        does = "; ".join(part for part in (on, *each.does) if part)
        if does:
            yield _SENTENCE, f"    {visible(does)}"
    yield "", ""
    count = sum(len(lines) for _, lines in _whole(plan))
    yield _SENTENCE, f"plan --verbose shows all {count} lines of arguments."


def _whole_terminal(plan: Plan) -> Iterator[tuple[str, str]]:
    for function in plan.functions:
        code = [] if function.code is None else list(_code_terminal(function.code))
        head = f"{SIGNS[function.kind]} {visible(function.name)} (Lambda function) {function.kind}"
        yield from _block(head, [*_function_lines(function), *code])
    for step in plan.steps:
        was = f", was {visible(step.old_name)}" if step.old_name else ""
        head = f"{SIGNS[step.kind]} {visible(step.name)} ({visible(step.type)}) {fate(step)}{was}"
        code = [line for change in step.code for line in _code_terminal(change)]
        yield from _block(head, [*_step_lines(step), *code])
    if plan.runs:
        yield "", ""
        yield _HEADING, "Next execution"
        wide = min(32, max(len(visible(run.name)) for run in plan.runs))
        for run in plan.runs:
            told = f"  {visible(run.name):<{wide}}  {verdict(run)}: {why(run)}"
            place = [visible(part[:_LONGEST_PLACE]) for part in (run.instances, run.image) if part]
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
        yield f"code of {visible(change.name)}: {_unreadable(change)}"
    for file in change.files:
        yield file_summary(file)
        for line in visible_lines(file.diff)[2:] if file.diff else ():
            yield line.expandtabs(4).rstrip()


def _unreadable(change: CodeChange) -> str:
    sides = " and ".join({"old": "deployed", "new": "new"}[side] for side in change.unreadable)
    hashes = f"{(change.old or 'none')[:12]} -> {(change.new or 'none')[:12]}"
    return f"changed ({hashes}); the {sides} files could not be read"


def _cut(lines: Sequence[str], most: int) -> list[str]:
    if len(lines) <= most:
        return list(lines)
    return [*lines[:most], f"... {len(lines) - most} more lines"]


def _text(text: str) -> str:
    """Text in running Markdown: its characters mean themselves, and nothing becomes a link.

    GitHub looks for mentions, issue numbers and addresses in what is rendered, where no escape
    helps; a character without width does.
    """
    escaped = re.sub(r"([\\`*_{}\[\]|~])", r"\\\1", html.escape(visible(text), quote=False))
    return re.sub(r"(@|#|www|:(?=//))", rf"\1{_NO_WIDTH}", escaped)


def _escape(text: str) -> str:
    return html.escape(text).replace("@", f"@{_NO_WIDTH}")
