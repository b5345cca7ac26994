"""Decides at which lines of the repository a report's remarks stand."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ci.errors import GitOpsError
from ci.forge.marks import Annotation, Level
from ci.metrics.model import GateOutcome
from ci.metrics.steps import failed_steps
from ci.posting.place import Place
from ci.project.document import Document, parse_document
from ci.project.model import DefinitionSource, Pipeline, Project
from ci.report.model import Report
from ci.report.words import why_failed
from ci.text.clean import clean, cut

_MOST = 200
_MESSAGE = 4_000
_TITLE = 200
_PLACE = re.compile(r"(?P<file>[^:\n]+):(?P<line>[1-9][0-9]{0,6})(?![0-9])")
_LARGEST = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The files that a pipeline comes from: the project file as read, and its own source. Paths
    count from the repository's root; None for what is not in it."""

    project_file: str | None
    document: Document
    source_file: str | None
    source: str


def read_texts(project: Project, pipeline: Pipeline, place: Place) -> Texts:
    """What cannot be read holds no lines."""
    return Texts(
        project_file=place.below(project.file),
        document=parse_document(_text(project.file)),
        source_file=place.below(pipeline.source.file),
        source=_text(pipeline.source.file),
    )


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(_LARGEST).decode("utf-8", "replace")
    except OSError:
        return ""


def annotate(report: Report, pipeline: Pipeline, texts: Texts) -> tuple[Annotation, ...]:
    """Failed steps where the source names them, gates and remarks where the project file has
    them."""
    found = [*_steps(report, texts), *_gates(report, pipeline, texts), *_remarks(report, texts)]
    return tuple(dict.fromkeys(found))[:_MOST]


def _steps(report: Report, texts: Texts) -> Iterator[Annotation]:
    for step in failed_steps(report.execution) if report.execution else ():
        line = _line_of(step.name, texts.source)
        file = texts.source_file if line else texts.project_file
        yield from _remark(
            file,
            line or _project_line(texts, "pipelines", report.pipeline),
            Level.FAILURE,
            f"Step {step.name} failed",
            why_failed(report, step) or "SageMaker tells no reason.",
        )


def _line_of(step: str, source: str) -> int | None:
    """The line of the first text that is the step's name. SDK v2 adds to the name of a model
    step (`Register-RegisterModel`)."""
    for name in (step, step.rpartition("-")[0]):
        found = re.search(rf"""(["']){re.escape(name)}\1""", source) if name else None
        if found:
            return source.count("\n", 0, found.start()) + 1
    return None


def _gates(report: Report, pipeline: Pipeline, texts: Texts) -> Iterator[Annotation]:
    failed = {GateOutcome.FAILED, GateOutcome.UNKNOWN}
    for result in report.verdict.gates if report.verdict else ():
        if result.outcome not in failed:
            continue
        place = pipeline.gates.index(result.gate) if result.gate in pipeline.gates else 0
        line = _project_line(texts, "pipelines", pipeline.name, "gates", place)
        level = Level.FAILURE if result.gate.required else Level.WARNING
        title = f"Gate on {result.gate.metric} failed"
        yield from _remark(texts.project_file, line, level, title, result.reason)


def _remarks(report: Report, texts: Texts) -> Iterator[Annotation]:
    line = _project_line(texts, "pipelines", report.pipeline)
    for problem in report.problems:
        yield from _remark(texts.project_file, line, Level.WARNING, report.pipeline, problem)


def _project_line(texts: Texts, *path: str | int) -> int:
    return texts.document.at(path).line


def annotate_error(
    error: GitOpsError, project: Project, pipeline: Pipeline, place: Place
) -> tuple[Annotation, ...]:
    """What ended a run before anything was started, at the line that the error names, else where
    the project file has the pipeline."""
    problems = getattr(error, "problems", ())
    if problems:
        file = place.below(Path(str(getattr(error, "file", project.file))))
        marks = (
            _remark(file, each.mark.line, Level.FAILURE, type(error).__name__, each.what)
            for each in islice(problems, _MOST)
        )
        return tuple(remark for remarks in marks for remark in remarks)
    message = "\n".join(part for part in (error.what, error.why, error.fix) if part)
    named = _named_line(error.where or "", _folders(project, pipeline, place), place)
    file, line = named or (place.below(project.file), pipeline.line)
    return tuple(_remark(file, line, Level.FAILURE, type(error).__name__, message))


def _folders(project: Project, pipeline: Pipeline, place: Place) -> tuple[Path, ...]:
    source = pipeline.source
    own = () if isinstance(source, DefinitionSource) else (source.file.parent,)
    return (project.root, *own, place.root)


def _named_line(where: str, folders: Iterable[Path], place: Place) -> tuple[str, int] | None:
    found = _PLACE.search(where)
    if found is None:
        return None
    for folder in folders:
        file = folder / found["file"].strip()
        path = place.below(file)
        if path is not None and file.is_file():
            return path, int(found["line"])
    return None


def _remark(
    file: str | None, line: int, level: Level, title: str, message: str
) -> Iterator[Annotation]:
    if file is None:
        return
    yield Annotation(
        path=file,
        line=line,
        level=level,
        title=cut(clean(title), _TITLE),
        message=cut(clean(message, lines=True), _MESSAGE).strip() or clean(title),
    )
