"""The parts of a report in Markdown, each from whole to short.

Weights say what matters to a reviewer, from 100 down: the failure, the model package and the
metrics before the plan, the plan before the list of steps that went well, the picture of the graph
last. A section that grows with its input is shortened at little loss before a short one goes:
docs/report.md has the order as a table.
"""

import re
from functools import partial

from ci.report import words
from ci.report.escape import code, text
from ci.report.fit import Section, cut_markdown, folded, make_section, table
from ci.report.measured import metrics_section, package_section, trend_section
from ci.report.model import ParameterValue, Report, State
from ci.report.ran import (
    cost_section,
    failure_section,
    graph_section,
    logs_section,
    steps_section,
)

_FEW = 30
_OPEN_PLAN = 60  # lines
_COMMAND = re.compile(r": (sagemaker-gitops [^ ].*)\Z")


def sections(report: Report) -> tuple[Section, ...]:
    """In the order in which they are read."""
    found = (
        _problems(report),
        metrics_section(report),
        trend_section(report),
        failure_section(report),
        package_section(report),
        _plan(report),
        _parameters(report),
        steps_section(report),
        graph_section(report),
        cost_section(report),
        logs_section(report),
        _notes(report),
    )
    return tuple(section for section in found if section is not None)


def _problems(report: Report) -> Section | None:
    verdict = report.verdict.problems if report.verdict else ()
    found = tuple(dict.fromkeys((*report.problems, *verdict)))
    if not found:
        return None

    def variant(count: int, limit: int) -> str:
        shown = [f"> - {_remark(problem, limit=limit)}" for problem in found[:count]]
        more = [f"> - and {len(found) - count} more"] if len(found) > count else []
        return "\n".join(["> [!WARNING]", *shown, *more])

    return make_section("warnings", (25, variant(20, 600)), (75, variant(3, 200)))


def _plan(report: Report) -> Section | None:
    plan = report.plan
    if plan is None:
        return None
    title = text(words.plan_title(report), limit=320)
    if not plan.markdown.strip():
        return make_section("plan", (60, title))
    shown = partial(_opened if report.state is State.PLANNED else folded, title)
    return make_section(
        "plan",
        *(
            (weight, shown(cut_markdown(plan.markdown, limit)))
            for weight, limit in ((1, 300_000), (8, 30_000), (28, 10_000), (55, 3_000))
        ),
        (60, title),
    )


def _opened(title: str, body: str) -> str:
    """Where the plan is all there is to read, it is not hidden while it is short but for its
    folds."""
    shown = re.sub(r"<details>.*?</details>", "", body, flags=re.DOTALL)
    return body if shown.count("\n") < _OPEN_PLAN else folded(title, body)


def _parameters(report: Report) -> Section | None:
    differing = [parameter for parameter in report.parameters if parameter.differs]
    same = [parameter for parameter in report.parameters if not parameter.differs]
    if not report.parameters:
        return None
    verb = "differs" if len(differing) == 1 else "differ"
    title = "Parameters" + (f": {len(differing)} {verb} from main" if differing else "")

    def variant(shown: list[ParameterValue], limit: int) -> str:
        rows = [_parameter_row(parameter, limit) for parameter in shown]
        header = ["Parameter", "Value", "On main"]
        if not words.knows_main(shown):
            header, rows = header[:2], [row[:2] for row in rows]
        return folded(title, table(header, rows))

    shown = [(22, variant([*differing, *same], 300))]
    if differing:
        shown.append((40, variant(differing[:_FEW], 100)))
    return make_section("parameters", *shown)


def _parameter_row(parameter: ParameterValue, limit: int) -> list[str]:
    name, value = code(parameter.name, limit=limit), code(parameter.value, limit=limit)
    if not parameter.differs:
        return [name, value, words.on_main(parameter)]
    return [f"**{name}**", value, code(str(parameter.main), limit=limit)]


def _notes(report: Report) -> Section | None:
    if not report.notes:
        return None
    lines = [f"- {_remark(note, limit=500)}" for note in dict.fromkeys(report.notes)]
    return make_section("notes", (20, "\n".join(lines[:20])))


def _remark(remark: str, *, limit: int) -> str:
    """A command at its end is there to be copied: text is broken up by characters that nobody
    sees."""
    found = _COMMAND.search(remark)
    if found is None:
        return text(remark, limit=limit)
    return f"{text(remark[: found.start()], limit=limit)}: {code(found[1], limit=400)}"
