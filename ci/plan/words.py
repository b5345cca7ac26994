"""The plan in words: what every rendering says alike."""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from ci.definition.references import as_reference, is_expression
from ci.plan.model import (
    MISSING,
    Baseline,
    Change,
    FileChange,
    Kind,
    Plan,
    StepChange,
    StepRun,
    Verdict,
)
from ci.plan.tree import naming_field, render_path

SIGNS = {Kind.ADDED: "+", Kind.REMOVED: "-", Kind.CHANGED: "~", Kind.RENAMED: "~"}
_MOST_NAMES = 6
_AROUND = 40
_SHORT = 80


def summary(plan: Plan) -> str:
    """One line: what changes, then what runs again and what the cache spares."""
    changed = "; ".join(part for part in (_changes(plan), _runs(plan)) if part)
    return f"{changed}." if changed else "Nothing changes."


BASELINES = {
    Baseline.DEPLOYED: "",
    Baseline.RECORDED: "Compared with a recorded bundle, not with what is deployed.",
    Baseline.NOTHING: "What is deployed is out of reach: everything is shown as if it were new.",
}


def _changes(plan: Plan) -> str:
    if plan.baseline is Baseline.NOTHING:
        return f"Not compared with what is deployed: {_count(len(plan.steps), 'step')}"
    if not plan.exists:
        return f"The pipeline is new: {_count(len(plan.steps), 'step')}"
    if plan.empty:
        return "Nothing changes"
    parts = [
        f"{_count(n, 'step') if first else n} {kind}"
        for first, (kind, n) in zip((True, *[False] * 5), _by_kind(plan.steps), strict=False)
    ]
    for changes, noun in (
        (plan.parameters, "parameter"),
        (plan.settings, "setting"),
        (plan.functions, "function"),
    ):
        if changes:
            parts.append(f"{_count(len(changes), noun)} {_common_kind(changes)}")
    return ", ".join(parts)


def differences(plan: Plan) -> Iterator[str]:
    """One line for each thing that differs, without values of code: `step Train changed:
    HyperParameters.depth`."""
    if not plan.exists:
        yield "the pipeline is not deployed"
        return
    for setting in plan.settings:
        values = {
            Kind.ADDED: shown(setting.new, _SHORT),
            Kind.REMOVED: f"was {shown(setting.old, _SHORT)}",
        }
        both = f"{shown(setting.old, _SHORT)} -> {shown(setting.new, _SHORT)}"
        yield f"{visible(setting.name)} {setting.kind}: {values.get(setting.kind, both)}"
    for parameter in plan.parameters:
        yield f"parameter {visible(parameter.name)} {parameter.kind}"
    for function in plan.functions:
        yield f"function {visible(function.name)} {function.kind}"
    for step in plan.steps:
        paths = [render_path(c.path).removeprefix("Arguments.") for c in step.changes]
        files = [file.path for code in step.code for file in code.files]
        what = f": {names([*files, *paths])}" if files or paths else ""
        yield f"step {visible(step.name)} {fate(step)}{what}"


def fate(step: StepChange) -> str:
    """What becomes of a step, in words: `added`, `removed`, `renamed and changed`, ..."""
    if step.kind is Kind.RENAMED and (step.changes or step.code):
        return "renamed and changed"
    return step.kind.value


def _by_kind(steps: Sequence[StepChange]) -> list[tuple[str, int]]:
    order = ("changed", "added", "removed", "renamed", "renamed and changed")
    counts = Counter(map(fate, steps))
    return [(each, counts[each]) for each in order if counts[each]]


def _common_kind(changes: Sequence[object]) -> str:
    kinds = {getattr(change, "kind", Kind.CHANGED) for change in changes}
    return kinds.pop().value if len(kinds) == 1 else "changed"


def _runs(plan: Plan) -> str:
    main = [run for run in plan.runs if run.branch_of is None]
    again = [run.name for run in main if run.verdict is not Verdict.CACHE]
    spared = [run.name for run in main if run.verdict is Verdict.CACHE]
    parts = []
    if again:
        parts.append(f"{names(again)} will run" + (" again" if plan.exists else ""))
    if spared:
        parts.append(f"{names(spared)} can come from the cache")
    return ", ".join(parts)


