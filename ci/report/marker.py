"""The hidden line by which a comment is found again and told from a newer one.

It has two forms: an HTML comment, and for forges that show HTML as text the definition of a link
that nothing refers to, which no Markdown renders.
"""

import base64
import binascii
import hashlib
import json
import re
from dataclasses import asdict, dataclass, replace
from dataclasses import fields as fields_of

from ci.report.model import Report, State

VERSION = 1
_UNSAFE = re.compile(r"[^A-Za-z0-9._:/@+]+")
_LINE = re.compile(r"\A\s*<!-- sagemaker-gitops: (\{.*\}) -->[ \t]*(?:\r?\n|\Z)")
_DEFINITION = re.compile(r"\A\s*\[sagemaker-gitops\]: #([A-Za-z0-9_-]+)[ \t]*(?:\r?\n|\Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """What a comment is about. `execution` is an ARN, `digest` the bundle's, `plan` the name of
    the plan that it shows, `project` the place of a project file that is not the root's."""

    pipeline: str
    environment: str
    commit: str
    execution: str | None
    digest: str | None
    state: State
    plan: str | None = None
    project: str | None = None

    def same_subject(self, other: "Marker") -> bool:
        """Whether both are about one pipeline in one environment: they share a comment."""
        ours = (self.project, self.pipeline, self.environment)
        return ours == (other.project, other.pipeline, other.environment)


_FIELDS = frozenset(field.name for field in fields_of(Marker))


def marker_of(report: Report) -> Marker:
    """Values too long for a marker are cut and told apart by a hash: a rendered marker has less
    than 800 characters, whatever a report says."""
    return Marker(
        pipeline=_short(report.pipeline, 80),
        environment=_short(report.environment, 80),
        commit=_short(report.trigger.commit, 64),
        execution=_short(report.execution.arn, 200) if report.execution else None,
        digest=_short(report.digest, 64) if report.digest else None,
        state=report.state,
        plan=_short(report.plan.digest, 64) if report.plan and report.plan.digest else None,
        project=short_project(report.project),
    )


def render_marker(marker: Marker) -> str:
    """One HTML comment. `--`, `<` and `>` are escaped in the JSON, so it ends where it should."""
    return f"<!-- sagemaker-gitops: {_escaped(_fields(marker))} -->"


def _escaped(line: str) -> str:
    for unsafe, safe in (("--", r"\u002d\u002d"), ("<", r"\u003c"), (">", r"\u003e")):
        line = line.replace(unsafe, safe)
    return line


def render_link_marker(marker: Marker) -> str:
    """The same without HTML: the definition of a link, its JSON in base64 without padding."""
    encoded = base64.urlsafe_b64encode(_fields(marker).encode()).decode()
    return f"[sagemaker-gitops]: #{encoded.rstrip('=')}"


def _fields(marker: Marker) -> str:
    later = {"plan", "project"}
    written = {name: value for name, value in asdict(marker).items() if value or name not in later}
    fields = {"v": VERSION, **written}
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)


def restate(body: str, state: State, *, note: str) -> str:
    """A comment's text with another state in its marker, and a line of Markdown below it.
    ValueError for a comment that is not ours."""
    marker = parse_marker(body)
    if marker is None:
        raise ValueError("the body of a comment begins with its marker")
    head, _, rest = body.lstrip().partition("\n")
    render = render_marker if head.startswith("<!--") else render_link_marker
    return f"{render(replace(marker, state=state))}\n\n{note}\n\n{rest.lstrip()}"


def parse_marker(body: str) -> Marker | None:
    """The marker a comment begins with; None for a comment that is not ours or of a version
    that this program does not know. Members that came later are left out."""
    line = _written(body)
    if line is None:
        return None
    try:
        fields = json.loads(line)
        if fields.pop("v") != VERSION:
            return None
        fields["state"] = State(fields["state"])
        marker = Marker(**{name: fields[name] for name in fields if name in _FIELDS})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    required = (marker.pipeline, marker.environment, marker.commit)
    optional = (marker.execution, marker.digest, marker.plan, marker.project)
    well_formed = all(isinstance(value, str) for value in required) and all(
        value is None or isinstance(value, str) for value in optional
    )
    return marker if well_formed else None


def _written(body: str) -> str | None:
    """The JSON of either form."""
    found = _LINE.match(body)
    if found:
        return found[1]
    found = _DEFINITION.match(body)
    if found is None:
        return None
    try:
        padded = found[1] + "=" * (-len(found[1]) % 4)
        return base64.urlsafe_b64decode(padded).decode("utf-8")
    except (binascii.Error, ValueError):
        return None


def short_project(place: str | None) -> str | None:
    """The place of a project file, as markers name it; None for the root's."""
    return _short(place, 100) if place else None


def _short(value: str, longest: int) -> str:
    """`value` where it takes at most `longest` characters of a marker."""
    value = value.encode("utf-8", "replace").decode()
    if len(_escaped(json.dumps(value, ensure_ascii=False))) - 2 <= longest:
        return value
    plain = _UNSAFE.sub("_", value)[: longest - 17]
    return f"{plain}~{hashlib.sha256(value.encode()).hexdigest()[:16]}"
