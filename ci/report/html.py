"""The report as one HTML file that needs nothing else: no script, no font, no picture from afar."""

import re
from collections.abc import Container, Iterable

from ci.execution.words import format_duration
from ci.metrics.model import Outcome
from ci.metrics.steps import failed_steps
from ci.report import figures, words
from ci.report.escape import html_text
from ci.report.fit import last_lines
from ci.report.model import Link, Report, State
from ci.sagemaker.model import ApprovalStatus
from ci.text.clean import cut
from ci.text.redact import Redactor

_STYLE = """
:root{color-scheme:light dark;--line:#d0d7de;--soft:#f6f8fa;--dim:#59636e}
@media(prefers-color-scheme:dark){:root{--line:#3d444d;--soft:#151b23;--dim:#9198a1}}
body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;
overflow-wrap:break-word}
h1{font-size:1.35rem;padding-left:.7rem;border-left:.35rem solid #9a6700}
h1.good{border-color:#1a7f37}h1.bad{border-color:#cf222e}h2{font-size:1.05rem;margin-top:1.8rem}
table{border-collapse:collapse;display:block;overflow-x:auto}
th,td{border:1px solid var(--line);padding:.3rem .7rem;text-align:left;vertical-align:top}
th.n,td.n{text-align:right}th,pre{background:var(--soft)}pre{padding:.8rem;overflow-x:auto}
footer,.dim{color:var(--dim);font-size:.87rem}code{overflow-wrap:anywhere}
@media print{body{max-width:none;margin:0}pre{white-space:pre-wrap}tr{break-inside:avoid}
h2{break-after:avoid}table{display:table}}
"""
_GOOD = {Outcome.SUCCEEDED}
_OPEN = {Outcome.RUNNING, Outcome.APPROVAL_PENDING, Outcome.STOPPED, Outcome.UNVERIFIED}


def render_html(report: Report, *, redactor: Redactor | None = None) -> str:
    """A whole page in UTF-8. Its policy forbids scripts and requests, should text ever escape."""
    shown = (redactor or Redactor()).value(report)
    parts = (
        _head(shown),
        _problems(shown),
        _metrics(shown),
        _failure(shown),
        _package(shown),
        _plan(shown),
        _parameters(shown),
        _steps(shown),
        _trend(shown),
        _cost(shown),
        _logs(shown),
        _foot(shown),
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>{html_text(shown.pipeline, limit=100)}: report</title>",
            f"<style>{_STYLE}</style>\n</head>\n<body>",
            *(part for part in parts if part),
            "</body>\n</html>\n",
        ]
    )


def _link(place: Link) -> str:
    """The label alone where the address is none."""
    if not re.fullmatch(r"https?://[!-~]+", place.url):
        return html_text(place.label)
    return f'<a href="{html_text(place.url)}" rel="noreferrer">{html_text(place.label)}</a>'


def _code(value: str) -> str:
    return f"<code>{html_text(value, limit=1_000)}</code>"


def _pre(value: str) -> str:
    return f"<pre>{html_text(value, lines=True)}</pre>"


def _table(
    headers: Iterable[str], rows: Iterable[Iterable[str]], *, right: Container[int] = ()
) -> str:
    """Cells are HTML already. `right` are the columns that hold numbers."""

    def cells(row: Iterable[str], tag: str) -> str:
        marked = ((cell, ' class="n"' if at in right else "") for at, cell in enumerate(row))
        return "".join(f"<{tag}{mark}>{cell}</{tag}>" for cell, mark in marked)

    head = cells(map(html_text, headers), "th").replace("<th", '<th scope="col"')
    body = "\n".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f"<table>\n<tr>{head}</tr>\n{body}\n</table>"


def _head(report: Report) -> str:
    outcome = report.verdict.outcome if report.verdict else Outcome.RUNNING
    kind = "good" if outcome in _GOOD else "" if outcome in _OPEN else "bad"
    about = [_code(report.pipeline), "in", _code(report.environment), "as"]
    about.append(_code(report.pipeline_name))
    duration = words.execution_duration(report, report.generated)
    return (
        f'<h1 class="{kind}">{words.icon(report)} {html_text(words.headline(report))}</h1>\n'
        f'<p class="dim">{" ".join(about)}{f" · {duration}" if duration else ""}</p>'
    )


def _problems(report: Report) -> str:
    verdict = report.verdict.problems if report.verdict else ()
    items = (f"<li>{html_text(text)}</li>" for text in dict.fromkeys((*report.problems, *verdict)))
    body = "".join(items)
    return f"<h2>Warnings</h2>\n<ul>{body}</ul>" if body else ""


