"""The report as JSON, in the form that `schema.json` beside this module publishes.

A field is never renamed or given another meaning within a version; new ones may come.
"""

import json
from datetime import datetime
from importlib import resources
from typing import Any

from ci.cost.model import Estimate
from ci.metrics.model import GateResult, MetricValue, Verdict
from ci.metrics.steps import failure_text
from ci.metrics.trend import Trend
from ci.metrics.words import gain_percent
from ci.report.marker import marker_of
from ci.report.model import Report
from ci.report.words import headline
from ci.sagemaker.model import ExecutionSnapshot, ModelPackage, StepSnapshot
from ci.text.redact import Redactor

VERSION = 1

Document = dict[str, Any]


def report_to_json(report: Report, *, redactor: Redactor | None = None) -> Document:
    """Plain JSON values only; times are ISO 8601 with their offset, durations seconds."""
    shown = (redactor or Redactor()).value(report)
    trigger, plan, endpoint = shown.trigger, shown.plan, shown.endpoint
    return {
        "version": VERSION,
        "state": shown.state.value,
        "headline": headline(shown),
        "pipeline": shown.pipeline,
        "environment": shown.environment,
        "pipeline_name": shown.pipeline_name,
        "region": shown.region,
        "project": shown.project,
        "digest": marker_of(shown).digest,
        "generated": _time(shown.generated),
        "trigger": {
            "door": trigger.door.value,
            "event": trigger.event.value,
            "commit": trigger.commit,
            "branch": trigger.branch,
            "pull_request": trigger.pull_request,
            "repository": trigger.repository,
            "actor": trigger.actor,
            "run_url": trigger.run_url,
            "dirty": trigger.dirty,
        },
        "verdict": _verdict(shown.verdict) if shown.verdict else None,
        "execution": _execution(shown.execution) if shown.execution else None,
        "model_package": _package(shown.package) if shown.package else None,
        "champion": _package(shown.champion) if shown.champion else None,
        "endpoint": {
            "name": endpoint.name,
            "status": endpoint.status,
            "model_package": endpoint.package,
        }
        if endpoint
        else None,
        "plan": {
            "headline": plan.headline,
            "digest": plan.digest,
            "text": plan.terminal,
            "markdown": plan.markdown,
        }
        if plan
        else None,
        "parameters": [
            {"name": p.name, "value": p.value, "main": p.main, "differs": p.differs}
            for p in shown.parameters
        ],
        "graph": [
            {"name": node.name, "type": node.kind, "after": list(node.after)}
            for node in shown.graph
        ],
        "logs": [
            {
                "step": log.step,
                "group": log.group,
                "stream": log.stream,
                "prefix": log.prefix,
                "text": log.text,
                "raised": log.raised,
            }
            for log in shown.logs
        ],
        "links": [{"label": place.label, "url": place.url} for place in shown.links],
        "trends": [_trend(trend) for trend in shown.trends],
        "cost": _cost(shown.cost) if shown.cost else None,
        "commands": [{"label": each.label, "line": each.line} for each in shown.commands],
        "approvers": shown.approvers,
        "attach": shown.attach,
        "superseded_by": shown.superseded_by,
        "problems": list(shown.problems),
        "notes": list(shown.notes),
    }


def load_schema() -> Document:
    """The published JSON Schema of `report_to_json`."""
    file = resources.files("ci.report").joinpath("schema.json")
    schema: Document = json.loads(file.read_text(encoding="utf-8"))
    return schema


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _verdict(verdict: Verdict) -> Document:
    return {
        "outcome": verdict.outcome.value,
        "sentence": verdict.sentence,
        "metrics": [_metric(metric) for metric in verdict.metrics],
        "gates": [_gate(result) for result in verdict.gates],
        "problems": list(verdict.problems),
    }


def _metric(metric: MetricValue) -> Document:
    percent = None
    if metric.value is not None and metric.champion is not None:
        percent = gain_percent(metric.value, metric.champion, metric.source.goal)
    return {
        "name": metric.source.name,
        "goal": metric.source.goal.value,
        "unit": metric.source.unit,
        "value": metric.value,
        "champion": metric.champion,
        "gain_percent": percent,
        "problem": metric.problem,
        "champion_problem": metric.champion_problem,
    }


def _gate(result: GateResult) -> Document:
    gate = result.gate
    return {
        "metric": gate.metric,
        "minimum": gate.minimum,
        "maximum": gate.maximum,
        "improve_by": gate.improve_by,
        "improve_unit": gate.improve_unit.value,
        "required": gate.required,
        "outcome": result.outcome.value,
        "reason": result.reason,
    }


def _trend(trend: Trend) -> Document:
    return {
        "metric": trend.metric,
        "goal": trend.goal.value,
        "unit": trend.unit,
        "points": [
            {"version": point.version, "value": point.value, "commit": point.commit}
            for point in trend.points
        ],
    }


def _cost(cost: Estimate) -> Document:
    return {
        "usd": cost.usd,
        "saved_usd": cost.saved,
        "region": cost.region,
        "as_of": cost.as_of.isoformat(),
        "source": cost.source,
        "steps": [
            {
                "step": each.usage.step,
                "kind": each.usage.kind.value,
                "instance": each.usage.instance,
                "count": each.usage.count,
                "seconds": each.usage.seconds,
                "usd": each.usd,
            }
            for each in cost.steps
        ],
        "uncounted": list(cost.uncounted),
    }


def _execution(execution: ExecutionSnapshot) -> Document:
    return {
        "arn": execution.arn,
        "pipeline_name": execution.pipeline_name,
        "display_name": execution.display_name,
        "status": execution.raw_status,
        "failure_reason": execution.failure_reason,
        "started": _time(execution.started),
        "modified": _time(execution.modified),
        "version_id": execution.version_id,
        "steps": [_step(step) for step in execution.steps],
    }


def _step(step: StepSnapshot) -> Document:
    seconds = (step.ended - step.started).total_seconds() if step.started and step.ended else None
    return {
        "name": step.name,
        "display_name": step.display_name,
        "type": step.kind,
        "status": step.status,
        "started": _time(step.started),
        "ended": _time(step.ended),
        "seconds": seconds,
        "attempts": step.attempts,
        "cache_hit": step.cache_hit,
        "outcome": step.outcome,
        "job": step.job,
        "failure_reason": failure_text(step),
    }


def _package(package: ModelPackage) -> Document:
    return {
        "arn": package.arn,
        "group": package.group,
        "version": package.version,
        "approval": package.approval.value,
        "approval_description": package.approval_description,
        "status": package.status,
    }
