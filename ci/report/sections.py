"""The parts of a report in Markdown, each in its longer and shorter forms.

Weights say what matters to a reviewer: the failure and the metrics before the plan, the plan
before the list of steps that went well, the picture of the graph last.
"""

from collections.abc import Iterable

from ci.metrics.model import GateResult, MetricValue
from ci.metrics.steps import failed_steps, failure_text
from ci.report import words
from ci.report.escape import code, fence, link, text
from ci.report.fit import Section, cut_markdown, folded, last_lines
from ci.report.links import job_link, log_link
from ci.report.mermaid import render_mermaid
from ci.report.model import LogTail, ParameterValue, Report
from ci.sagemaker.model import ApprovalStatus, StepSnapshot
from ci.text.clean import cut

_FOLD_FROM = 9
_FEW = 30
_OPEN_LINES = 8


def sections(report: Report) -> tuple[Section, ...]:
    """In the order in which they are read."""
    found = (
        _problems(report),
        _metrics(report),
        _failure(report),
        _package(report),
        _plan(report),
        _steps(report),
        _graph(report),
        _parameters(report),
        _other_logs(report),
        _notes(report),
    )
    return tuple(section for section in found if section is not None)


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; cells are Markdown already."""
    head = list(header)
    lines = [head, ["---"] * len(head), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _problems(report: Report) -> Section | None:
    verdict = report.verdict.problems if report.verdict else ()
    found = tuple(dict.fromkeys((*report.problems, *verdict)))
    if not found:
        return None

    def variant(count: int, limit: int) -> str:
        shown = [f"> - {text(problem, limit=limit)}" for problem in found[:count]]
        more = [f"> - and {len(found) - count} more"] if len(found) > count else []
        return "\n".join(["> [!WARNING]", *shown, *more])

    return Section(title="warnings", weight=80, variants=(variant(20, 600), variant(3, 200)))


def _metrics(report: Report) -> Section | None:
    verdict = report.verdict
    if verdict is None or not (verdict.metrics or verdict.gates):
        return None
    by_metric: dict[str, list[GateResult]] = {}
    for result in verdict.gates:
        by_metric.setdefault(result.gate.metric, []).append(result)
    rows = [
        _metric_row(metric, by_metric.pop(metric.source.name, [])) for metric in verdict.metrics
    ]
    rows += [[code(name), "—", "—", "—", _gates(gates)] for name, gates in by_metric.items()]
    header = ["Metric", words.production_name(report), "This change", "Difference", "Gate"]

    def variant(count: int) -> str:
        more = f"and {len(rows) - count} more metrics · " if len(rows) > count else ""
        legend = f"<sub>{more}↓ lower is better · ↑ higher is better</sub>"
        return f"{table(header, rows[:count])}\n\n{legend}"

    return Section(title="metrics", weight=90, variants=(variant(40), variant(5)))


def _metric_row(metric: MetricValue, gates: list[GateResult]) -> list[str]:
    source, unit = metric.source, metric.source.unit
    name = f"{code(source.name, limit=80)}&nbsp;{words.arrow(source.goal)}"
    mark, change = words.difference(metric)
    value = f"**{text(words.number(metric.value, metric.champion, unit), limit=60)}**"
    if metric.value is None:
        value = text(metric.problem or "not known", limit=160)
    champion = text(words.number(metric.champion, metric.value, unit), limit=60)
    shown = f"{mark} {text(change)}".strip().replace(" ", "&nbsp;")
    return [name, champion, value, shown, _gates(gates)]


def _gates(gates: list[GateResult]) -> str:
    shown = (f"{words.gate_icon(gate)} {text(words.gate_text(gate), limit=160)}" for gate in gates)
    return "<br>".join(shown) or "—"


def _failure(report: Report) -> Section | None:
    if report.execution is None:
        return None
    failed = failed_steps(report.execution)
    if not failed:
        return None
    step = failed[0]
    tail = next((log for log in report.logs if log.step == step.name and log.text.strip()), None)

    def variant(lines: int, width: int, reason: int) -> str:
        parts = [f"#### ❌ {text(step.display_name or step.name, limit=120)}"]
        why = failure_text(step)
        parts.append(fence(cut(why, reason)) if why else "The service gives no reason.")
        if tail is not None and lines:
            parts.append(fence(last_lines(tail.text, min(lines, _OPEN_LINES)), line_limit=width))
        if tail is not None and min(lines, _line_count(tail)) > _OPEN_LINES:
            block = fence(last_lines(tail.text, lines), line_limit=width)
            parts.append(folded(f"Log, last {min(lines, _line_count(tail))} lines", block))
        places = _places(step, tail)
        return "\n\n".join([*parts, places] if places else parts)

    variants = (
        variant(50, 500, 3_000),
        variant(20, 200, 1_000),
        variant(_OPEN_LINES, 200, 1_000),
        variant(0, 0, 500),
    )
    return Section(title="the failed step's log", weight=100, variants=variants)


def _line_count(tail: LogTail) -> int:
    return tail.text.rstrip("\n").count("\n") + 1


def _places(step: StepSnapshot, tail: LogTail | None) -> str:
    found = []
    if step.job:
        found.append(job_link(step.job, label="Job"))
        if tail is not None and tail.group:
            found.append(log_link(step.job, tail.group, tail.stream))
    return " · ".join(link(place.label, place.url) for place in found if place)


def _other_logs(report: Report) -> Section | None:
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

    return Section(title="logs", weight=30, variants=(variant(10, 40, 300), variant(2, 10, 200)))


def _package(report: Report) -> Section | None:
    package = report.package
    if package is None:
        return None
    state = words.approval(package.approval)
    lines = [
        f"**Model package** {code(f'{package.group} v{package.version}')} — {state}"
        + (f": {text(package.approval_description)}" if package.approval_description else "")
    ]
    if report.endpoint is not None:
        served = report.endpoint.package == package.arn and report.endpoint.status == "InService"
        serves = "serves it" if served else "does not serve it"
        name, status = code(report.endpoint.name), text(report.endpoint.status, limit=60)
        lines.append(f"Endpoint {name} ({status}) {serves}.")
    if package.approval is ApprovalStatus.PENDING:
        who = report.approvers or "someone who may call `sagemaker:UpdateModelPackage`"
        who = text(report.approvers) if report.approvers else who
        lines.append(f"Waits for {who}.")
    lines += [f"{text(c.label, limit=60)}: {code(c.line, limit=800)}" for c in report.commands[:6]]
    lines.append(f"<sub>{code(package.arn, limit=400)}</sub>")
    return Section(title="model package", weight=95, variants=("<br>\n".join(lines),))


def _plan(report: Report) -> Section | None:
    plan = report.plan
    if plan is None:
        return None
    title = f"Plan: {text(plan.headline, limit=300)}"
    if not plan.markdown.strip():
        return Section(title="plan", weight=60, variants=(title,))
    variants = tuple(
        folded(title, cut_markdown(plan.markdown, limit)) for limit in (30_000, 10_000, 3_000)
    )
    return Section(title="plan", weight=60, variants=(*dict.fromkeys(variants), title))


def _steps(report: Report) -> Section | None:
    if report.execution is None or not report.execution.steps:
        return None
    steps = report.execution.steps
    notable = [s for s in steps if s.status != "Succeeded" or s.attempts > 1]
    counts = _counts(steps)

    def variant(shown: list[StepSnapshot]) -> str:
        rows = [_step_row(step) for step in shown]
        body = table(["", "Step", "Type", "Duration", ""], rows)
        missing = len(steps) - len(shown)
        if missing:
            body += f"\n\nand {missing} more, not shown here"
        fold = (not notable and len(steps) >= _FOLD_FROM) or len(shown) > _FEW
        return folded(f"Steps: {counts}", body) if fold else body

    short = (notable or list(steps))[:_FEW]
    variants = dict.fromkeys((variant(list(steps)), variant(short), f"Steps: {counts}"))
    return Section(title="steps", weight=50, variants=tuple(variants))


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
        counts[step.status] = counts.get(step.status, 0) + 1
    shown = (f"{count} {text(status, limit=40).lower()}" for status, count in counts.items())
    return ", ".join(list(shown)[:8])


def _graph(report: Report) -> Section | None:
    source = render_mermaid(report)
    if source is None:
        return None
    block = folded("Graph", fence(source, info="mermaid", line_limit=5_000))
    return Section(title="graph", weight=10, variants=(block,))


def _parameters(report: Report) -> Section | None:
    differing = [parameter for parameter in report.parameters if parameter.differs]
    same = [parameter for parameter in report.parameters if not parameter.differs]
    if not report.parameters:
        return None
    verb = "differs" if len(differing) == 1 else "differ"
    title = "Parameters" + (f": {len(differing)} {verb} from main" if differing else "")

    def variant(shown: list[ParameterValue], limit: int) -> str:
        rows = [_parameter_row(parameter, limit) for parameter in shown]
        return folded(title, table(["Parameter", "Value", "On main"], rows))

    variants = [variant([*differing, *same], 300)]
    if differing:
        variants.append(variant(differing[:_FEW], 100))
    return Section(title="parameters", weight=40, variants=tuple(variants))


def _parameter_row(parameter: ParameterValue, limit: int) -> list[str]:
    name, value = code(parameter.name, limit=limit), code(parameter.value, limit=limit)
    if parameter.main is None:
        return [name, value, "—"]
    if not parameter.differs:
        return [name, value, "same"]
    return [f"**{name}**", value, code(parameter.main, limit=limit)]


def _notes(report: Report) -> Section | None:
    if not report.notes:
        return None
    lines = [f"- {text(note)}" for note in dict.fromkeys(report.notes)]
    return Section(title="notes", weight=20, variants=("\n".join(lines[:20]),))
