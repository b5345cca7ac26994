"""The graph of a pipeline as Mermaid, each step in the colour of its state."""

from collections.abc import Iterable

from ci.report.escape import mermaid_label
from ci.report.model import Report
from ci.sagemaker.model import StepSnapshot

# Beyond this a picture in a comment is unreadable, and GitHub's renderer refuses 500 edges.
MOST_STEPS = 60
_MOST_EDGES = 300
_SHORT_CHAIN = 7
_CLASSES = {
    "ok": "fill:#dafbe1,stroke:#1a7f37,color:#0a3d1a",
    "cached": "fill:#ddf4ff,stroke:#0969da,color:#0a3069",
    "bad": "fill:#ffebe9,stroke:#cf222e,color:#660018",
    "active": "fill:#fff8c5,stroke:#9a6700,color:#4d2d00",
    "idle": "fill:#f6f8fa,stroke:#8c959f,color:#57606a,stroke-dasharray:4 3",
}
_STATES = {
    "Succeeded": "ok",
    "Failed": "bad",
    "Stopped": "bad",
    "Starting": "active",
    "Executing": "active",
    "Stopping": "active",
}


def render_mermaid(report: Report) -> str | None:
    """Mermaid source without its fence; None where there is no graph, or too large a one."""
    nodes = report.graph
    edges = sum(len(node.after) for node in nodes)
    if not nodes or len(nodes) > MOST_STEPS or edges > _MOST_EDGES:
        return None
    run = {step.name: step for step in report.execution.steps} if report.execution else {}
    ids = {node.name: f"s{index}" for index, node in enumerate(nodes)}
    lines = [f"flowchart {'LR' if len(nodes) <= _SHORT_CHAIN else 'TD'}"]
    for node in nodes:
        left, right = ('{"', '"}') if node.kind == "Condition" else ('["', '"]')
        label = mermaid_label(node.name)
        lines.append(f"  {ids[node.name]}{left}{label}{right}:::{_state(run.get(node.name))}")
    for node in nodes:
        before = (ids[name] for name in dict.fromkeys(node.after) if name in ids)
        lines += [f"  {source} --> {ids[node.name]}" for source in before]
    return "\n".join([*lines, *_class_lines(lines)])


def _state(step: StepSnapshot | None) -> str:
    if step is None:
        return "idle"
    if step.cache_hit:
        return "cached"
    return _STATES.get(step.status, "idle")


def _class_lines(lines: Iterable[str]) -> list[str]:
    used = {line.rpartition(":::")[2] for line in lines if ":::" in line}
    return [f"  classDef {name} {style}" for name, style in _CLASSES.items() if name in used]
