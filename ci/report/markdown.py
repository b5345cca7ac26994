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
_ELSEWHERE = "The whole report is in the job summary and in the report file."


def render_comment(
    report: Report, *, limit: int = COMMENT_LIMIT, redactor: Redactor | None = None
) -> str:
    """The comment, its marker in the first line. The same state of things gives the same text,
    at whatever time: a comment is only edited where something changed.

    `limit` counts UTF-16 units and is at least SMALLEST_LIMIT (ValueError): marker, headline and
    footer of any report fit in that.
    """
    if limit < SMALLEST_LIMIT:
        raise ValueError(f"a comment needs room for {SMALLEST_LIMIT} characters, not {limit}")
    shown = (redactor or Redactor()).value(report)
    head = f"{render_marker(marker_of(shown))}\n{_headline(shown)}"
    return fit(head, sections(shown), _footer(shown), limit=limit, elsewhere=_ELSEWHERE)


def _headline(report: Report) -> str:
    about = [
        f"**{text(report.pipeline, limit=100)}**",
        f"in **{text(report.environment, limit=100)}**",
        f"as {code(report.pipeline_name, limit=100)}",
    ]
    duration = words.execution_duration(report, None)
    if duration:
        about.append(f"· {duration}")
    title = text(words.headline(report), limit=600)
    return f"### {words.icon(report)} {title}\n\n<sub>{' '.join(about)}</sub>"


def _footer(report: Report) -> str:
    trigger = report.trigger
    parts = [f"commit {code(trigger.commit[:12], limit=40)}"]
    if trigger.actor:
        parts.append(f"by {text(trigger.actor, limit=60)}")
    if trigger.run_url:
        parts.append(link("run", trigger.run_url))
    parts += [link(place.label, place.url, limit=60) for place in report.links[:4]]
    execution = report.execution
    if execution and execution.status.terminal and execution.modified:
        parts.append(f"ended {words.moment(execution.modified)}")
    lines = [f"<sub>{' · '.join(parts)}</sub>"]
    if report.execution:
        lines.append(f"<sub>execution {code(report.execution.arn, limit=300)}</sub>")
    if report.attach and not (report.execution and report.execution.status.terminal):
        lines.append(f"<sub>follow it: {code(report.attach, limit=400)}</sub>")
    return "<br>\n".join(lines)
