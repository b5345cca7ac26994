"""The report as JUnit XML, for CodeBuild's report groups and whatever else reads it.

One suite for a pipeline in an environment: its definition, its steps, its gates, and the verdict.
What did not happen (a step that was not reached, an advisory gate that did not hold) is skipped
and says why; nothing passes that was not read back.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from ci.metrics.model import GateOutcome, GateResult, Outcome, Verdict
from ci.report.model import LogTail, Report, State
from ci.report.words import headline, why_failed
from ci.sagemaker.model import StepSnapshot
from ci.text.clean import clean, cut
from ci.text.redact import Redactor

_NAME, _MESSAGE, _TEXT = 500, 2_000, 20_000


class _Result(StrEnum):
    """JUnit's own elements; a case that passed has none."""

    PASSED = "passed"
    FAILURE = "failure"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    group: str
    name: str
    result: _Result = _Result.PASSED
    message: str = ""
    text: str = ""
    seconds: float = 0.0


def render_junit(report: Report, *, redactor: Redactor | None = None) -> str:
    """A document of one suite. What is in it from elsewhere can break no XML."""
    shown = (redactor or Redactor()).value(report)
    cases = list(_cases(shown))
    name = f"{shown.pipeline} ({shown.environment})"
    totals = _totals(cases)
    suites = Element("testsuites", {"name": "sagemaker-gitops", **totals})
    suite = SubElement(suites, "testsuite", {"name": _safe(name, _NAME), **totals})
    suite.set("timestamp", shown.generated.isoformat())
    _add_properties(suite, shown)
    for case in cases:
        _add(suite, case, name)
    indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(suites, encoding="unicode") + "\n"


def _cases(report: Report) -> Iterator[_Case]:
    # A definition with problems never comes to a report.
    yield _Case(group="definition", name="is valid", text=report.digest or "")
    if report.execution is not None:
        logs = {log.step: log for log in report.logs}
        for step in report.execution.steps:
            yield _step(report, step, logs.get(step.name))
        reached = {step.name for step in report.execution.steps}
        for node in report.graph:
            if node.name not in reached:
                message = "not reached" if report.state is State.FINAL else "not reached yet"
                yield _Case(group="steps", name=node.name, result=_Result.SKIPPED, message=message)
    if report.verdict is not None:
        for result in report.verdict.gates:
            yield _gate(result)
        yield _verdict(report, report.verdict)


def _step(report: Report, step: StepSnapshot, log: LogTail | None) -> _Case:
    result, message = _step_result(report, step)
    return _Case(
        group="steps",
        name=step.name,
        result=result,
        message=message,
        text=log.text if log else "",
        seconds=_seconds(step.started, step.ended),
    )


def _step_result(report: Report, step: StepSnapshot) -> tuple[_Result, str]:
    match step.status:
        case "Succeeded":
            return _Result.PASSED, ""
        case "Failed":
            return _Result.FAILURE, why_failed(report, step) or "the step failed"
        case "Stopped":
            return _Result.ERROR, "the step was stopped"
        case other:
            return _Result.SKIPPED, f"the step is {other.lower()}"


def _gate(result: GateResult) -> _Case:
    outcome, gate = result.outcome, result.gate
    if outcome in {GateOutcome.PASSED, GateOutcome.NO_CHAMPION}:
        kind = _Result.PASSED
    elif not gate.required:
        kind = _Result.SKIPPED
    else:
        kind = _Result.FAILURE if outcome is GateOutcome.FAILED else _Result.ERROR
    message = "" if kind is _Result.PASSED else result.reason
    if kind is _Result.SKIPPED:
        message = f"advisory: {message}"
    return _Case(group="gates", name=_gate_name(result), result=kind, message=message)


def _gate_name(result: GateResult) -> str:
    gate = result.gate
    bounds = [
        f"{sign} {bound:g}"
        for sign, bound in ((">=", gate.minimum), ("<=", gate.maximum))
        if bound is not None
    ]
    if gate.improve_by is not None:
        bounds.append(f"against the champion {gate.improve_by:+g} {gate.improve_unit.value}")
    return " ".join([gate.metric, *bounds])


def _verdict(report: Report, verdict: Verdict) -> _Case:
    match verdict.outcome:
        case Outcome.SUCCEEDED | Outcome.APPROVAL_PENDING:
            kind = _Result.PASSED
        case Outcome.RUNNING:
            kind = _Result.SKIPPED
        case Outcome.STOPPED | Outcome.UNVERIFIED:
            kind = _Result.ERROR
        case Outcome.REJECTED | Outcome.NOT_REGISTERED | Outcome.GATE_FAILED | Outcome.FAILED:
            kind = _Result.FAILURE
    execution = report.execution
    return _Case(
        group="verdict",
        name=verdict.outcome.value,
        result=kind,
        message="" if kind is _Result.PASSED else headline(report),
        text="\n".join([headline(report), *report.problems, *report.notes]),
        seconds=_seconds(execution.started, execution.modified) if execution else 0.0,
    )


def _add_properties(suite: Element, report: Report) -> None:
    found = {
        "commit": report.trigger.commit,
        "pipeline": report.pipeline_name,
        "execution": report.execution.arn if report.execution else None,
        "model package": report.package.arn if report.package else None,
        "approval": report.package.approval.value if report.package else None,
    }
    properties = SubElement(suite, "properties")
    for name, value in found.items():
        if value:
            SubElement(properties, "property", {"name": name, "value": _safe(value, _NAME)})


def _add(suite: Element, case: _Case, name: str) -> None:
    element = SubElement(suite, "testcase", _attributes(case, name))
    text = clean(cut(case.text, _TEXT), lines=True)
    if case.result is _Result.PASSED:
        if text:
            SubElement(element, "system-out").text = text
        return
    told = SubElement(element, case.result.value, {"message": _safe(case.message, _MESSAGE)})
    if case.result is _Result.SKIPPED:
        return
    told.set("type", case.group)
    told.text = text or None


def _attributes(case: _Case, name: str) -> dict[str, str]:
    return {
        "classname": f"{_safe(name, _NAME)}.{case.group}",
        "name": _safe(case.name, _NAME),
        "time": f"{case.seconds:.3f}",
    }


def _totals(cases: list[_Case]) -> dict[str, str]:
    results = [case.result for case in cases]
    return {
        "tests": str(len(cases)),
        "failures": str(results.count(_Result.FAILURE)),
        "errors": str(results.count(_Result.ERROR)),
        "skipped": str(results.count(_Result.SKIPPED)),
        "time": f"{sum(case.seconds for case in cases if case.group == 'steps'):.3f}",
    }


def _seconds(started: datetime | None, ended: datetime | None) -> float:
    return max(0.0, (ended - started).total_seconds()) if started and ended else 0.0


def _safe(value: str, limit: int) -> str:
    return cut(clean(value), limit)
