"""YAML that people wrote for their CI, read as far as it goes: what has another kind counts as
empty."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ci.project.durations import parse_duration

Document = Mapping[str, Any]


def read(file: Path) -> tuple[Document | None, str | None]:
    import yaml

    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        return None, f"it cannot be read: {' '.join(str(error).split())[:200]}"
    return (document, None) if isinstance(document, Mapping) else (None, "it is no mapping")


def steps(job: Document) -> list[Document]:
    steps = job.get("steps")
    return [each for each in steps if isinstance(each, Mapping)] if isinstance(steps, list) else []


def mapping(value: object) -> Document:
    return value if isinstance(value, Mapping) else {}


def names(value: object) -> frozenset[str]:
    if isinstance(value, str):
        return frozenset({value})
    return frozenset(map(str, value)) if isinstance(value, list | Mapping) else frozenset()


def seconds(value: object) -> float | None:
    try:
        return parse_duration(str(value)) if value not in (None, "") else None
    except ValueError:
        return None
