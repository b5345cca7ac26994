"""The report as a comment on a pull request: GitHub-flavoured Markdown below a given size."""

from ci.report import words
from ci.report.escape import code, link, text
from ci.report.fit import fit
from ci.report.marker import marker_of, render_marker
from ci.report.model import Report
from ci.report.sections import sections
from ci.text.redact import Redactor

# GitHub refuses a body of more than 65,536 characters; the rest is room for its own counting.
COMMENT_LIMIT = 65_000
SMALLEST_LIMIT = 30_000
# Forges that hold less (CodeCommit: 10,240) get head and foot in short.
COMPACT_LIMIT = 8_000
_ELSEWHERE = "The whole report is in the job summary and in the report file."


def render_comment(
    report: Report, *, limit: int = COMMENT_LIMIT, redactor: Redactor | None = None
) -> str:
    """The comment, its marker in the first line. The same state of things gives the same text,
    at whatever time: a comment is only edited where something changed.

    `limit` counts UTF-16 units and is at least COMPACT_LIMIT (ValueError). Marker, headline and
    footer fit in SMALLEST_LIMIT whatever a report says; below it they are short, and fit where
    names are such as the project file takes.
    """
    if limit < COMPACT_LIMIT:
        raise ValueError(f"a comment needs room for {COMPACT_LIMIT} characters, not {limit}")
    shown = (redactor or Redactor()).value(report)
    compact = limit < SMALLEST_LIMIT
    head = f"{render_marker(marker_of(shown))}\n{_headline(shown, 150 if compact else 600)}"
    foot = _footer(shown, links=0 if compact else 4)
    return fit(head, sections(shown), foot, limit=limit, elsewhere=_ELSEWHERE)


def _headline(report: Report, limit: int) -> str:
    about = [
        f"**{text(report.pipeline, limit=100)}**",
        f"in **{text(report.environment, limit=100)}**",
        f"as {code(report.pipeline_name, limit=100)}",
    ]
    duration = words.execution_duration(report, None)
    if duration:
        about.append(f"· {duration}")
    title = text(words.headline(report), limit=limit)
    return f"### {words.icon(report)} {title}\n\n<sub>{' '.join(about)}</sub>"


def _footer(report: Report, *, links: int) -> str:
    trigger = report.trigger
    parts = [f"commit {code(trigger.commit[:12], limit=40)}"]
    if trigger.actor:
        parts.append(f"by {text(trigger.actor, limit=60)}")
    if trigger.run_url:
        parts.append(link("run", trigger.run_url))
    parts += [link(place.label, place.url, limit=60) for place in report.links[:links]]
    execution = report.execution
    if execution and execution.status.terminal and execution.modified:
        parts.append(f"ended {words.moment(execution.modified)}")
    lines = [f"<sub>{' · '.join(parts)}</sub>"]
    if report.execution:
        lines.append(f"<sub>execution {code(report.execution.arn, limit=300)}</sub>")
    if report.attach and not (report.execution and report.execution.status.terminal):
        lines.append(f"<sub>follow it: {code(report.attach, limit=400)}</sub>")
    return "<br>\n".join(lines)
