"""The plan as JSON, for `--json` and for whoever compares plans."""

from ci.plan.model import MISSING, Change, CodeChange, NamedChange, Plan, StepChange, StepRun
from ci.plan.tree import render_path
from ci.plan.words import summary

FORMAT = 1


def plan_to_json(plan: Plan) -> dict[str, object]:
    """`format` counts up when a member changes its meaning; new members may come at any time."""
    return {
        "format": FORMAT,
        "pipeline": plan.pipeline,
        "exists": plan.exists,
        "empty": plan.empty,
        "baseline": plan.baseline.value,
        "summary": summary(plan),
        "digest": plan.digest,
        "wanted": plan.wanted,
        "deployed": plan.deployed,
        "steps": [_step(step) for step in plan.steps],
        "parameters": [_named(change) for change in plan.parameters],
        "settings": [_named(change) for change in plan.settings],
        "functions": [_named(change) for change in plan.functions],
        "runs": [_run(run) for run in plan.runs],
        "volatile": list(plan.volatile),
        "unread": list(plan.unread),
    }


def _step(step: StepChange) -> dict[str, object]:
    result: dict[str, object] = {"name": step.name, "type": step.type, "kind": step.kind.value}
    if step.old_name is not None:
        result["old_name"] = step.old_name
    if step.content:
        result["content"] = dict(step.content)
    result["changes"] = [_change(change) for change in step.changes]
    result["code"] = [_code(change) for change in step.code]
    return result


def _change(change: Change) -> dict[str, object]:
    result: dict[str, object] = {"path": render_path(change.path), "kind": change.kind.value}
    if change.old is not MISSING:
        result["old"] = change.old
    if change.new is not MISSING:
        result["new"] = change.new
    return result


def _code(change: CodeChange) -> dict[str, object]:
    return {
        "paths": [render_path(path) for path in change.paths],
        "old": change.old,
        "new": change.new,
        "unreadable": list(change.unreadable),
        "files": [
            {
                "path": file.path,
                "kind": file.kind.value,
                "added": file.added,
                "removed": file.removed,
                "diff": file.diff,
                "note": file.note,
            }
            for file in change.files
        ],
    }


def _named(change: NamedChange) -> dict[str, object]:
    result: dict[str, object] = {
        "name": change.name,
        "kind": change.kind.value,
        "old": change.old,
        "new": change.new,
    }
    if change.code is not None:
        result["code"] = _code(change.code)
    return result


def _run(run: StepRun) -> dict[str, object]:
    return {
        "name": run.name,
        "type": run.type,
        "verdict": run.verdict.value,
        "reasons": list(run.reasons),
        "stale": list(run.stale),
        "branch_of": run.branch_of,
        "instances": run.instances,
        "image": run.image,
    }
