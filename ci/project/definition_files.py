"""Finds the pipeline definitions of a repository, and what a project file has to say of them."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ci.project.document import walk
from ci.project.imports import LARGEST_SOURCE

ENDINGS = (".json", ".yaml", ".yml")
_VERSION = "2020-12-01"
_GROUP = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


def read_definition(file: Path) -> Mapping[str, Any] | None:
    """The document; None for a file that is no definition, or cannot be read as one."""
    try:
        if not file.is_file() or file.stat().st_size > LARGEST_SOURCE:
            return None
        text = file.read_text(encoding="utf-8")
        if _VERSION not in text or "Steps" not in text:
            return None
        document: object = json.loads(text) if file.suffix == ".json" else _yaml(text)
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or str(document.get("Version")) != _VERSION:
        return None
    return document if isinstance(document.get("Steps"), list) else None


def group_of(document: Mapping[str, Any]) -> str | None:
    """The model package group that it registers into, where it names one outright."""
    for path, value in walk(document):
        if path and path[-1] == "ModelPackageGroupName" and isinstance(value, str):
            return value if _GROUP.fullmatch(value) else None
    return None


def conditions_of(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What its conditions read: a property file's name, and the path in it."""
    for path, value in walk(document):
        if path and path[-1] == "Std:JsonGet" and isinstance(value, dict):
            read, place = value.get("PropertyFile"), value.get("Path")
            file = read.get("Get") if isinstance(read, dict) else None
            if isinstance(file, str) and isinstance(place, str):
                yield file.rpartition(".")[2], place


def _yaml(text: str) -> object:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
