"""What ran, in Markdown: the failure and its log, the steps, their graph, what it cost."""

from collections.abc import Iterable

from ci.execution.words import format_duration
from ci.metrics.steps import failed_steps
from ci.report import figures, words
from ci.report.escape import code, fence, link, text
from ci.report.fit import Section, folded, last_lines, make_section, table
from ci.report.links import job_link, log_link
from ci.report.mermaid import render_mermaid
from ci.report.model import LogTail, Report
from ci.sagemaker.model import StepSnapshot
from ci.text.clean import cut

_FOLD_FROM = 9
_FEW = 30
_OPEN_LINES = 8
_OPEN_WHOLE = 14  # lines of a log that is shown without a fold


def failure_section(report: Report) -> Section | None:
    """The first step that failed: why, the end of its log, where to look. None where the headline
    has said all that is known."""
    failed = failed_steps(report.execution) if report.execution else ()
    if not failed:
        return None
    step = failed[0]
    log = next((log for log in report.logs if log.step == step.name), None)
    tail = log if log and log.text.strip() else None
    why, places = words.untold_reason(report, step), _places(step, log)
    if not (why or tail or places):
        return None

    def variant(lines: int, width: int, reason: int) -> str:
        parts = [f"#### ❌ {text(step.display_name or step.name, limit=120)}"]
        if why:
            parts.append(fence(cut(why, reason)))
        whole = tail is not None and _line_count(tail) <= min(lines, _OPEN_WHOLE)
        if tail is not None and lines:
            shown = lines if whole else min(lines, _OPEN_LINES)
            parts.append(fence(last_lines(tail.text, shown), line_limit=width))
        if tail is not None and not whole and min(lines, _line_count(tail)) > _OPEN_LINES:
            block = fence(last_lines(tail.text, lines), line_limit=width)
            parts.append(folded(f"Log, last {min(lines, _line_count(tail))} lines", block))
        return "\n\n".join([*parts, places] if places else parts)

    return make_section(
        "the failed step's log",
        (14, variant(50, 500, 3_000)),
        (35, variant(20, 200, 1_000)),
        (58, variant(_OPEN_LINES, 200, 1_000)),
        (70, variant(0, 0, 500)),
        (100, f"#### ❌ {text(step.display_name or step.name, limit=60)}"),
    )


def _line_count(tail: LogTail) -> int:
    return tail.text.rstrip("\n").count("\n") + 1


def _places(step: StepSnapshot, log: LogTail | None) -> str:
    found = []
    if step.job:
        found.append(job_link(step.job, label="Job"))
        if log is not None and log.group:
            found.append(log_link(step.job, log.group, log.stream, prefix=log.prefix))
    return " · ".join(link(place.label, place.url) for place in found if place)


def logs_section(report: Report) -> Section | None:
    """Logs of the other steps that failed."""
    first = failed_steps(report.execution)[:1] if report.execution else ()
    shown = [
        log for log in report.logs if log.text.strip() and all(log.step != s.name for s in first)
    ]
    if not shown:
        return None

    def variant(count: int, lines: int, width: int) -> str:
        return "\n\n".join(
            folded(
                f"Log of {text(log.step, limit=120)}",
                fence(last_lines(log.text, lines), line_limit=width),
            )
            for log in shown[:count]
        )

    return make_section("logs", (11, variant(10, 40, 300)), (30, variant(2, 10, 200)))


def steps_section(report: Report) -> Section | None:
    if report.execution is None or not report.execution.steps:
        return None
    steps = report.execution.steps
    notable = [s for s in steps if s.status != "Succeeded" or s.attempts > 1]
    counts = _counts(steps)

    def variant(shown: list[StepSnapshot]) -> str:
        rows = [_step_row(step) for step in shown]
        # Without a note the last column would be an empty one.
        wide = 5 if any(row[-1] for row in rows) else 4
        header = ["", "Step", "Type", "Duration", ""]
        body = table(header[:wide], [row[:wide] for row in rows], right={3})
        missing = len(steps) - len(shown)
        if missing:
            body += f"\n\nand {missing} more, not shown here"
        fold = (not notable and len(steps) >= _FOLD_FROM) or len(shown) > _FEW
        return folded(f"Steps: {counts}", body) if fold else body

    short = (notable or list(steps))[:_FEW]
    return make_section(
        "steps", (18, variant(list(steps))), (45, variant(short)), (50, f"Steps: {counts}")
    )


def _step_row(step: StepSnapshot) -> list[str]:
    status = words.step_icon(step)
    if status == "❔":
        status = f"❔ {text(step.status, limit=40)}"
    name = code(step.display_name or step.name, limit=120)
    place = job_link(step.job, label="job") if step.job else None
    notes = [text(words.step_notes(step)), link(place.label, place.url) if place else ""]
    duration = words.step_duration(step, None)
    kind = text(step.kind or "—", limit=40)
    return [status, name, kind, duration, " · ".join(filter(None, notes))]


def _counts(steps: Iterable[StepSnapshot]) -> str:
    counts: dict[str, int] = {}
    for step in steps:
        status = "from cache" if step.cache_hit and step.status == "Succeeded" else step.status
        counts[status] = counts.get(status, 0) + 1
    shown = (f"{count} {text(status, limit=40).lower()}" for status, count in counts.items())
    return ", ".join(list(shown)[:8])


def graph_section(report: Report) -> Section | None:
    source = render_mermaid(report)
    if source is None:
        return None
    block = folded("Graph", fence(source, info="mermaid", line_limit=5_000))
    return make_section("graph", (10, block))


def cost_section(report: Report) -> Section | None:
    cost = report.cost
    if cost is None:
        return None
    title = figures.cost(cost)
    rows = [
        [
            code(each.usage.step, limit=80),
            f"{each.usage.count} × {code(each.usage.instance, limit=60)}",
            format_duration(each.usage.seconds),
            figures.usd(each.usd),
        ]
        for each in cost.steps
    ]
    said = [text(line, limit=300) for line in figures.cost_notes(cost)]

    def variant(count: int) -> str:
        more = [f"and {len(rows) - count} more jobs"] if len(rows) > count else []
        header = ["Step", "Instances", "Billed", "USD"]
        body = table(header, rows[:count], right={2, 3}) if rows else ""
        told = "\n".join(f"- {line}" for line in [*more, *said[: count + 5]])
        return folded(title, "\n\n".join(part for part in (body, told) if part))

    return make_section("cost", (13, variant(100)), (17, variant(5)), (26, title))
