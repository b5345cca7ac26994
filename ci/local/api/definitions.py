"""Which definitions the local endpoint takes: those SageMaker would take, with steps it can run."""

import urllib.error
import urllib.parse
import urllib.request

from ci.definition.model import Definition
from ci.errors import DefinitionError
from ci.local.api.extent import refused_settings
from ci.local.context import ApiError, Context
from ci.local.store import Document

SUPPORTED_STEPS = (
    "Processing",
    "Training",
    "Condition",
    "RegisterModel",
    "Model",
    "Lambda",
    "Fail",
)

_MOST_BYTES = 1024 * 1024
_S3_SECONDS = 30


def read_definition(context: Context, request: Document) -> str | None:
    """The definition a request gives, checked; None where it gives none.

    Raises ApiError (ValidationException) with every problem found.
    """
    text, location = request.get("PipelineDefinition"), request.get("PipelineDefinitionS3Location")
    if text is not None and location is not None:
        raise ApiError(
            "ValidationException",
            "Only one of PipelineDefinition and PipelineDefinitionS3Location can be specified",
        )
    if location is not None:
        text = _fetch(context, location)
    if text is None:
        return None
    check(text)
    return str(text)


def parse(text: str) -> Definition:
    """The definition as values. Raises ApiError (ValidationException) where it is none."""
    from ci.definition.parse import parse_definition

    try:
        return parse_definition(text.encode())
    except DefinitionError as error:
        message = f"Unable to parse pipeline definition. {error}"
        raise ApiError("ValidationException", message) from error


def check(text: str) -> None:
    from ci.definition.validate import find_problems

    definition = parse(text)
    refused = _unsupported(definition)
    if refused:
        raise ApiError("ValidationException", refused)
    problems = find_problems(definition)
    if problems:
        listed = "; ".join(f"{problem.path}: {problem.message}" for problem in problems)
        message = f"Pipeline definition is invalid ({len(problems)} found): {listed}"
        raise ApiError("ValidationException", message)


def _unsupported(definition: Definition) -> str:
    refused = [
        f"step '{step.name}' at {step.path} has type '{step.type}'"
        for step in definition.walk()
        if step.type not in SUPPORTED_STEPS
    ]
    refused += refused_settings(definition)
    if not refused:
        return ""
    return (
        f"The local endpoint cannot run this definition: {'; '.join(refused)}."
        f" It runs {', '.join(SUPPORTED_STEPS)}. Run this pipeline on AWS (without --local),"
        " or leave these steps out of the local environment."
    )


def _fetch(context: Context, location: Document) -> str:
    place = f"s3://{location['Bucket']}/{location['ObjectKey']}"
    url = f"{context.address}/{location['Bucket']}/{urllib.parse.quote(location['ObjectKey'])}"
    if "VersionId" in location:
        url += "?" + urllib.parse.urlencode({"versionId": location["VersionId"]})
    try:
        with urllib.request.urlopen(url, timeout=_S3_SECONDS) as answer:  # noqa: S310 - loopback
            content: bytes = answer.read(_MOST_BYTES + 1)
    except OSError as error:
        message = f"Unable to read the pipeline definition at {place}: {error}"
        raise ApiError("ValidationException", message) from error
    if len(content) > _MOST_BYTES:
        message = f"The pipeline definition at {place} is larger than {_MOST_BYTES} bytes"
        raise ApiError("ValidationException", message)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        message = f"The pipeline definition at {place} is not UTF-8: {error}"
        raise ApiError("ValidationException", message) from error
