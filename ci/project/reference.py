"""The reference page of the project file, from its schema. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_SECTIONS = (
    ("pipelines.<name>", "pipeline"),
    ("pipelines.<name>.metrics[]", "metric"),
    ("pipelines.<name>.gates[]", "gate"),
    ("environments.<name>", "environment"),
    ("forge.token", "token"),
)
_NESTED = ("artifacts", "report", "forge", "local")
_INTRODUCTION = """\
# The project file

`sagemaker-gitops.yaml` stands at the root of the repository. Editors that know YAML schemas
complete it when its first line names the schema, as `sagemaker-gitops init` writes it.
`sagemaker-gitops validate` tells everything that is wrong with it at once, with line and column.
Paths count from the folder of the file.

YAML 1.1 and 1.2 read some plain values differently (`no`, `on`, `1e3`, `010`, `1_000`, `12:30`).
They are refused: write `"no"` or `false`, `"1e3"` or `1000.0`.

What the command line says goes before what the environment says, and that before the pipeline's.
"""


def render_reference(schema: Schema) -> str:
    """A page in Markdown: one table for each mapping of the file."""
    lines = [_INTRODUCTION, *_table("Top level", schema)]
    for name in _NESTED:
        lines += _table(f"`{name}`", schema["properties"][name])
    for title, name in _SECTIONS:
        lines += _table(f"`{title}`", schema["$defs"][name])
    return "\n".join(lines).rstrip() + "\n"


def _table(title: str, schema: Schema) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| key | takes | means |"
    yield "|---|---|---|"
    required = set(schema.get("required", ()))
    for name, field in schema["properties"].items():
        mark = " (required)" if name in required else ""
        yield f"| `{name}`{mark} | {_takes(field)} | {_means(field)} |"
    yield from _choices(schema)
    yield ""


def _choices(schema: Schema) -> Iterator[str]:
    for rule, words in (("oneOf", "Exactly one"), ("anyOf", "At least one")):
        names = [f"`{branch['required'][0]}`" for branch in schema.get(rule, ())]
        if names:
            yield f"\n{words} of {', '.join(names)} is needed."


def _takes(field: Schema) -> str:
    if "anyOf" in field:
        return " or ".join(_takes(each) for each in field["anyOf"])
    if "enum" in field:
        return " or ".join(f"`{choice}`" for choice in field["enum"])
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "$ref" in field:
        name = str(field["$ref"]).rpartition("/")[2]
        return {"role": "ARN of a role", "region": "region"}.get(name, f"mapping ({name})")
    kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
    names = {"object": "mapping", "array": "list", "string": "text", "integer": "whole number"}
    return " or ".join(names.get(kind, str(kind)) for kind in kinds)


def _means(field: Schema) -> str:
    parts = [field["description"].replace("|", "\\|").replace("<", "&lt;")]
    if "default" in field:
        parts.append(f"Default: `{json.dumps(field['default'])}`.")
    if "examples" in field:
        example = json.dumps(field["examples"][0], ensure_ascii=False).replace("|", "\\|")
        parts.append(f"Example: `{example}`")
    return " ".join(parts)
