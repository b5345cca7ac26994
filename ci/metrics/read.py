"""Reads one metric out of a document: a finite number, or a sentence that says why there is none.

The model-quality format of SageMaker is known: its groups (`regression_metrics`,
`binary_classification_metrics`, ...) hold objects `{"value": number, "standard_deviation": ...}`.
A path may end at such an object, and a bare name (`rmse`) is looked up in every group.
Source: the model quality statistics of SageMaker Model Monitor and `ModelMetrics.ModelQuality`.
"""

import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from ci.metrics.model import MetricSource, MetricValue, Origin

_BARE_NAME = re.compile(r"[A-Za-z_][\w\-:/.@% ]*\Z")
_GROUP = re.compile(r"\w+_metrics\Z")
_LEAVES = 2_000
_DEPTH = 32
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class _Reading:
    value: float | None
    problem: str | None = None
    found: bool = True


def parse_document(body: bytes) -> tuple[object, str | None]:
    """The JSON document in `body`, and what is wrong with it if anything.

    NaN and Infinity are taken in (Python's `json.dump` writes them), so that the message can
    say which metric holds one.
    """
    try:
        return json.loads(body.decode("utf-8-sig")), None
    except UnicodeDecodeError as error:
        return None, f"is not UTF-8 text (byte {error.start})"
    except json.JSONDecodeError as error:
        if not body.strip():
            return None, "is empty"
        return None, f"is not JSON (line {error.lineno}, column {error.colno}: {error.msg})"
    except (RecursionError, ValueError) as error:
        return None, f"cannot be read as JSON ({_cut(str(error))})"


def read_metrics(
    body: bytes, sources: Iterable[MetricSource], *, where: str
) -> tuple[MetricValue, ...]:
    """Every metric of one document. `where` names the document in problems (an S3 URI)."""
    document, problem = parse_document(body)
    if problem is not None:
        return tuple(unreadable(source, f"{where} {problem}") for source in sources)
    return tuple(read_metric(document, source) for source in sources)


def unreadable(source: MetricSource, problem: str, *, unmeasured: bool = False) -> MetricValue:
    """The metric of a document that could not be read at all."""
    return MetricValue(
        source=source, value=None, champion=None, problem=problem, unmeasured=unmeasured
    )


def read_metric(document: object, source: MetricSource) -> MetricValue:
    """The metric at `source.path`, and the champion's at `source.champion_path` if it is given.

    A champion that the document does not mention, or holds as null, is no problem: the first
    model has none. One that is there and is no finite number is told.
    """
    reading = _read(document, source.path, source.origin)
    champion = _Reading(None)
    if source.champion_path is not None:
        champion = _read(document, source.champion_path, source.origin)
        if not champion.found:
            champion = _Reading(None)
    return MetricValue(
        source=source,
        value=reading.value,
        champion=champion.value,
        problem=reading.problem,
        champion_problem=champion.problem,
    )


def with_champion(metric: MetricValue, document: object) -> MetricValue:
    """`metric` with the champion's value from the champion's own document, at the same path.

    Left alone where the evaluation itself measured the champion: same data beats same path.
    """
    if metric.champion is not None or metric.source.champion_path is not None:
        return metric
    reading = _read(document, metric.source.path, metric.source.origin)
    return replace(metric, champion=reading.value, champion_problem=reading.problem)


def _read(document: object, path: str, origin: Origin) -> _Reading:
    match origin:
        case Origin.TRAINING_JOB:
            return _read_final_metric(document, path)
        case Origin.PROPERTY_FILE | Origin.MODEL_PACKAGE | Origin.S3:
            return _read_path(document, path)
        case _:
            assert_never(origin)


def _read_final_metric(document: object, name: str) -> _Reading:
    """`FinalMetricDataList` of DescribeTrainingJob, or that list by itself."""
    if isinstance(document, Mapping):
        document = document.get("FinalMetricDataList", [])
    entries = document if isinstance(document, list | tuple) else []
    found = [entry for entry in entries if isinstance(entry, Mapping)]
    named = [entry for entry in found if entry.get("MetricName") == name]
    if named:
        return _number(named[-1].get("Value"), f"the training job's metric {name}")
    names = [str(entry.get("MetricName")) for entry in found]
    if not names:
        return _Reading(None, f"the training job reported no metrics, so no {name}", found=False)
    near = ", ".join(difflib.get_close_matches(name, names, n=3, cutoff=0.0))
    return _Reading(
        None, f"the training job reported no metric {name}; nearest: {near}", found=False
    )