def names(items: Sequence[str]) -> str:
    """`A`, `A and B`, `A, B and C`, and with many `A, B, ... and 12 more`."""
    shown = [visible(item) for item in items]
    if len(shown) > _MOST_NAMES:
        rest = len(shown) - _MOST_NAMES + 1
        shown = [*shown[: _MOST_NAMES - 1], f"{rest} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def why(run: StepRun) -> str:
    """Why a step runs or not, as a sentence without its full stop."""
    match run.verdict:
        case Verdict.RUN:
            text = "; ".join(visible(reason) for reason in run.reasons)
        case Verdict.ALWAYS:
            text = "no cache is configured"
        case Verdict.CACHE:
            text = "nothing that its result depends on changed"
    if run.stale:
        text += (
            f". Careful: {names(run.stale)} runs again and writes to the same place, which the"
            " cache does not notice"
        )
    return text


def verdict(run: StepRun) -> str:
    texts = {
        Verdict.RUN: "runs",
        Verdict.CACHE: "can come from the cache",
        Verdict.ALWAYS: "runs every time",
    }
    text = texts[run.verdict]
    return text if run.branch_of is None else f"{text}, if {visible(run.branch_of)} leads there"


def change_lines(changes: Sequence[Change], *, longest: int) -> Iterator[str]:
    """Lines of a diff, `- path: old` and `+ path: new`. No line is longer than about `longest`."""
    for change in changes:
        path = visible(render_path(change.path).removeprefix("Arguments."))
        old, new = _shown_pair(change.old, change.new, longest)
        if change.old is not MISSING:
            yield f"- {path}: {old}"
        if change.new is not MISSING:
            yield f"+ {path}: {new}"


def value_lines(sign: str, name: str, value: object, *, longest: int) -> Iterator[str]:
    """An object's members, one a line, for what is added or removed as a whole."""
    if isinstance(value, dict) and value and not is_expression(value):
        for key, member in value.items():
            yield from value_lines(sign, f"{name}.{key}" if name else key, member, longest=longest)
    elif isinstance(value, list) and (field := naming_field(value)) is not None:
        for item in value:
            member = {key: inner for key, inner in item.items() if key != field}
            yield from value_lines(sign, f"{name}[{item[field]!r}]", member, longest=longest)
    else:
        yield f"{sign} {visible(name).removeprefix('Arguments.')}: {shown(value, longest)}"


def shown(value: object, longest: int) -> str:
    """A value as JSON on one line, shortened; a reference reads as its path."""
    return _shorten(_json(value), longest)


def visible(text: str) -> str:
    """Text in which nothing hides: control characters, direction marks and the like as escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char
        if unicodedata.category(char)[0] not in "CZ" or char == " "
        else char.encode("unicode_escape").decode("ascii")
        if ord(char) > 0x1F or char in "\n\r\t"
        else f"\\x{ord(char):02x}"
        for char in text
    )


def visible_lines(diff: str) -> list[str]:
    """A unified diff's lines, tabs kept, other hidden characters as escapes."""
    return ["\t".join(visible(part) for part in line.split("\t")) for line in diff.split("\n")]


def file_summary(change: FileChange) -> str:
    """`train.py (+3 -1)`"""
    counts = f"+{change.added} -{change.removed}" if change.diff else (change.note or "")
    kind = "" if change.kind is Kind.CHANGED else f"{change.kind}, "
    return f"{visible(change.path)} ({kind}{counts})"


def _json(value: object) -> str:
    """JSON; a reference as its path, a join as its text with the references in braces."""
    if (text := as_reference(value)) is not None:
        return visible(text)
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get("Std:Join"), dict):
        joined = _joined(value["Std:Join"])
        if joined is not None:
            return visible(joined)
    return visible(json.dumps(value, ensure_ascii=False, default=str))


def _joined(body: dict[str, object]) -> str | None:
    glue, values = body.get("On", ""), body.get("Values")
    if not isinstance(glue, str) or not isinstance(values, list):
        return None
    return glue.join(part if isinstance(part, str) else f"{{{_json(part)}}}" for part in values)


def _shown_pair(old: object, new: object, longest: int) -> tuple[str, str]:
    """Both values; of long ones the part around the first difference."""
    before, after = _json(old), _json(new)
    if max(len(before), len(after)) <= longest or old is MISSING or new is MISSING:
        return _shorten(before, longest), _shorten(after, longest)
    same = 0
    while same < min(len(before), len(after)) and before[same] == after[same]:
        same += 1
    start = max(0, same - _AROUND)
    lead = "..." if start else ""
    return lead + _shorten(before[start:], longest), lead + _shorten(after[start:], longest)


def _shorten(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    return f"{text[:longest]}... ({len(text):,} characters)"
