"""The words and signs of trends and costs."""

from ci.cost.model import Estimate
from ci.metrics.model import Goal, Outcome
from ci.metrics.trend import Trend
from ci.report import words
from ci.report.model import Report
from ci.report.spark import sparkline

# The columns of the metrics' table that hold numbers.
NUMBERS = range(1, 3)


def measured(report: Report) -> bool:
    """Whether a table of metrics tells anything: where what ended the execution kept all of them
    from being measured, that has been said."""
    verdict = report.verdict
    if verdict is None or not (verdict.metrics or verdict.gates):
        return False
    cut_short = verdict.outcome in {Outcome.FAILED, Outcome.STOPPED}
    return not cut_short or any(metric.value is not None for metric in verdict.metrics)


def shown_trends(report: Report) -> tuple[Trend, ...]:
    """Those of metrics that this change has, with enough earlier models to show a way."""
    if report.verdict is None or not measured(report):
        return ()
    names = {each.source.name for each in report.verdict.metrics}
    return tuple(each for each in report.trends if each.metric in names and each.points[1:])


def current_value(report: Report, metric: str) -> float | None:
    """What this change measured."""
    found = report.verdict.metrics if report.verdict else ()
    return next((each.value for each in found if each.source.name == metric), None)


def spark(trend: Trend, value: float | None) -> str:
    """The earlier models and this change, a bar each."""
    values = [point.value for point in trend.points]
    return sparkline(values if value is None else [*values, value])


def legend(report: Report) -> list[str]:
    """What the signs of the metrics' table mean, as far as they are in it."""
    goals = {metric.source.goal for metric in report.verdict.metrics} if report.verdict else set()
    found = [f"{words.arrow(goal)} {words.direction(goal)}" for goal in Goal if goal in goals]
    versions = [point.version for trend in shown_trends(report) for point in trend.points]
    if versions:
        found.append(
            f"trend: models v{min(versions)} to v{max(versions)} of main, approved or not,"
            " then this change"
        )
    return found


def trend_rows(report: Report) -> tuple[list[str], list[list[str]]]:
    """The values behind the sparklines as plain text: the header, then a row for each model, this
    change last."""
    trends = shown_trends(report)
    rows: dict[int, list[str]] = {}
    for column, trend in enumerate(trends):
        for point in trend.points:
            commit = point.commit[:12] if point.commit else "—"
            empty = [f"v{point.version}", commit, *["—"] * len(trends)]
            row = rows.setdefault(point.version, empty)
            row[column + 2] = words.number(point.value)
    shown = (words.number(current_value(report, trend.metric)) for trend in trends)
    this = ["this change", report.trigger.commit[:12], *shown]
    header = ["Model", "Commit", *(trend.metric for trend in trends)]
    lines = [*(rows[version] for version in sorted(rows)), this]
    for column, trend in enumerate(trends, 2):
        told = words.same_places(line[column] for line in lines)
        for line, text in zip(lines, told, strict=True):
            line[column] = f"{text} {trend.unit}" if trend.unit and text != "—" else text
    return header, lines


def usd(amount: float) -> str:
    """`$0.0042`, `$1.27`, `$12,300.00`: two digits, and more where two would be zero."""
    if 0 < amount < 0.005:
        return f"${amount:.2g}" if amount >= 0.0001 else "<$0.0001"
    return f"${amount:,.2f}"


def cost(estimate: Estimate) -> str:
    """The estimate on one line."""
    if not estimate.steps:
        return "Cost: no estimate, for nothing that ran has a price"
    parts = ["an estimate"]
    if estimate.saved > 0:
        parts.append(f"{usd(estimate.saved)} saved by managed spot")
    if estimate.uncounted:
        parts.append("not all of it could be counted")
    return f"Cost: about {usd(estimate.usd)} ({', '.join(parts)})"


def cost_notes(estimate: Estimate) -> list[str]:
    """What the estimate rests on, and what is not in it."""
    prices = f"List prices of {estimate.region} as of {estimate.as_of.isoformat()}"
    alone = "compute alone, without storage, transfer, discounts and taxes"
    return [
        f"{prices} ({estimate.source}): {alone}.",
        *(f"Not counted: {line}" for line in estimate.uncounted),
    ]