def _metrics(report: Report) -> str:
    if report.verdict is None or not figures.measured(report):
        return ""
    rows = []
    trends = {each.metric: each for each in figures.shown_trends(report)}
    for metric in report.verdict.metrics:
        trend = trends.get(metric.source.name)
        gates = [g for g in report.verdict.gates if g.gate.metric == metric.source.name]
        unit = cut(metric.source.unit or "", 20)
        rows.append(
            (
                f"{_code(metric.source.name)}&nbsp;{words.arrow(metric.source.goal)}",
                html_text(words.number(metric.champion, metric.value, unit)),
                f"<b>{html_text(words.number(metric.value, metric.champion, unit))}</b>",
                html_text(" ".join(words.difference(metric))).replace(" ", "&nbsp;"),
                *([figures.spark(trend, metric.value) if trend else "—"] if trends else []),
                "<br>".join(f"{words.gate_icon(g)} {html_text(words.gate_text(g))}" for g in gates)
                or "—",
            )
        )
    headers = ["Metric", words.production_name(report), "This change", "Difference"]
    headers += ["Trend", "Gate"] if trends else ["Gate"]
    table = _table(headers, rows, right=figures.NUMBERS)
    legend = html_text(" · ".join(figures.legend(report)))
    return f'<h2>Metrics</h2>\n{table}\n<p class="dim">{legend}</p>'


def _trend(report: Report) -> str:
    trends = figures.shown_trends(report)
    if not trends:
        return ""
    header, rows = figures.trend_rows(report)
    shown = ([_code(cell) if cell != "—" else cell for cell in row] for row in rows)
    table = _table(header, shown, right=range(2, len(header)))
    return f"<h2>Trend: models of main before this one</h2>\n{table}"


def _cost(report: Report) -> str:
    cost = report.cost
    if cost is None:
        return ""
    rows = (
        (
            _code(each.usage.step),
            f"{each.usage.count} × {_code(each.usage.instance)}",
            format_duration(each.usage.seconds),
            figures.usd(each.usd),
        )
        for each in cost.steps
    )
    header = ("Step", "Instances", "Billed", "USD")
    body = _table(header, rows, right={2, 3}) if cost.steps else ""
    notes = "".join(f"<li>{html_text(line)}</li>" for line in figures.cost_notes(cost))
    return f'<h2>{html_text(figures.cost(cost))}</h2>\n{body}\n<ul class="dim">{notes}</ul>'


def _failure(report: Report) -> str:
    failed = failed_steps(report.execution)[:1] if report.execution else ()
    reasons = ((step, words.untold_reason(report, step)) for step in failed)
    return "".join(
        f"<h2>❌ {html_text(step.display_name or step.name)}</h2>\n{_pre(reason)}"
        for step, reason in reasons
        if reason is not None
    )


def _package(report: Report) -> str:
    package = report.package
    if package is None:
        return ""
    name = _code(f"{package.group} v{package.version}")
    lines = [f"{name}: {words.approval(package.approval)}"]
    if package.approval is ApprovalStatus.PENDING and report.state is not State.SUPERSEDED:
        lines.append(f"waits for {html_text(words.approvers(report))}")
    if report.endpoint is not None:
        name, status = _code(report.endpoint.name), html_text(report.endpoint.status)
        lines.append(f"endpoint {name} ({status}) {words.serving(report.endpoint, package)}")
    lines.append(_code(package.arn))
    lines += [f"{html_text(c.label)}: {_code(c.line)}" for c in report.commands]
    return f"<h2>Model package</h2>\n<p>{'<br>'.join(lines)}</p>"


def _steps(report: Report) -> str:
    if report.execution is None or not report.execution.steps:
        return ""
    rows = (
        (
            f"{words.step_icon(step)} {html_text(step.status)}",
            _code(step.display_name or step.name),
            html_text(step.kind or "—"),
            words.step_duration(step, report.generated),
            html_text(words.step_notes(step)),
        )
        for step in report.execution.steps
    )
    table = _table(("Status", "Step", "Type", "Duration", ""), rows, right={3})
    return f"<h2>Steps</h2>\n{table}"


def _plan(report: Report) -> str:
    if report.plan is None:
        return ""
    body = _pre(report.plan.terminal) if report.plan.terminal.strip() else ""
    return f"<h2>{html_text(words.plan_title(report))}</h2>\n{body}"


def _parameters(report: Report) -> str:
    if not report.parameters:
        return ""
    rows = (
        (_code(p.name), _code(p.value), _code(p.main or "") if p.differs else words.on_main(p))
        for p in report.parameters
    )
    headers = ("Parameter", "Value", "On main")
    wide = 3 if words.knows_main(report.parameters) else 2
    return f"<h2>Parameters</h2>\n{_table(headers[:wide], [row[:wide] for row in rows])}"


def _logs(report: Report) -> str:
    return "\n".join(
        f"<h2>Log of {html_text(log.step)}</h2>\n{_pre(last_lines(log.text, 2_000))}"
        for log in report.logs
        if log.text.strip()
    )


def _foot(report: Report) -> str:
    lines = [f"<li>{html_text(note)}</li>" for note in dict.fromkeys(report.notes)]
    notes = f"<ul>{''.join(lines)}</ul>" if lines else ""
    parts = [f"commit {_code(report.trigger.commit[:12])}", words.moment(report.generated)]
    if report.execution:
        parts.append(f"execution {_code(report.execution.arn)}")
    if report.attach:
        parts.append(f"follow it: {_code(report.attach)}")
    places = [_link(place) for place in report.links]
    if places:
        parts.append(" · ".join(places))
    return f"{notes}\n<footer><hr>{'<br>'.join(parts)}</footer>"
