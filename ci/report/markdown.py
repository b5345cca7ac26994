"""The report as a comment on a pull request: GitHub-flavoured Markdown below a given size."""

from collections.abc import Iterator

from ci.report import words
from ci.report.escape import code, link, text
from ci.report.fit import Frame, Section, fit, folded, size
from ci.report.marker import marker_of, render_marker
from ci.report.model import Report, State
from ci.report.sections import sections
from ci.text.redact import Redactor

# GitHub refuses a body of more than 65,536 characters; the rest is room for its own counting.
COMMENT_LIMIT = 65_000
SMALLEST_LIMIT = 1_000
_ELSEWHERE = "The whole report is in the job summary and in the report file."


def render_comment(
    report: Report, *, limit: int = COMMENT_LIMIT, redactor: Redactor | None = None
) -> str:
    """The comment, its marker in the first line. The same state of things gives the same text,
    at whatever time: a comment is only edited where something changed.

    `limit` counts UTF-16 units and is at least SMALLEST_LIMIT (ValueError): the marker and a short
    headline of any report fit in that.
    """
    if limit < SMALLEST_LIMIT:
        raise ValueError(f"a comment needs room for {SMALLEST_LIMIT} characters, not {limit}")
    shown = (redactor or Redactor()).value(report)
    marker = render_marker(marker_of(shown))
    frames = [
        Frame(
            head=f"{marker}\n{_headline(shown, title=600, about=True)}",
            foot=_footer(shown, places=True),
        ),
        Frame(
            head=f"{marker}\n{_headline(shown, title=200, about=False)}",
            foot=_footer(shown, places=False),
        ),
        *_shortest(shown, marker, limit),
    ]
    return fit(frames, tuple(_sections(shown)), limit=limit, elsewhere=_ELSEWHERE)


def _sections(report: Report) -> Iterator[Section]:
    """As they are; of a report that is out of date behind lines to click on."""
    for section in sections(report):
        if report.state is State.SUPERSEDED:
            title = section.title.capitalize()
            variants = tuple(
                each if each.startswith("<details>") else folded(title, each)
                for each in section.variants
            )
            yield Section(title=section.title, weights=section.weights, variants=variants)
        else:
            yield section


def _shortest(report: Report, marker: str, limit: int) -> Iterator[Frame]:
    """Marker and a headline cut until they fit: escaping may make a text seven times as long."""
    foot = f"<sub>commit {code(report.trigger.commit[:12], limit=12)}</sub>"
    for length in (100, 50, 25, 10):
        title = text(words.headline(report), limit=length)
        frame = Frame(head=f"{marker}\n### {words.icon(report)} {title}", foot=foot)
        if length == 10 or size(frame.head) + size(foot) + 10 <= limit:
            yield frame
            return


def _headline(report: Report, *, title: int, about: bool) -> str:
    head = f"### {words.icon(report)} {text(words.headline(report), limit=title)}"
    if not about:
        return head
    parts = [
        f"**{text(report.pipeline, limit=100)}**",
        f"in **{text(report.environment, limit=100)}**",
        f"as {code(report.pipeline_name, limit=100)}",
    ]
    duration = words.execution_duration(report, None)
    if duration:
        parts.append(f"· {duration}")
    return f"{head}\n\n<sub>{' '.join(parts)}</sub>"


def _footer(report: Report, *, places: bool) -> str:
    trigger, execution = report.trigger, report.execution
    parts = [f"commit {code(trigger.commit[:12], limit=40)}"]
    if trigger.actor and places:
        parts.append(f"by {text(trigger.actor, limit=60)}")
    if trigger.run_url:
        parts.append(link("run", trigger.run_url))
    if places:
        parts += [link(place.label, place.url, limit=60) for place in report.links[:6]]
    if execution and execution.status.terminal and execution.modified:
        parts.append(f"ended {words.moment(execution.modified)}")
    lines = [f"<sub>{' · '.join(parts)}</sub>"]
    if execution and places:
        lines.append(f"<sub>execution {code(execution.arn, limit=300)}</sub>")
    if report.attach and not (execution and execution.status.terminal):
        lines.append(f"<sub>follow it: {code(report.attach, limit=400)}</sub>")
    return "<br>\n".join(lines)
