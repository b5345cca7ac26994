"""The report on a terminal or in a CI log: plain text, with colour where it is wanted."""

import io
from collections.abc import Container, Iterable
from typing import TYPE_CHECKING, Literal

from ci.execution.words import DURATION, STEP_COLUMNS
from ci.metrics.model import Outcome
from ci.metrics.steps import failed_steps
from ci.report import figures, words
from ci.report.fit import last_lines
from ci.report.model import Report, State
from ci.sagemaker.model import ApprovalStatus
from ci.text.clean import clean, cut, inert_output
from ci.text.redact import Redactor

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_GOOD = "green"
_BAD = "bold red"
_STYLES = {
    Outcome.SUCCEEDED: _GOOD,
    Outcome.RUNNING: "yellow",
    Outcome.APPROVAL_PENDING: "yellow",
    Outcome.STOPPED: "yellow",
    Outcome.UNVERIFIED: "yellow",
}
_MOST_STEPS = 60
_LOG_LINES = 40
_UNBOUNDED = 100_000  # columns


def render_terminal(
    report: Report,
    *,
    width: int | None = None,
    color: bool = False,
    redactor: Redactor | None = None,
    brief: bool = False,
) -> str:
    """Lines wrapped at `width` columns (40 at least; None: not at all); `brief` without how the
    execution went: for who has seen that, and decides on its model. What is copied from here,
    commands, ARNs and addresses, and logs stay whole lines. Foreign text can neither style the
    terminal nor give the CI runner a command."""
    from rich.console import Console

    shown = (redactor or Redactor()).value(report)
    buffer = io.StringIO()
    console = Console(
        file=buffer,
        width=_UNBOUNDED if width is None else max(40, width),
        force_terminal=color,
        color_system="standard" if color else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
        _environ={},
    )
    _head(console, shown)
    _metrics(console, shown)
    if not brief:
        _steps(console, shown)
    _failure(console, shown)
    _package(console, shown)
    if not brief:
        _plan(console, shown)
        _parameters(console, shown)
        _cost(console, shown)
    _foot(console, shown)
    lines = (line.rstrip() for line in buffer.getvalue().split("\n"))
    return inert_output("\n".join(lines))


def list_outcomes(reports: Iterable[Report]) -> str:
    """The last lines of a run of several pipelines: what came of each."""
    return inert_output("\n".join(_outcome(report) for report in reports))


def _outcome(report: Report) -> str:
    came = report.verdict.outcome if report.verdict else report.state
    return f"{words.icon(report)} {_line(report.pipeline)}: {came.value.replace('_', ' ')}"


def _line(value: str, limit: int = 500) -> str:
    return cut(clean(value), limit)


def _head(console: "Console", report: Report) -> None:
    style = _STYLES.get(report.verdict.outcome, _BAD) if report.verdict else "bold"
    console.print(f"{words.icon(report)} {_line(words.headline(report), 800)}", style=style)
    names = (report.pipeline, report.environment, report.pipeline_name)
    pipeline, environment, deployed = (_line(name, 200) for name in names)
    duration = words.execution_duration(report, report.generated)
    after = f", {duration}" if duration else ""
    console.print(f"{pipeline} in {environment} as {deployed}{after}", style="dim")
    problems = (*report.problems, *(report.verdict.problems if report.verdict else ()))
    for problem in dict.fromkeys(problems):
        console.print(f"! {_line(problem)}", style="yellow")


def _table(
    headers: Iterable[str], rows: Iterable[Iterable[str]], *, right: Container[int] = ()
) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column, header in enumerate(headers):
        justify: Literal["left", "right"] = "right" if column in right else "left"
        table.add_column(Text(header), overflow="fold", justify=justify)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _metrics(console: "Console", report: Report) -> None:
    if report.verdict is None or not figures.measured(report):
        return
    rows = []
    trends = {each.metric: each for each in figures.shown_trends(report)}
    for metric in report.verdict.metrics:
        unit = _line(metric.source.unit or "", 20)
        trend = trends.get(metric.source.name)
        gates = [g for g in report.verdict.gates if g.gate.metric == metric.source.name]
        rows.append(
            (
                f"{_line(metric.source.name, 60)} {words.arrow(metric.source.goal)}",
                words.number(metric.champion, metric.value, unit),
                words.number(metric.value, metric.champion, unit),
                " ".join(filter(None, words.difference(metric))),
                *([figures.spark(trend, metric.value) if trend else "—"] if trends else []),
                "\n".join(f"{words.gate_icon(g)} {_line(words.gate_text(g), 160)}" for g in gates)
                or "—",
            )
        )
    console.print()
    headers = ["Metric", words.production_name(report), "This change", "Difference"]
    columns = [*headers, *(["Trend"] if trends else []), "Gate"]
    console.print(_table(columns, rows, right=figures.NUMBERS))
    console.print(f"  {' · '.join(figures.legend(report))}", style="dim")


