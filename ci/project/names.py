"""Deployed names: templates filled in, made safe for SageMaker, and still different when cut."""

import hashlib
import re
import string
from collections.abc import Mapping
from typing import Final

# Before the key of every tag and metadata entry that this program writes.
OWN: Final = "sagemaker-gitops:"

# Pipelines may have 256 characters; execution display names and job names that derive from a
# pipeline's name may not, so that one bound holds everywhere.
LONGEST_NAME = 82
FIELDS = ("pipeline", "environment", "branch", "pull_request")
_HASH = 8


def check_template(template: str) -> None:
    """ValueError, in words, for a template with an unknown or a formatted field."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"`{template}` is no template: {error}") from None
    for _, name, form, conversion in parts:
        if name is not None and (name not in FIELDS or form or conversion):
            allowed = ", ".join("{" + each + "}" for each in FIELDS)
            raise ValueError(f"`{{{name}}}` is not filled in; there are {allowed}")


def template_fields(template: str) -> tuple[str, ...]:
    """The fields that a template names, in order."""
    return tuple(name for _, name, _, _ in string.Formatter().parse(template) if name)


def fill_template(template: str, values: Mapping[str, str]) -> str:
    """The template with its fields filled in, as a safe name.

    Names of pipelines and environments may have underscores, which SageMaker's may not; they
    become hyphens (the project file is refused where two pipelines would meet by that).
    """
    own = {name: values[name].replace("_", "-") for name in ("pipeline", "environment")}
    return safe_name(template.replace("_", "-").format_map(_Hyphened({**values, **own})))


class _Hyphened(dict[str, str]):
    """`{pull-request}`, as a template reads after its underscores became hyphens."""

    def __missing__(self, key: str) -> str:
        return self[key.replace("-", "_")]


def safe_name(text: str, *, longest: int = LONGEST_NAME) -> str:
    """`text` in the form `[a-zA-Z0-9](-*[a-zA-Z0-9])*`, at most `longest` characters.

    A text that already is such a name is returned as it is. Any other loses characters, and
    carries eight hex digits of the hash of the whole, so that different texts stay different.
    """
    kept = re.sub(r"[^a-zA-Z0-9-]+", "-", text).strip("-")
    if kept == text and 0 < len(kept) <= longest:
        return kept
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]
    head = kept[: longest - _HASH - 1].rstrip("-")
    return f"{head}-{digest}" if head else digest
