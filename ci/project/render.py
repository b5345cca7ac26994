"""The project file and the workflows that `init` writes. Pure but for the package's own files."""

import json
import re
from collections.abc import Iterator, Sequence
from importlib import resources

from ci.project.discover import Found
from ci.project.document import parse_document

SCHEMA_LINE = "# yaml-language-server: $schema="
WORKFLOWS = (
    "pull-request",
    "main",
    "closed",
    "fork-plan",
    "fork-comment",
    "chat",
    "approvals-sync",
    "drift",
)
# What may stand in the place of main: its reviewers approve the model.
REVIEWED_MAIN = "approval"
PLACEHOLDER = "your-org/sagemaker-gitops@0000000000000000000000000000000000000000"
_COMPILING = frozenset({"pull-request", "main", "fork-plan", "chat", "drift", REVIEWED_MAIN})
_STEP = re.compile(
    rf"(?P<head>      - (?:id: \w+\n        )?uses: {PLACEHOLDER}.*\n        with:\n)"
    r"(?P<settings>(?:          .*\n)*)"
)


def render_project(
    found: Sequence[Found],
    *,
    region: str | None,
    role: str | None,
    schema: str,
    python: str | None = None,
) -> str:
    """A project file for the pipelines that were found, with what is missing as remarks. `python`
    is the repository's own, which has the SDK."""
    return "\n".join(_project(found, region, role, schema, python)) + "\n"


def _project(
    found: Sequence[Found], region: str | None, role: str | None, schema: str, python: str | None
) -> Iterator[str]:
    yield SCHEMA_LINE + schema
    yield "version: 1"
    yield f"region: {region}" if region else "# region: us-east-1  # default: AWS_REGION"
    if role:
        yield f"role: {role}"
    else:
        yield "# The execution role of the pipelines; needed to deploy."
        yield "# role: arn:aws:iam::123456789012:role/NAME"
    if python is None and any(pipeline.function is not None for pipeline in found):
        yield "# validate --compile asks for a Python with the SageMaker SDK: the active virtual"
        yield "# environment, else python3; another one is named by --python, or in a pipeline by"
        yield "# python: .venv/bin/python"
    yield "pipelines:"
    for pipeline in found:
        yield from _pipeline(pipeline, python)
    yield from _pull_requests(found)


def _pull_requests(found: Sequence[Found]) -> Iterator[str]:
    """Names of their own, for the arguments that name what is production's. An environment's
    arguments go to every pipeline: only those that all of them take are written."""
    taken = [{name for name, _ in pipeline.named} for pipeline in found]
    common = set.intersection(*taken) if taken else set()
    if common:
        yield "environments:"
        yield "  pull_request:"
        yield "    # Pull requests run apart from production: their models and endpoints too."
        yield "    kwargs:"
        for name in sorted(common):
            yield f'      {name}: "{{pipeline}}-pr-{{pull_request}}"'


def _pipeline(pipeline: Found, python: str | None) -> Iterator[str]:
    yield f"  {_key(pipeline.name)}:"
    kind = "definition" if pipeline.function is None else "source"
    yield f"    {kind}: {_scalar(pipeline.source)}"
    if python is not None and pipeline.function is not None:
        yield f"    python: {_scalar(python)}"
    folder = pipeline.file.rpartition("/")[0]
    if pipeline.function is None:
        yield f"    paths: [{_scalar(pipeline.file)}]"
    elif folder:
        paths = ", ".join(map(_scalar, (f"{folder}/**", *pipeline.imports)))
        yield f"    paths: [{paths}]"
    if pipeline.needed:
        yield f"    # {pipeline.function} has arguments without a default: give them here."
        yield "    kwargs:"
        for name in pipeline.needed:
            yield f"      {_key(name)}: CHANGE-ME"
    if pipeline.group:
        yield f"    model_package_group: {_scalar(pipeline.group)}"
    if pipeline.metrics:
        yield "    metrics:"
        for metric in pipeline.metrics:
            yield f"      - name: {_scalar(metric.name)}"
            yield f"        property_file: {_scalar(metric.property_file)}"
            yield f"        path: {_scalar(metric.path)}"


def _key(name: str) -> str:
    """A name as a key: in quotes only where YAML would not read it as text."""
    return name if not parse_document(f"{name}: 1").problems else json.dumps(name)


def _scalar(text: str) -> str:
    """Text in quotes: a name like `no` or `1e3` stays text."""
    return json.dumps(text, ensure_ascii=False)


def render_workflow(name: str, *, action: str, branch: str, sdk: str | None = None) -> str:
    """One of WORKFLOWS, or REVIEWED_MAIN, for this repository's default branch and the action as
    it is reached. `sdk` is what uv installs for the Python that compiles modules."""
    text = _packaged("workflows", f"{name}.yml")
    if sdk is not None and name in _COMPILING:
        text = _STEP.sub(lambda step: _with_sdk(step, sdk), text)
    text = text.replace(f"{PLACEHOLDER} # the release you chose", action)
    return text.replace("branches: [main]", f"branches: [{_branch(branch)}]")


def _with_sdk(step: re.Match[str], sdk: str) -> str:
    if "command: approve" in step["settings"]:
        return step[0]
    return (
        "      - name: Python with the SageMaker SDK\n"
        "        run: |\n"
        '          python3 -m venv "$RUNNER_TEMP/sdk"\n'
        '          "$RUNNER_TEMP/sdk/bin/python" -m pip install --quiet uv\n'
        '          "$RUNNER_TEMP/sdk/bin/uv" pip install --quiet --python "$RUNNER_TEMP/sdk"'
        f" {sdk}\n"
        f"{step['head']}          python: ${{{{ runner.temp }}}}/sdk/bin/python\n"
        f"{step['settings']}"
    )


def render_schema() -> str:
    """The schema that the project file's first line names, for editors."""
    return _packaged("schema.json")


def _branch(name: str) -> str:
    """A branch in a workflow's filter, where these characters would be a pattern."""
    escaped = re.sub(r"([*?+\[\]!\\])", r"\\\1", name)
    return escaped if re.fullmatch(r"[a-z][a-z0-9/-]*", escaped) else _scalar(escaped)


def _packaged(*path: str) -> str:
    return resources.files("ci.project").joinpath(*path).read_text(encoding="utf-8")
