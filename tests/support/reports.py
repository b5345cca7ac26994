"""Reports of every kind, and every rendering of one."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

from ci.cost.estimate import estimate_cost
from ci.cost.model import Kind, Prices, Usage
from ci.metrics.facts import EndpointFact, Facts
from ci.metrics.gates import evaluate_gates
from ci.metrics.model import ChangeUnit, Gate, Goal
from ci.metrics.trend import Trend, TrendPoint
from ci.metrics.verdict import decide_verdict
from ci.report.document import report_to_json
from ci.report.driver import raised_at_last
from ci.report.html import render_html
from ci.report.markdown import render_comment
from ci.report.model import (
    Command,
    GraphNode,
    Link,
    LogTail,
    ParameterValue,
    PlanSection,
    Report,
    State,
    supersede,
)
from ci.report.terminal import render_terminal
from ci.sagemaker.model import ApprovalStatus, ExecutionStatus
from ci.text.redact import Redactor
from ci.trigger.model import Door, Event, Trigger
from support.samples import EXECUTION_ARN, PREFIX, START, execution, metric, package, step, steps

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TRIGGER = Trigger(
    door=Door.GITHUB_ACTIONS,
    event=Event.PULL_REQUEST,
    commit=COMMIT,
    branch="deeper-trees",
    pull_request=42,
    actor="mlee",
    repository="acme/mlops",
    run_url="https://github.com/acme/mlops/actions/runs/7788",
)
GRAPH = (
    GraphNode(name="Prepare", kind="Processing"),
    GraphNode(name="Train", kind="Training", after=("Prepare",)),
    GraphNode(name="Evaluate", kind="Processing", after=("Prepare", "Train")),
    GraphNode(name="CheckQuality", kind="Condition", after=("Evaluate",)),
    GraphNode(name="Register", kind="RegisterModel", after=("CheckQuality",)),
    GraphNode(name="Deploy", kind="Lambda", after=("Register",)),
    GraphNode(name="NotGoodEnough", kind="Fail", after=("CheckQuality",)),
)
PLAN = PlanSection(
    headline="1 step changed, 1 parameter changed",
    markdown=(
        "**~ Train** (Training)\n\n```diff\n- max_depth: 5\n+ max_depth: 7\n```\n\n"
        "| Parameter | Before | After |\n| --- | --- | --- |\n| `Rounds` | `50` | `120` |"
    ),
    terminal="~ Train (Training)\n    max_depth: 5 -> 7\n~ parameter Rounds: 50 -> 120",
)
TRENDS = tuple(
    Trend(
        metric=name,
        goal=goal,
        points=tuple(
            TrendPoint(version=3 + n, value=value, commit=None if n == 2 else f"{n:x}" * 40)
            for n, value in enumerate(values)
        ),
    )
    for name, goal, values in (
        ("rmse", Goal.MINIMIZE, (2.44, 2.41, 2.41, 2.35, 2.38, 2.3, 2.22, 2.21, 2.2, 2.138)),
        ("r2", Goal.MAXIMIZE, (0.42, 0.43, 0.43, 0.46, 0.44, 0.48, 0.51, 0.52, 0.52, 0.547)),
    )
)
COST = estimate_cost(
    Prices(
        as_of=date(2026, 1, 15),
        source="https://aws.amazon.com/sagemaker/pricing/",
        regions={
            "us-east-1": {
                Kind.TRAINING: {"ml.m5.xlarge": 0.25},
                Kind.PROCESSING: {"ml.m5.large": 0.125},
            }
        },
    ),
    "us-east-1",
    (
        Usage(step="Prepare", kind=Kind.PROCESSING, instance="ml.m5.large", count=1, seconds=190),
        Usage(
            step="Train", kind=Kind.TRAINING, instance="ml.m5.xlarge", count=2, seconds=540,
            saved=180,
        ),
        Usage(step="Evaluate", kind=Kind.PROCESSING, instance="ml.m7i.large", count=1, seconds=90),
    ),
)  # fmt: skip
GATES = (
    Gate(metric="rmse", maximum=3.0, improve_by=0, improve_unit=ChangeUnit.PERCENT),
    Gate(metric="r2", minimum=0.5, required=False),
)
METRICS = (
    metric(2.05, 2.138),
    metric(0.561, 0.547, name="r2", goal=Goal.MAXIMIZE),
    metric(1.49, 1.487, name="mae"),
)
FACTS = Facts(
    execution=execution(),
    metrics=METRICS,
    gates=evaluate_gates(GATES, METRICS, package(12)),
    expected_group="abalone",
    package=package(),
    champion=package(12),
    endpoint=EndpointFact(name="abalone", status="InService", package=package().arn),
)


def report(facts: Facts, state: State = State.FINAL, **changes: object) -> Report:
    made = Report(
        pipeline="abalone",
        environment="main",
        pipeline_name="abalone-main",
        trigger=TRIGGER,
        region="us-east-1",
        state=state,
        generated=START + timedelta(minutes=25),
        execution=facts.execution,
        verdict=decide_verdict(facts),
        package=facts.package,
        champion=facts.champion,
        endpoint=facts.endpoint,
        plan=PLAN,
        parameters=(
            ParameterValue(
                name="InputData", value="s3://acme-data/2026-03/", main="s3://acme-data/2026-02/"
            ),
            ParameterValue(name="InstanceType", value="ml.m5.xlarge", main="ml.m5.xlarge"),
            ParameterValue(name="Threshold", value="3.0"),
        ),
        graph=GRAPH,
        links=(Link(label="Studio", url="https://studio-d-1.studio.us-east-1.sagemaker.aws/x"),),
        digest="ab" * 32,
        attach=f"sagemaker-gitops attach {EXECUTION_ARN}",
        trends=TRENDS if facts.execution.status.terminal else (),
        cost=COST if facts.execution.status.terminal else None,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def _gate_failed() -> Report:
    message = "RMSE 2.31 is not better than production's 2.138"
    ended = (
        *steps()[:3],
        step("CheckQuality", 19.7, 0, kind="Condition", outcome="False"),
        step("NotGoodEnough", 19.8, 0, kind="Fail", status="Failed", failure_reason=message),
    )
    worse = (metric(2.31, 2.138), metric(0.49, 0.547, name="r2", goal=Goal.MAXIMIZE))
    facts = replace(
        FACTS,
        execution=execution(ExecutionStatus.FAILED, ended),
        metrics=worse,
        gates=evaluate_gates(GATES, worse, package(12)),
        package=None,
        endpoint=None,
    )
    return report(facts)


def _step_failed() -> Report:
    job = f"{PREFIX}:training-job/train-1"
    ended = (
        steps()[0],
        step(
            "Train", 3.2, 2, kind="Training", status="Failed", job=job, attempts=3,
            failure_reason="AlgorithmError: ExecuteUserScriptError:\nExitCode 1",
        ),
    )  # fmt: skip
    log = "\n".join([f"[{n:02}] validation-rmse:{9 - n / 10:.2f}" for n in range(60)])
    log += '\nTraceback (most recent call last):\n  File "train.py", line 88, in <module>\n'
    log += "ValueError: could not convert string to float: 'M'\n"
    facts = replace(
        FACTS,
        execution=execution(ExecutionStatus.FAILED, ended),
        metrics=(),
        gates=(),
        package=None,
        endpoint=None,
        raised=raised_at_last(log.splitlines()),
    )
    tail = LogTail(
        step="Train",
        text=log,
        group="/aws/sagemaker/TrainingJobs",
        prefix="train-1/",
        raised=facts.raised,
    )
    return report(facts, logs=(tail,))


def _running() -> Report:
    now = (steps()[0], step("Train", 3.2, kind="Training", status="Executing", ended=None))
    facts = Facts(execution=execution(ExecutionStatus.EXECUTING, now), champion=package(12))
    return report(facts, State.RUNNING)


def _stopped() -> Report:
    now = (steps()[0], step("Train", 3.2, 4, kind="Training", status="Stopped"))
    facts = Facts(execution=execution(ExecutionStatus.STOPPED, now), champion=package(12))
    return report(facts)


def _superseded() -> Report:
    newer = "fedcba9876543210fedcba9876543210fedcba98"
    return supersede(_stopped(), newer)


def _no_metrics() -> Report:
    lost = (metric(None, None, problem="s3://b/evaluation.json is empty"),)
    gates = evaluate_gates(GATES[:1], lost, package(12))
    return report(replace(FACTS, metrics=lost, gates=gates, endpoint=None))


def _first_model() -> Report:
    first = (metric(2.05, None), metric(0.561, None, name="r2", goal=Goal.MAXIMIZE))
    gates = evaluate_gates(GATES, first, None)
    return report(replace(FACTS, metrics=first, gates=gates, champion=None), trends=())


def _pending() -> Report:
    waiting = package(approval=ApprovalStatus.PENDING)
    approve = f"sagemaker-gitops approve {waiting.arn}"
    return report(
        replace(FACTS, package=waiting, endpoint=None),
        approvers="a member of acme/ml-reviewers",
        commands=(
            Command(label="Approve", line=approve),
            Command(label="Reject", line=f"{approve.replace('approve', 'reject')} --reason '…'"),
        ),
    )


def _many_steps() -> Report:
    many = tuple(step(f"Shard{n:03}", n / 10, cache_hit="arn:x" if n % 7 else None)
                 for n in range(500))  # fmt: skip
    graph = tuple(GraphNode(name=s.name, kind="Processing") for s in many)
    return report(replace(FACTS, execution=execution(found=many)), graph=graph)


HOSTILE = (
    "@octocat fixes #1 `x` ``` \n~~~\n<script>alert(1)</script><!-- --> | a | https://evil.example"
    " \u202egnp.exe\x00\x1b[31m [x](http://y) ::set-output name=a::b\n::error::x ##[error]y "
    + "w"
    * 300
)


def _hostile() -> Report:
    bad = HOSTILE
    ended = (
        step(f"A{bad}", kind=bad, attempts=2),
        step(f"B{bad}", status="Failed", failure_reason=bad * 3, kind="Training"),
        step(f"C{bad}", status=bad, cache_hit=bad, outcome=bad),
    )
    value = metric(1.0, 2.0, name=bad, problem=bad)
    made = Facts(
        execution=execution(ExecutionStatus.FAILED, ended, failure_reason=bad),
        metrics=(replace(value, source=replace(value.source, unit=bad)),),
        gates=evaluate_gates([Gate(metric=bad, maximum=0.5), Gate(metric="x")], (value,), None),
        package=package(group=bad, approval_description=bad),
        champion=package(12),
    )
    return report(
        made,
        pipeline=bad,
        environment=bad,
        pipeline_name=bad,
        trigger=replace(TRIGGER, actor=bad, run_url=f"javascript:{bad}"),
        plan=PlanSection(headline=bad, markdown="fine", terminal=bad),
        parameters=(ParameterValue(name=bad, value=bad, main="x"),),
        graph=(GraphNode(name=f"A{bad}", kind="Processing"), GraphNode(name=bad, kind="x")),
        logs=(LogTail(step=f"B{bad}", text=bad * 5), LogTail(step=bad, text=bad)),
        links=(Link(label=bad, url=f"https://x.example/{bad}"), Link(label=bad, url="https://x/")),
        commands=(Command(label=bad, line=bad),),
        problems=(bad,),
        notes=(bad,),
        attach=bad,
        approvers=bad,
    )


def _planned() -> Report:
    return replace(
        report(FACTS, State.PLANNED, attach=None, trends=(), cost=None, links=()),
        execution=None,
        verdict=None,
        package=None,
        endpoint=None,
    )


_MAKERS: dict[str, Callable[[], Report]] = {
    "success": lambda: report(FACTS),
    "gate-failed": _gate_failed,
    "step-failed": _step_failed,
    "running": _running,
    "stopped": _stopped,
    "superseded": _superseded,
    "no-metrics": _no_metrics,
    "first-model": _first_model,
    "approval-pending": _pending,
    "many-steps": _many_steps,
    "hostile": _hostile,
    "planned": _planned,
}
REPORTS = {name: make() for name, make in _MAKERS.items()}


def renderings(shown: Report, redactor: Redactor | None = None) -> dict[str, str]:
    """Every form of one report, by its file's ending."""
    return {
        "md": render_comment(shown, redactor=redactor),
        "txt": render_terminal(shown, redactor=redactor),
        "json": json.dumps(report_to_json(shown, redactor=redactor), indent=2, ensure_ascii=False),
        "html": render_html(shown, redactor=redactor),
    }
