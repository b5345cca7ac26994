"""What was measured and registered, in Markdown: metrics, their trend, the model package."""

from ci.metrics.model import GateResult, MetricValue
from ci.metrics.trend import Trend
from ci.registry.decisions import decided_because
from ci.report import figures, words
from ci.report.escape import code, text
from ci.report.fit import Section, folded, make_section, table
from ci.report.model import Report, State
from ci.sagemaker.model import ApprovalStatus


def metrics_section(report: Report) -> Section | None:
    verdict = report.verdict
    if verdict is None or not figures.measured(report):
        return None
    by_metric: dict[str, list[GateResult]] = {}
    for result in verdict.gates:
        by_metric.setdefault(result.gate.metric, []).append(result)
    trends = {each.metric: each for each in figures.shown_trends(report)}
    header = ["Metric", words.production_name(report), "This change", "Difference"]
    header += ["Trend", "Gate"] if trends else ["Gate"]
    rows = [
        _metric_row(metric, by_metric.pop(metric.source.name, []), trends)
        for metric in verdict.metrics
    ]
    dashes = ["—"] * (len(header) - 2)
    rows += [[code(name), *dashes, _gates(gates)] for name, gates in by_metric.items()]

    def variant(count: int) -> str:
        more = [f"and {len(rows) - count} more metrics"] if len(rows) > count else []
        legend = " · ".join([*more, *figures.legend(report)])
        return f"{table(header, rows[:count], right=figures.NUMBERS)}\n\n<sub>{legend}</sub>"

    return make_section("metrics", (12, variant(200)), (30, variant(40)), (90, variant(5)))


def _metric_row(
    metric: MetricValue, gates: list[GateResult], trends: dict[str, Trend]
) -> list[str]:
    source, unit = metric.source, metric.source.unit
    name = f"{code(source.name, limit=80)}&nbsp;{words.arrow(source.goal)}"
    mark, change = words.difference(metric)
    value = f"**{text(words.number(metric.value, metric.champion, unit), limit=60)}**"
    if metric.value is None:
        value = "not known"  # why, stands in the warnings
    champion = text(words.number(metric.champion, metric.value, unit), limit=60)
    shown = f"{mark} {text(change)}".strip().replace(" ", "&nbsp;")
    row = [name, champion, value, shown]
    if trends:
        trend = trends.get(source.name)
        row.append(figures.spark(trend, metric.value) if trend else "—")
    return [*row, _gates(gates)]


def _gates(gates: list[GateResult]) -> str:
    shown = (f"{words.gate_icon(gate)} {text(words.gate_text(gate), limit=160)}" for gate in gates)
    return "<br>".join(shown) or "—"


def trend_section(report: Report) -> Section | None:
    """The values behind the sparklines, behind a line to click on."""
    if not figures.shown_trends(report):
        return None
    names, values = figures.trend_rows(report)
    header = [*names[:2], *(code(name, limit=40) for name in names[2:])]
    *models, this = (
        [text(row[0]), _commit(row[1]), *(text(value, limit=60) for value in row[2:])]
        for row in values
    )

    def variant(count: int) -> str:
        shown = models[-count:]
        title = f"Trend: {words.count(len(shown), 'model')} of main before this"
        rows = [*shown, [f"**{cell}**" for cell in this]]
        return folded(title, table(header, rows, right=range(2, len(header))))

    return make_section("trend", (15, variant(50)), (24, variant(5)))


def _commit(commit: str) -> str:
    return commit if commit == "—" else code(commit, limit=40)


def package_section(report: Report) -> Section | None:
    package = report.package
    if package is None:
        return None
    state = words.approval(package.approval)
    reason = decided_because(package)
    lines = [
        f"**Model package** {code(f'{package.group} v{package.version}')} — {state}"
        + (f": {text(reason)}" if reason else "")
    ]
    if report.endpoint is not None:
        serves = words.serving(report.endpoint, package)
        name, status = code(report.endpoint.name), text(report.endpoint.status, limit=60)
        lines.append(f"Endpoint {name} ({status}) {serves}.")
    if package.approval is ApprovalStatus.PENDING and report.state is not State.SUPERSEDED:
        lines.append(f"⏸️ Waits for {text(words.approvers(report), limit=200)}.")
    lines += [f"{text(c.label, limit=60)}: {code(c.line, limit=800)}" for c in report.commands[:6]]
    short = "<br>\n".join(lines[:1])
    if not report.commands:
        lines.append(f"<sub>{code(package.arn, limit=400)}</sub>")
    return make_section("model package", (85, "<br>\n".join(lines)), (95, short))
