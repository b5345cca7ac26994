"""A document that the schema accepts, as a Project; and what the schema cannot say against it."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ci.metrics.model import ChangeUnit, Gate, Goal, MetricSource, Origin
from ci.project import document as yaml_document
from ci.project.document import Document, Problem
from ci.project.durations import parse_duration
from ci.project.model import (
    ArtifactStore,
    CommentPolicy,
    CompileMode,
    DefinitionSource,
    Environment,
    ForgeKind,
    ForgeSettings,
    LocalSettings,
    ModuleSource,
    OnApproved,
    OnCancel,
    OnRejected,
    OnUnreviewed,
    Pipeline,
    Project,
    ReportSettings,
    TokenSource,
)
from ci.project.names import check_template, template_fields
from ci.project.validate import nearest

Values = Mapping[str, Any]
Place = yaml_document.Path
_T = TypeVar("_T")

DEFAULT_ENVIRONMENTS: Mapping[str, Mapping[str, object]] = {
    "main": {"pipeline_name": "{pipeline}", "on_cancel": "detach"},
    "pull_request": {"pipeline_name": "{pipeline}-pr-{pull_request}", "on_cancel": "stop"},
}
# Of a tag's key and of its value, as AddTags takes them: Unicode's letters and digits count.
_TAG = re.compile(r"[\w .:/=+@-]*")
_ORIGINS = {
    "property_file": Origin.PROPERTY_FILE,
    "model_package": Origin.MODEL_PACKAGE,
    "training_step": Origin.TRAINING_JOB,
    "s3": Origin.S3,
}


def build_project(document: Document, file: Path) -> Project:
    """The project; what is wrong beyond the schema is added to `document.problems`."""
    data: Values = document.data  # type: ignore[assignment]  # the schema says so
    builder = _Builder(document, file.parent)
    pipelines = {name: builder.pipeline(name, raw) for name, raw in data["pipelines"].items()}
    environments = builder.environments(data.get("environments", {}))
    builder.check_names(pipelines, environments)
    return Project(
        file=file,
        root=file.parent,
        pipelines=pipelines,
        environments=environments,
        region=data.get("region"),
        role=data.get("role"),
        artifacts=ArtifactStore(**data.get("artifacts", {})),
        local=LocalSettings(
            images=tuple(
                (pattern, _absolute(file.parent, folder))
                for pattern, folder in data.get("local", {}).get("images", {}).items()
            )
        ),
        report=builder.report(data.get("report", {})),
        forge=builder.forge(data.get("forge", {})),
    )


def _absolute(root: Path, relative: str) -> Path:
    # Not resolved: an environment's bin/python is a link, and leads out of the environment.
    return Path(*(root / Path(relative).expanduser()).parts)


class _Builder:
    def __init__(self, document: Document, root: Path) -> None:
        self._document = document
        self._root = root

    def _problem(self, path: Place, what: str, fix: str | None = None) -> None:
        self._document.problems.append(Problem(self._document.at(path), what, fix))

    def _attempt(self, path: Place, read: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return read()
        except ValueError as error:
            self._problem(path, f"`{path[-1]}`: {error}")
            return otherwise

    def pipeline(self, name: str, raw: Values) -> Pipeline:
        path: Place = ("pipelines", name)
        metrics = tuple(
            self._metric((*path, "metrics", index), each)
            for index, each in enumerate(raw.get("metrics", []))
        )
        self._unique_names(path, metrics)
        folder = raw.get("working_directory")
        return Pipeline(
            name=name,
            source=self._source(path, raw),
            line=self._document.at(path).line,
            kwargs=raw.get("kwargs", {}),
            python=self._python(raw.get("python")),
            working_directory=None if folder is None else _absolute(self._root, folder),
            compile=CompileMode(raw.get("compile", "hermetic")),
            pass_environment=tuple(raw.get("pass_environment", ())),
            paths=tuple(raw.get("paths", ())),
            parameters=self._parameters(path, raw),
            model_package_group=raw.get("model_package_group"),
            champion=raw.get("champion"),
            endpoint=raw.get("endpoint"),
            metrics=metrics,
            gates=tuple(
                self._gate((*path, "gates", index), each, metrics)
                for index, each in enumerate(raw.get("gates", []))
            ),
        )

    def report(self, raw: Values) -> ReportSettings:
        prices = raw.get("prices") or None
        if prices is not None:
            file = _absolute(self._root, prices)
            self._file(("report", "prices"), file, prices)
            prices = file
        comment = CommentPolicy(raw.get("comment", "update"))
        return ReportSettings(**{**raw, "prices": prices, "comment": comment})

    def forge(self, raw: Values) -> ForgeSettings:
        token = raw.get("token")
        if token is not None and "key" in token and "secret" not in token:
            what = "`key` has no meaning beside `parameter`: a parameter is the token"
            self._problem(("forge", "token", "key"), what, "remove it")
        return ForgeSettings(
            kind=ForgeKind(raw["kind"]) if "kind" in raw else None,
            repository=raw.get("repository"),
            api_url=raw.get("api_url"),
            token=None if token is None else TokenSource(**token),
        )

    def _source(self, path: Place, raw: Values) -> ModuleSource | DefinitionSource:
        if "definition" in raw:
            for key in ("python", "kwargs", "compile", "pass_environment", "working_directory"):
                if key in raw:
                    what = f"`{key}` has no meaning beside `definition`: nothing is compiled"
                    self._problem((*path, key), what, "remove it")
            file = _absolute(self._root, raw["definition"])
            self._file((*path, "definition"), file, raw["definition"])
            return DefinitionSource(file=file)
        text, _, function = raw["source"].rpartition(":")
        file = _absolute(self._root, text)
        self._file((*path, "source"), file, text)
        return ModuleSource(file=file, function=function)

    def _file(self, path: Place, file: Path, text: str) -> None:
        if not file.is_file():
            what = f"`{path[-1]}` names `{text}`, and there is no such file"
            self._problem(path, what, "paths count from the folder of this file")

    def _python(self, text: str | None) -> str | None:
        """A bare command is looked up on PATH; anything with a slash is a path."""
        if text is None or "/" not in text:
            return text
        return str(_absolute(self._root, text))

    def _metric(self, path: Place, raw: Values) -> MetricSource:
        named = [key for key in _ORIGINS if key in raw]
        if len(named) > 1:
            self._problem((*path, named[1]), f"`{named[0]}` and `{named[1]}` exclude each other")
        origin = named[0] if named else "property_file"
        reference = raw.get(origin)
        return MetricSource(
            name=raw["name"],
            origin=_ORIGINS[origin],
            path=raw["path"],
            reference=reference if isinstance(reference, str) else None,
            champion_path=raw.get("champion_path"),
            goal=Goal(raw.get("goal", "minimize")),
            unit=raw.get("unit"),
        )

    def _unique_names(self, path: Place, metrics: tuple[MetricSource, ...]) -> None:
        names = [metric.name for metric in metrics]
        for index, name in enumerate(names):
            if name in names[:index]:
                self._problem(
                    (*path, "metrics", index, "name"), f"the metric `{name}` stands twice"
                )

    def _gate(self, path: Place, raw: Values, metrics: tuple[MetricSource, ...]) -> Gate:
        names = [metric.name for metric in metrics]
        if raw["metric"] not in names:
            guess = nearest(raw["metric"], names)
            hint = f"; did you mean `{guess}`?" if guess else ""
            what = f"there is no metric `{raw['metric']}` in this pipeline{hint}"
            self._problem(
                (*path, "metric"), what, f"metrics: {names}" if names else "add it to metrics"
            )
        minimum, maximum = raw.get("minimum"), raw.get("maximum")
        if minimum is not None and maximum is not None and minimum > maximum:
            self._problem((*path, "minimum"), f"minimum {minimum} is above maximum {maximum}")
        change, unit = _change(raw.get("improve_by"))
        return Gate(
            metric=raw["metric"],
            minimum=minimum,
            maximum=maximum,
            improve_by=change,
            improve_unit=unit,
            required=raw.get("required", True),
        )

    def check_names(
        self, pipelines: Mapping[str, Pipeline], environments: Mapping[str, Environment]
    ) -> None:
        """Two pipelines never deploy under one name; a pull request never under a shared one."""
        first: dict[str, str] = {}
        for name in pipelines:
            other = first.setdefault(name.replace("_", "-"), name)
            if other != name:
                what = f"`{other}` and `{name}` would be deployed under one name"
                self._problem(("pipelines", name), what, "names differ in more than _ and -")
        for name, environment in environments.items():
            path: Place = ("environments", name, "pipeline_name")
            try:
                fields = template_fields(environment.pipeline_name)
            except ValueError:
                continue
            if len(pipelines) > 1 and "pipeline" not in fields:
                self._problem(
                    path, "every pipeline would be deployed under one name", "add {pipeline}"
                )
            if name == "pull_request" and not {"pull_request", "branch"} & set(fields):
                what = "pull requests would deploy over each other"
                self._problem(path, what, 'pipeline_name: "{pipeline}-pr-{pull_request}"')

    def environments(self, raw: Values) -> dict[str, Environment]:
        """`main` and `pull_request` first, then the named ones in the order of the file."""
        names = [*DEFAULT_ENVIRONMENTS, *(name for name in raw if name not in DEFAULT_ENVIRONMENTS)]
        return {name: self._environment(name, raw.get(name, {})) for name in names}

    def _tags(self, path: Place, tags: Mapping[str, str]) -> Mapping[str, str]:
        """AddTags would refuse what it does not take when the pipeline is deployed already."""
        for key, value in tags.items():
            wrong = next((text for text in (key, value) if not _TAG.fullmatch(text)), None)
            if wrong is not None:
                what = f"the tag {wrong!r} holds a character that AWS does not take in tags"
                self._problem(
                    (*path, "tags", key), what, "letters, digits, spaces and _ . : / = + - @"
                )
        return tags

    def _parameters(self, path: Place, raw: Values) -> dict[str, str | int | float | bool]:
        """To SageMaker each value is text: a number is the text that was written."""
        given: Values = raw.get("parameters", {})
        texts = self._document.texts
        return {key: texts.get((*path, "parameters", key)) or given[key] for key in given}

    def _environment(self, name: str, raw: Values) -> Environment:
        path: Place = ("environments", name)
        default = {"pipeline_name": "{pipeline}-{environment}", "on_cancel": "detach"}
        settled = {**default, **DEFAULT_ENVIRONMENTS.get(name, {}), **raw}
        template = settled["pipeline_name"]
        self._attempt((*path, "pipeline_name"), lambda: check_template(template), None)
        deadline: float | None = None
        if "deadline" in raw:
            text = raw["deadline"]
            deadline = self._attempt((*path, "deadline"), lambda: parse_duration(text), None)
        return Environment(
            name=name,
            pipeline_name=template,
            role=raw.get("role"),
            region=raw.get("region"),
            endpoint=raw.get("endpoint"),
            kwargs=raw.get("kwargs", {}),
            parameters=self._parameters(path, raw),
            tags=self._tags(path, raw.get("tags", {})),
            run=raw.get("run", True),
            require_approval=raw.get("require_approval", False),
            touches_production=raw.get("touches_production", False),
            deadline=deadline,
            on_cancel=OnCancel(settled["on_cancel"]),
            on_unreviewed=OnUnreviewed(raw.get("on_unreviewed", "warn")),
            on_approved=OnApproved(raw.get("on_approved", "nothing")),
            on_rejected=OnRejected(raw.get("on_rejected", "nothing")),
            parallelism=raw.get("parallelism"),
        )


def _change(value: str | float | None) -> tuple[float | None, ChangeUnit]:
    if isinstance(value, str):
        return float(value.rstrip("% ")), ChangeUnit.PERCENT
    return value, ChangeUnit.ABSOLUTE
