"""The plan as Markdown for a pull request.

Everything that comes from a definition or a file is shown as it is and does nothing: no Markdown,
no HTML, no mention in it takes effect. A change is told whole, a new pipeline by its outline
(`ci.plan.outline`) with all arguments folded.
"""

import html
import re
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
from ci.plan.model import CodeChange, Kind, NamedChange, Plan, StepChange, StepRun, Verdict
from ci.plan.outline import Outline, outline
from ci.plan.words import (
    BASELINES,
    fate,
    file_summary,
    summary,
    verdict,
    visible,
    visible_lines,
    why,
)

_RUNS_SHOWN = 60
_FOLDED_FROM = 12  # lines of an added or removed step
_NOTHING_GIVEN: Mapping[str, object] = {}
_NO_WIDTH = "\u200b"
# GitHub makes links and pictures of these in rendered text: people, issues, addresses, emoji; and
# of what looks like a commit.
_REFERENCES = r"@|#|www|:(?=//)|:(?=[\w+-]+:)|\bGH(?=-\d)"
_BUT_COMMITS = re.compile(_REFERENCES, re.IGNORECASE)
_REFERENCE = re.compile(
    rf"{_REFERENCES}|\b(?=\d*[a-f])(?=[0-9a-f]{{7,40}}\b)[0-9a-f]{{6}}", re.IGNORECASE
)


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
    `subject` is a line below the title that says where the plan is for and of which commit, `given`
    holds the values that executions are given in place of the parameters' defaults. `headed` False
    leaves title and summary to whoever says them above it.

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


def inline(text: str) -> str:
    """Text as inline code that also stands in a table's cell."""
    plain = visible(text).replace("|", "\\|")
    ticks = max((len(run) for run in re.findall(r"`+", plain)), default=0) + 1
    edge = " " if plain.startswith("`") or plain.endswith("`") or not plain.strip() else ""
    return f"{'`' * ticks}{edge}{plain}{edge}{'`' * ticks}"


def fenced(lines: Sequence[str]) -> str:
    """Lines of a difference in a fence that is longer than any in them."""
    body = "\n".join(lines)
    ticks = max(3, *(len(run) + 1 for run in re.findall(r"`+", body)), 3)
    return f"{'`' * ticks}diff\n{body}\n{'`' * ticks}"


def _heading(plan: Plan, title: str | None, subject: str | None) -> Iterator[str]:
    yield f"### {_text(title) if title else 'Plan for ' + inline(plan.pipeline)}"
    if subject:
        yield _text(subject, _BUT_COMMITS)
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
    named = [*named_lines(plan.settings), *parameter_lines(plan.parameters, given)]
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
        on = inline(each.on[:LONGEST_PLACE]) if each.on else ""
        rows.append(f"| {inline(each.name)} | {_text(each.type)} | {on} | {does} |")
    if len(outlined) > _RUNS_SHOWN:
        rows.append(f"| {len(outlined) - _RUNS_SHOWN} more | | | |")
    return "\n".join(rows)


def _folded_arguments(plan: Plan, argument_lines: int) -> str:
    blocks, count = [], 0
    for name, lines in whole_lines(plan):
        count += len(lines)
        blocks.append(f"{inline(name)}\n\n{fenced(_cut(lines, argument_lines))}")
    if not argument_lines:
        return f"{count} lines of arguments are left out here."
    body = "\n\n".join(blocks)
    head = f"All {count} lines of arguments"
    return f"<details><summary>{head}</summary>\n\n{body}\n\n</details>"


def _step_markdown(
    step: StepChange, plan: Plan, code_lines: int, argument_lines: int
) -> Iterator[str]:
    was = f", was {inline(step.old_name)}" if step.old_name else ""
    run = next((run for run in plan.runs if run.name == step.name), None)
    then = f" · {_text(verdict(run))}" if run is not None and step.kind is not Kind.REMOVED else ""
    yield f"#### {inline(step.name)} {fate(step)} · {_text(step.type)}{was}{then}"
    lines = list(step_lines(step))
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


def _code_markdown(change: CodeChange, code_lines: int) -> Iterator[str]:
    if change.unreadable:
        yield f"Code of {inline(change.name)}: {_text(unreadable(change))}"
    for file in change.files:
        if not (file.diff and code_lines):
            yield f"Code: {inline(file_summary(file))}"
            continue
        body = fenced(_cut(visible_lines(file.diff), code_lines))
        head = f"<code>{_escape(file_summary(file))}</code>"
        yield f"<details><summary>{head}</summary>\n\n{body}\n\n</details>"


def _function_markdown(function: NamedChange, code_lines: int) -> Iterator[str]:
    yield f"#### {inline(function.name)} {function.kind} · Lambda function"
    lines = list(function_lines(function))
    if lines:
        yield fenced(_cut(lines, 100))
    if function.code is not None:
        yield from _code_markdown(function.code, code_lines)


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
    return ", ".join(inline(part[:LONGEST_PLACE]) for part in (run.instances, run.image) if part)


def _cut(lines: Sequence[str], most: int) -> list[str]:
    if len(lines) <= most:
        return list(lines)
    return [*lines[:most], f"... {len(lines) - most} more lines"]


def _text(text: str, references: re.Pattern[str] = _REFERENCE) -> str:
    """Text in running Markdown: its characters mean themselves, and nothing becomes a link.

    GitHub looks for mentions, issue numbers and addresses in what is rendered, where no escape
    helps; a character without width does.
    """
    escaped = re.sub(r"([\\`*_{}\[\]|~])", r"\\\1", html.escape(visible(text), quote=False))
    return references.sub(rf"\g<0>{_NO_WIDTH}", escaped)


def _escape(text: str) -> str:
    return html.escape(text).replace("@", f"@{_NO_WIDTH}")
