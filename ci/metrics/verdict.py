"""Decides what came of an execution, and says it in one sentence.

`Succeeded` from the service is where the questions begin: was the model registered that was
wanted, were its metrics read, did the gates hold, does the endpoint serve it? The order of the
questions is the order of importance to a reader; the first that is answered badly names the
outcome, and the sentence never claims more than what was read back.
"""

from collections.abc import Iterable
from typing import assert_never

from ci.errors import ExitCode
from ci.execution.reason import short_reason
from ci.metrics.facts import MISSING, Facts
from ci.metrics.model import GateOutcome, GateResult, Outcome, Verdict
from ci.metrics.steps import (
    active_steps,
    cached_everything,
    else_branches,
    failed_steps,
    failure_text,
    gate_steps,
)
from ci.metrics.words import describe_metric
from ci.registry.decisions import decided_because
from ci.sagemaker.model import ApprovalStatus, ExecutionStatus, ModelPackage

_REASON = 300
# Of a step's: the report holds it whole below.
_FAILURE = 160
# fmt: off
_OPENINGS = frozenset({
    "all", "completed", "every", "failed", "gate", "in", "nothing", "registered", "running",
    "step", "stopped", "stopping", "succeeded", "the",
})
# fmt: on


def decide_verdict(facts: Facts) -> Verdict:
    """The verdict on an execution, running or ended."""
    match facts.execution.status:
        case ExecutionStatus.EXECUTING | ExecutionStatus.STOPPING | ExecutionStatus.UNKNOWN:
            outcome, sentence = Outcome.RUNNING, _running(facts)
        case ExecutionStatus.STOPPED:
            outcome, sentence = Outcome.STOPPED, _stopped(facts)
        case ExecutionStatus.FAILED:
            outcome, sentence = _failed(facts)
        case ExecutionStatus.COMPLETED_WITH_FAILURES:
            outcome, sentence = Outcome.FAILED, _completed_with_failures(facts)
        case ExecutionStatus.SUCCEEDED:
            outcome, sentence = _succeeded(facts)
        case _:
            assert_never(facts.execution.status)
    return Verdict(
        outcome=outcome,
        sentence=sentence,
        metrics=facts.metrics,
        gates=facts.gates,
        problems=tuple(_problems(facts)) if facts.execution.status.terminal else (),
    )


def exit_code(verdict: Verdict, *, require_approval: bool) -> ExitCode:
    """What a command that waited for this verdict ends with."""
    match verdict.outcome:
        case Outcome.SUCCEEDED:
            return ExitCode.OK
        case Outcome.RUNNING:
            return ExitCode.RUNNING
        case Outcome.APPROVAL_PENDING | Outcome.REJECTED:
            return ExitCode.APPROVAL if require_approval else ExitCode.OK
        case (
            Outcome.NOT_REGISTERED
            | Outcome.GATE_FAILED
            | Outcome.FAILED
            | Outcome.STOPPED
            | Outcome.UNVERIFIED
        ):
            return ExitCode.FAILED
        case _:
            assert_never(verdict.outcome)


def _running(facts: Facts) -> str:
    execution = facts.execution
    active = [step.display_name or step.name for step in active_steps(execution)]
    ended = sum(step.status in {"Succeeded", "Failed", "Stopped"} for step in execution.steps)
    if execution.status is ExecutionStatus.UNKNOWN:
        head = (
            f"in status {execution.raw_status}, which this version does not know: taken as running"
        )
    else:
        head = "stopping" if execution.status is ExecutionStatus.STOPPING else "running"
    words = [head, *([_count(ended, "step") + " ended"] if ended else [])]
    if active:
        words.append(f"now in {_some(active)}")
    return _sentence(", ".join(words))


def _stopped(facts: Facts) -> str:
    stopped = [s.display_name or s.name for s in facts.execution.steps if s.status == "Stopped"]
    head = f"stopped in {_some(stopped)}" if stopped else "stopped"
    return _sentence(f"{head}; {_left_behind(facts)}")


def _failed(facts: Facts) -> tuple[Outcome, str]:
    gate = gate_steps(facts.execution)
    if gate is None:
        return Outcome.FAILED, _sentence(f"{_first_failure(facts)}; {_left_behind(facts)}")
    step, conditions = gate
    deciding = [c.name for c in else_branches(facts.execution) or conditions]
    noun = "condition" if len(deciding) == 1 else "conditions"
    told = f"the pipeline's {noun} {_some(deciding)} refused it"
    message = failure_text(step)
    told += f": {_short(message, _FAILURE)}" if message else f", leading to {step.name}"
    parts = [*_metric_words(facts), told, _left_behind(facts)]
    return Outcome.GATE_FAILED, _sentence("; ".join(parts))


def _completed_with_failures(facts: Facts) -> str:
    names = [step.display_name or step.name for step in failed_steps(facts.execution)]
    head = f"completed with failures in {_some(names)}" if names else "completed with failures"
    failed = map(failure_text, failed_steps(facts.execution))
    reasons = (facts.raised, facts.execution.failure_reason, *failed)
    reason = next(filter(None, reasons), None)
    told = f"{head}: {_short(short_reason(reason), _FAILURE)}" if reason else head
    parts = [told, _left_behind(facts)]
    return _sentence("; ".join(parts))