def _steps(console: "Console", report: Report) -> None:
    if report.execution is None or not report.execution.steps:
        return
    steps = report.execution.steps
    rows = [
        (
            f"{words.step_icon(step)} {_line(step.display_name or step.name, 80)}",
            _line(step.kind or "—", 40),
            _line(step.status, 40),
            words.step_duration(step, report.generated),
            _line(words.step_notes(step)),
        )
        for step in steps[:_MOST_STEPS]
    ]
    console.print()
    console.print(_table(STEP_COLUMNS, rows, right={STEP_COLUMNS.index(DURATION)}))
    if len(steps) > _MOST_STEPS:
        console.print(f"and {len(steps) - _MOST_STEPS} more steps", style="dim")


def _failure(console: "Console", report: Report) -> None:
    failed = failed_steps(report.execution)[:1] if report.execution else ()
    for step in failed:
        reason = words.untold_reason(report, step)
        if reason is not None:
            console.print()
            console.print(f"❌ {_line(step.display_name or step.name, 120)}", style=_BAD)
            console.print(cut(clean(reason, lines=True), 3_000), soft_wrap=False)
    for log in report.logs[:10]:
        if log.text.strip():
            console.print()
            console.print(f"Log of {_line(log.step, 120)}", style="bold")
            tail = last_lines(clean(log.text, lines=True), _LOG_LINES)
            for line in tail.split("\n"):
                console.print(f"  {cut(line, 500)}", soft_wrap=True)


def _package(console: "Console", report: Report) -> None:
    package = report.package
    if package is None:
        return
    console.print()
    state = words.approval(package.approval)
    console.print(f"Model package {_line(package.group)} v{package.version}: {state}", style="bold")
    console.print(f"  {_line(package.arn)}", soft_wrap=True)
    if report.endpoint is not None:
        name, status = _line(report.endpoint.name), _line(report.endpoint.status)
        console.print(f"  endpoint {name} ({status}) {words.serving(report.endpoint, package)}")
    if package.approval is ApprovalStatus.PENDING and report.state is not State.SUPERSEDED:
        console.print(f"  waits for {_line(words.approvers(report))}")
    for command in report.commands:
        console.print(f"  {_line(command.label)}: {_line(command.line, 1_000)}", soft_wrap=True)


def _plan(console: "Console", report: Report) -> None:
    if report.plan is None:
        return
    console.print()
    console.print(_line(words.plan_title(report)), style="bold")
    if report.plan.terminal.strip():
        body = clean(report.plan.terminal, lines=True)
        console.print(
            "\n".join(f"  {line}".rstrip() for line in body.strip("\n").split("\n")),
            soft_wrap=True,
        )


def _parameters(console: "Console", report: Report) -> None:
    if not report.parameters:
        return
    rows = [
        (
            _line(parameter.name, 100),
            _line(parameter.value, 200),
            _line(parameter.main or "", 200) if parameter.differs else words.on_main(parameter),
        )
        for parameter in report.parameters
    ]
    headers = ("Parameter", "Value", "On main")
    wide = 3 if words.knows_main(report.parameters) else 2
    console.print()
    console.print(_table(headers[:wide], [row[:wide] for row in rows]))


def _cost(console: "Console", report: Report) -> None:
    if report.cost is None:
        return
    console.print()
    console.print(figures.cost(report.cost), style="bold")
    for line in figures.cost_notes(report.cost)[:10]:
        console.print(f"  {_line(line)}", style="dim")


def _foot(console: "Console", report: Report) -> None:
    console.print()
    for note in dict.fromkeys(report.notes):
        console.print(f"- {_line(note)}")
    trigger = report.trigger
    by = f" by {_line(trigger.actor, 60)}" if trigger.actor else ""
    console.print(f"commit {_line(trigger.commit[:12])}{by}", style="dim")
    if report.execution:
        console.print(f"execution {_line(report.execution.arn)}", style="dim", soft_wrap=True)
    if report.attach and not (report.execution and report.execution.status.terminal):
        console.print(f"follow it: {_line(report.attach)}", style="dim", soft_wrap=True)
    for place in report.links:
        console.print(f"{_line(place.label, 60)}: {_line(place.url)}", style="dim", soft_wrap=True)