def _read_path(document: object, path: str) -> _Reading:
    if path and not path.startswith("$") and _BARE_NAME.match(path):
        paths = _bare_name_paths(document, path)
        if not paths:
            return _missing(document, path)
        path = paths[0]
    return _read_jsonpath(document, path)


def _bare_name_paths(document: object, name: str) -> list[str]:
    if not isinstance(document, Mapping):
        return []
    if name in document:
        return [f"$[{json.dumps(name)}]"]
    return [
        f"$[{json.dumps(group)}][{json.dumps(name)}]"
        for group, metrics in document.items()
        if isinstance(group, str)
        and _GROUP.match(group)
        and isinstance(metrics, Mapping)
        and name in metrics
    ]


def _read_jsonpath(document: object, path: str) -> _Reading:
    import jsonpath

    if not isinstance(document, Mapping | list):
        return _Reading(None, f"the document holds {_kind(document)}, not an object", found=False)
    try:
        matches: Sequence[object] = jsonpath.findall(path, document)
    except (jsonpath.JSONPathError, RecursionError) as error:
        reason = next(iter(str(error).splitlines()), "")
        return _Reading(None, f"{_cut(path)} is not a JSONPath: {_cut(reason)}")
    if not matches:
        return _missing(document, path)
    if len(matches) > 1:
        problem = f"{_cut(path)} matches {len(matches)} values; make it name one"
        return _Reading(None, problem)
    return _match(matches[0], _cut(path))


def _match(found: object, where: str) -> _Reading:
    if isinstance(found, Mapping) and "value" in found:
        return _number(found["value"], f"{where}.value")
    if isinstance(found, Mapping | list):
        inside = ", ".join(leaf.removeprefix("$") for leaf, _ in _leaves(found)[:3])
        hint = f"; it holds {_cut(inside)}" if inside else ""
        return _Reading(None, f"{where} is {_kind(found)}, not a number{hint}")
    return _number(found, where)


def _number(value: object, where: str) -> _Reading:
    if value is None:
        return _Reading(None, f"{where} is null, not a number", found=False)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _Reading(None, f"{where} is {_kind(value)}, not a number")
    try:
        number = float(value)
    except OverflowError:
        return _Reading(None, f"{where} is a number too large to compare")
    if not math.isfinite(number):
        name = "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
        return _Reading(None, f"{where} is {name}, not a finite number")
    return _Reading(number)


def _missing(document: object, path: str) -> _Reading:
    leaves = [leaf for leaf, _ in _leaves(document)]
    if not leaves:
        problem = f"nothing at {_cut(path)}: the document holds no numbers"
        return _Reading(None, problem, found=False)
    wanted = path if path.startswith("$") else f"$.{path}"
    near = max(leaves, key=lambda leaf: difflib.SequenceMatcher(None, wanted, leaf).ratio())
    return _Reading(None, f"nothing at {_cut(path)}; nearest: {_cut(near)}", found=False)


def _leaves(node: object) -> list[tuple[str, float]]:
    """Paths of the numbers in `node`; the first two thousand, 32 levels deep, will do."""
    found: list[tuple[str, float]] = []
    for leaf in _walk(node, "$", 0):
        found.append(leaf)
        if len(found) >= _LEAVES:
            break
    return found


def _walk(node: object, path: str, depth: int) -> Iterator[tuple[str, float]]:
    if isinstance(node, int | float) and not isinstance(node, bool):
        yield path, node
    elif depth < _DEPTH and isinstance(node, Mapping):
        for key, child in node.items():
            plain = isinstance(key, str) and re.fullmatch(r"[A-Za-z_]\w*", key)
            yield from _walk(
                child, f"{path}.{key}" if plain else f"{path}[{json.dumps(key)}]", depth + 1
            )
    elif depth < _DEPTH and isinstance(node, list | tuple):
        for index, child in enumerate(node):
            yield from _walk(child, f"{path}[{index}]", depth + 1)


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"a boolean ({str(value).lower()})"
    if isinstance(value, str):
        return f"a string ({json.dumps(_cut(value), ensure_ascii=False)})"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return "an object" if isinstance(value, Mapping) else "a number"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