def _succeeded(facts: Facts) -> tuple[Outcome, str]:
    if facts.unread is not None:
        told = f"succeeded, but what it left behind could not be read: {_short(facts.unread)}"
        return Outcome.UNVERIFIED, _sentence(told)
    outcome, judgement = _judge(facts)
    measured = _metric_words(facts)
    parts = [*measured, *_gate_words(facts.gates, "; ".join(measured)), *judgement]
    if cached_everything(facts.execution):
        parts.append("every step came from the cache, nothing was trained anew")
    return outcome, _sentence("; ".join(parts) or "succeeded")


def _judge(facts: Facts) -> tuple[Outcome, list[str]]:
    package = facts.package
    if any(_failing(gate, GateOutcome.FAILED) for gate in facts.gates):
        return Outcome.GATE_FAILED, [_left_behind(facts)]
    if package is None:
        return _judge_without_package(facts)
    wrong = _wrong_package(facts, package)
    if wrong is not None:
        return Outcome.UNVERIFIED, [wrong]
    if any(_failing(gate, GateOutcome.UNKNOWN) for gate in facts.gates):
        return Outcome.UNVERIFIED, [f"{_name(facts, package)} was registered without that check"]
    if facts.metrics and all(metric.value is None for metric in facts.metrics):
        return Outcome.UNVERIFIED, [f"{_name(facts, package)} was registered without metrics"]
    return _judge_approval(facts, package)


def _judge_without_package(facts: Facts) -> tuple[Outcome, list[str]]:
    if facts.deleted is not None:
        return Outcome.UNVERIFIED, [_left_behind(facts)]
    if facts.expected_group is not None:
        words = f"nothing was registered in {facts.expected_group}"
        skipped = [step.name for step in else_branches(facts.execution)]
        if skipped:
            words += f": {_some(skipped)} took the else branch"
        return Outcome.NOT_REGISTERED, [words, "nothing was deployed"]
    if any(_failing(gate, GateOutcome.UNKNOWN) for gate in facts.gates):
        return Outcome.UNVERIFIED, []
    if facts.metrics and all(metric.value is None for metric in facts.metrics):
        return Outcome.UNVERIFIED, []
    skipped = [step.name for step in else_branches(facts.execution)]
    if skipped:
        return Outcome.SUCCEEDED, [f"{_some(skipped)} took the else branch"]
    return Outcome.SUCCEEDED, []


def _wrong_package(facts: Facts, package: ModelPackage) -> str | None:
    if facts.expected_group is not None and package.group != facts.expected_group:
        return f"registered in {package.group}, where {facts.expected_group} was expected"
    if package.status != "Completed":
        return f"model package {_name(facts, package)} is {package.status}, not Completed"
    return None


def _judge_approval(facts: Facts, package: ModelPackage) -> tuple[Outcome, list[str]]:
    reason = decided_because(package)
    because = f": {_short(reason)}" if reason else ""
    match package.approval:
        case ApprovalStatus.PENDING:
            return Outcome.APPROVAL_PENDING, [f"{_name(facts, package)} is awaiting approval"]
        case ApprovalStatus.REJECTED:
            return Outcome.REJECTED, [f"{_name(facts, package)} was rejected{because}"]
        case ApprovalStatus.APPROVED:
            return _judge_deployment(facts, package)
        case _:
            assert_never(package.approval)


def _name(facts: Facts, package: ModelPackage) -> str:
    """`v13`; with its group where production is another one's (a pull request's own group)."""
    production = facts.production
    apart = production is not None and production.group != package.group
    return f"{_short(package.group, 80)} v{package.version}" if apart else f"v{package.version}"


def _judge_deployment(facts: Facts, package: ModelPackage) -> tuple[Outcome, list[str]]:
    endpoint = facts.endpoint
    if endpoint is None:
        return Outcome.SUCCEEDED, [f"{_name(facts, package)} approved"]
    if endpoint.serves(package.arn):
        return Outcome.SUCCEEDED, [f"{_name(facts, package)} approved and deployed"]
    if endpoint.moving:
        told = f"{_name(facts, package)} approved, the endpoint {endpoint.name} is still"
        return Outcome.RUNNING, [f"{told} {endpoint.status}"]
    if endpoint.status == MISSING:
        state = f"there is no endpoint {endpoint.name}"
    elif endpoint.package != package.arn:
        served = _version_of(endpoint.package)
        state = f"the endpoint {endpoint.name} serves {served}"
    else:
        state = f"the endpoint {endpoint.name} is {endpoint.status}"
        if endpoint.failure_reason:
            state += f" ({_short(endpoint.failure_reason)})"
    return Outcome.UNVERIFIED, [f"{_name(facts, package)} approved but not deployed: {state}"]


def _version_of(arn: str | None) -> str:
    if arn is None:
        return "a model that is not from the registry"
    group, _, version = arn.rpartition("/")
    return f"{group.rpartition('/')[2]} v{version}" if version.isdecimal() else arn


