"""A report again, from the JSON that `ci.report.document` made of it.

What the JSON does not hold (where a metric was read, a step's raw metadata) no rendering shows.
"""

from datetime import date, datetime
from typing import Any

from ci.cost.model import Estimate, Kind, StepCost, Usage
from ci.metrics.facts import EndpointFact
from ci.metrics.model import (
    ChangeUnit,
    Gate,
    GateOutcome,
    GateResult,
    Goal,
    MetricSource,
    MetricValue,
    Origin,
    Outcome,
    Verdict,
)
from ci.metrics.trend import Trend, TrendPoint
from ci.report.model import (
    Command,
    GraphNode,
    Link,
    LogTail,
    ParameterValue,
    PlanSection,
    Report,
    State,
)
from ci.sagemaker.model import ApprovalStatus, ExecutionSnapshot, ModelPackage, StepSnapshot
from ci.sagemaker.read import parse_status
from ci.trigger.model import Door, Event, Trigger

Document = dict[str, Any]


def report_from_json(document: Document) -> Report:
    """The report that renders as the one did which the JSON was made of. The document is one that
    `schema.json` accepts; KeyError, TypeError or ValueError for any other."""
    trigger, plan, endpoint = document["trigger"], document["plan"], document["endpoint"]
    return Report(
        pipeline=document["pipeline"],
        environment=document["environment"],
        pipeline_name=document["pipeline_name"],
        region=document["region"],
        state=State(document["state"]),
        generated=datetime.fromisoformat(document["generated"]),
        digest=document["digest"],
        trigger=Trigger(
            **{**trigger, "door": Door(trigger["door"]), "event": Event(trigger["event"])}
        ),
        verdict=_verdict(document["verdict"]) if document["verdict"] else None,
        execution=_execution(document["execution"]) if document["execution"] else None,
        package=_package(document["model_package"]),
        champion=_package(document["champion"]),
        endpoint=EndpointFact(
            name=endpoint["name"], status=endpoint["status"], package=endpoint["model_package"]
        )
        if endpoint
        else None,
        plan=PlanSection(
            headline=plan["headline"],
            markdown=plan["markdown"],
            terminal=plan["text"],
            digest=plan["digest"],
        )
        if plan
        else None,
        parameters=tuple(
            ParameterValue(name=each["name"], value=each["value"], main=each["main"])
            for each in document["parameters"]
        ),
        graph=tuple(
            GraphNode(name=each["name"], kind=each["type"], after=tuple(each["after"]))
            for each in document["graph"]
        ),
        logs=tuple(LogTail(**each) for each in document["logs"]),
        links=tuple(Link(**each) for each in document["links"]),
        commands=tuple(Command(**each) for each in document["commands"]),
        attach=document["attach"],
        approvers=document["approvers"],
        superseded_by=document["superseded_by"],
        problems=tuple(document["problems"]),
        notes=tuple(document["notes"]),
        trends=tuple(_trend(each) for each in document["trends"]),
        cost=_cost(document["cost"]) if document["cost"] else None,
        project=document["project"],
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _verdict(found: Document) -> Verdict:
    return Verdict(
        outcome=Outcome(found["outcome"]),
        sentence=found["sentence"],
        metrics=tuple(_metric(each) for each in found["metrics"]),
        gates=tuple(_gate(each) for each in found["gates"]),
        problems=tuple(found["problems"]),
    )


def _metric(found: Document) -> MetricValue:
    source = MetricSource(
        name=found["name"],
        origin=Origin.S3,
        path="",
        goal=Goal(found["goal"]),
        unit=found["unit"],
    )
    return MetricValue(
        source=source,
        value=found["value"],
        champion=found["champion"],
        problem=found["problem"],
        champion_problem=found["champion_problem"],
    )


def _gate(found: Document) -> GateResult:
    gate = Gate(
        metric=found["metric"],
        minimum=found["minimum"],
        maximum=found["maximum"],
        improve_by=found["improve_by"],
        improve_unit=ChangeUnit(found["improve_unit"]),
        required=found["required"],
    )
    return GateResult(gate=gate, outcome=GateOutcome(found["outcome"]), reason=found["reason"])


def _execution(found: Document) -> ExecutionSnapshot:
    return ExecutionSnapshot(
        arn=found["arn"],
        pipeline_name=found["pipeline_name"],
        display_name=found["display_name"],
        status=parse_status(found["status"]),
        raw_status=found["status"],
        failure_reason=found["failure_reason"],
        started=_time(found["started"]),
        modified=_time(found["modified"]),
        version_id=found["version_id"],
        steps=tuple(_step(each) for each in found["steps"]),
    )


def _step(found: Document) -> StepSnapshot:
    return StepSnapshot(
        name=found["name"],
        display_name=found["display_name"],
        kind=found["type"],
        status=found["status"],
        started=_time(found["started"]),
        ended=_time(found["ended"]),
        attempts=found["attempts"],
        cache_hit=found["cache_hit"],
        outcome=found["outcome"],
        job=found["job"],
        failure_reason=found["failure_reason"],
    )


def _package(found: Document | None) -> ModelPackage | None:
    if found is None:
        return None
    return ModelPackage(**{**found, "approval": ApprovalStatus(found["approval"])})


def _trend(found: Document) -> Trend:
    return Trend(
        metric=found["metric"],
        goal=Goal(found["goal"]),
        unit=found["unit"],
        points=tuple(TrendPoint(**each) for each in found["points"]),
    )


def _cost(found: Document) -> Estimate:
    return Estimate(
        usd=found["usd"],
        saved=found["saved_usd"],
        region=found["region"],
        as_of=date.fromisoformat(found["as_of"]),
        source=found["source"],
        steps=tuple(
            StepCost(
                usage=Usage(
                    step=each["step"],
                    kind=Kind(each["kind"]),
                    instance=each["instance"],
                    count=each["count"],
                    seconds=each["seconds"],
                ),
                usd=each["usd"],
            )
            for each in found["steps"]
        ),
        uncounted=tuple(found["uncounted"]),
    )