def _why(result: GateResult, told: str) -> str:
    reason = _short(result.reason)
    return "" if reason in told else f": {reason}"


def _metric_words(facts: Facts) -> list[str]:
    """The first metric that was read: the project file lists the one that matters most first."""
    production = facts.production
    name = f"production v{production.version}" if production else None
    known = next((m for m in facts.metrics if m.value is not None), None)
    if known is None:
        return [describe_metric(m, name) for m in facts.metrics[:1]]
    words = describe_metric(known, name)
    alone = production is None and known.champion is None and known.champion_problem is None
    if alone and _is_model_run(facts):
        words += ", no earlier approved model to compare with"
    return [words]


def _is_model_run(facts: Facts) -> bool:
    return facts.package is not None or any(
        gate.outcome is GateOutcome.NO_CHAMPION for gate in facts.gates
    )


def _gate_words(gates: Iterable[GateResult], told: str) -> list[str]:
    """`told` is what the sentence has said by now: no reason stands there twice."""
    results = list(gates)
    failed = [g for g in results if g.gate.required and g.outcome is GateOutcome.FAILED]
    unknown = [g for g in results if g.gate.required and g.outcome is GateOutcome.UNKNOWN]
    advisory = [g for g in results if not g.gate.required and not _held(g)]
    words = [f"gate failed: {g.gate.metric}: {g.reason}" for g in failed]
    words += [f"gate on {g.gate.metric} could not be checked{_why(g, told)}" for g in unknown]
    if results and not words:
        held = [g for g in results if _held(g)]
        if len(held) == len(results):
            words.append("all gates passed" if len(results) > 1 else "gate passed")
        elif any(g.gate.required for g in results):
            words.append("all required gates passed")
    words += [f"advisory gate on {g.gate.metric} not met: {_short(g.reason)}" for g in advisory]
    return words


def _held(result: GateResult) -> bool:
    return result.outcome in {GateOutcome.PASSED, GateOutcome.NO_CHAMPION}


def _failing(result: GateResult, outcome: GateOutcome) -> bool:
    return result.gate.required and result.outcome is outcome


def _first_failure(facts: Facts) -> str:
    failed = failed_steps(facts.execution)
    if not failed:
        reason = facts.execution.failure_reason
        told = f"failed: {_short(reason, _FAILURE)}" if reason else None
        return told or "failed; the service gives no reason"
    step = failed[0]
    reason = facts.raised or failure_text(step) or facts.execution.failure_reason
    more = f" (and {_count(len(failed) - 1, 'more step')})" if len(failed) > 1 else ""
    told = f"step {_some([step.display_name or step.name])} failed{more}"
    if reason is None:
        return f"{told}, and the service gives no reason"
    return f"{told}: {_short(short_reason(reason), _FAILURE)}"


def _left_behind(facts: Facts) -> str:
    """What the execution did to registry and endpoint, as it was read back."""
    package, endpoint = facts.package, facts.endpoint
    if facts.deleted is not None:
        return f"{_version_of(facts.deleted)} was registered, and has been deleted since"
    if package is None and _may_have_deployed(facts):
        return "nothing was registered"
    if package is None:
        return "nothing was registered, nothing was deployed"
    state = f"{_name(facts, package)} was registered all the same ({package.approval})"
    if endpoint is not None and endpoint.package == package.arn:
        return f"{state} and the endpoint {endpoint.name} serves it"
    return f"{state}, nothing was deployed" if endpoint is not None else state


def _may_have_deployed(facts: Facts) -> bool:
    """A function or a model of this execution was made: what became of it is not known here."""
    return any(
        step.kind in {"Lambda", "Model"} and step.status == "Succeeded"
        for step in facts.execution.steps
    )


def _problems(facts: Facts) -> Iterable[str]:
    for metric in facts.metrics:
        if metric.problem and not metric.unmeasured:
            yield f"{metric.source.name}: {metric.problem}"
        if metric.champion_problem:
            yield f"{metric.source.name}, production: {metric.champion_problem}"
    package = facts.package
    measures_both = any(metric.source.champion_path for metric in facts.metrics)
    if package is not None and package.metrics_uri is None and not measures_both:
        yield (
            f"model package {_name(facts, package)} carries no ModelMetrics: the next model will"
            " have nothing to be compared with"
        )
    if facts.execution.status is ExecutionStatus.SUCCEEDED:
        for step in failed_steps(facts.execution):
            yield f"the execution succeeded although step {step.name} failed"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _some(names: list[str]) -> str:
    shown = ", ".join(_short(name, 80) for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _short(text: str | None, limit: int = _REASON) -> str:
    """The text on one line, without the stop that the sentence sets itself."""
    line = " ".join((text or "").split()).rstrip(".")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _sentence(text: str) -> str:
    """Starts with a capital where the word is ours: a metric's name stays as it is written."""
    first = text.partition(" ")[0].rstrip(",;:")
    return text[0].upper() + text[1:] if first in _OPENINGS else text
