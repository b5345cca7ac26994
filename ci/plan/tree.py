"""The structural difference of two JSON values, and its application.

Objects are compared by key. A list whose elements are told apart by a name (channels, inputs,
outputs, environment entries, tags) is compared by that name, in any order; any other list by
position, after what both begin and end with. `apply_changes(old, diff_values(old, new))` is `new`,
but for the order in lists of named elements.
"""

from collections.abc import Iterator, Mapping, Sequence

from ci.plan.model import MISSING, Change, Item, PathPart

# Members that name the elements of a list whose order means nothing to SageMaker.
_NAMING = (
    "InputName",
    "OutputName",
    "ChannelName",
    "PropertyFileName",
    "Key",
    "Name",
    "VariantName",
)


def diff_values(old: object, new: object) -> tuple[Change, ...]:
    """Every place where `new` differs from `old`, in the order of `old`, then of what is new."""
    return tuple(_diff(old, new, ()))


def apply_changes(old: object, changes: Sequence[Change]) -> object:
    """`old` with the changes made. For changes that `diff_values` gave for this very value."""
    by_head: dict[PathPart, list[Change]] = {}
    for change in changes:
        if not change.path:
            return change.new
        by_head.setdefault(change.path[0], []).append(change)
    if isinstance(old, dict):
        return _apply_to_object(old, by_head)
    if isinstance(old, list):
        if any(isinstance(head, Item) for head in by_head):
            return _apply_to_named(old, by_head)
        return _apply_to_list(old, changes)
    return old


def naming_field(items: Sequence[object]) -> str | None:
    """The member that names every element of a list, each differently. None where there is none."""
    if not items:
        return None
    for field in _NAMING:
        names = [item.get(field) if isinstance(item, dict) else None for item in items]
        texts = [name for name in names if isinstance(name, str)]
        if len(texts) == len(names) == len(set(texts)):
            return field
    return None


def render_path(path: Sequence[PathPart]) -> str:
    """`ProcessingInputs['code'].S3Input.S3Uri`"""
    text = ""
    for part in path:
        match part:
            case Item():
                text += f"[{part.name!r}]"
            case int():
                text += f"[{part}]"
            case _ if part.isidentifier():
                text += f".{part}" if text else part
            case _:
                text += f"[{part!r}]"
    return text


def _diff(old: object, new: object, path: tuple[PathPart, ...]) -> Iterator[Change]:
    if _same(old, new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in old.items():
            yield from _diff(value, new.get(key, MISSING), (*path, key))
        for key, value in new.items():
            if key not in old:
                yield Change(path=(*path, key), old=MISSING, new=value)
    elif isinstance(old, list) and isinstance(new, list):
        field = naming_field([*old]) if old else naming_field(new)
        if field is not None and (not new or naming_field(new) == field):
            yield from _diff_named(old, new, field, path)
        else:
            yield from _diff_list(old, new, path)
    else:
        yield Change(path=path, old=old, new=new)


def _same(old: object, new: object) -> bool:
    """JSON equality: unlike Python's, it tells 1 from 1.0 and from true."""
    return type(old) is type(new) and not isinstance(old, dict | list) and old == new


def _diff_named(
    old: list[object], new: list[object], field: str, path: tuple[PathPart, ...]
) -> Iterator[Change]:
    before, after = _by_name(old, field), _by_name(new, field)
    for name, value in before.items():
        yield from _diff(value, after.get(name, MISSING), (*path, Item(field, name)))
    for name, value in after.items():
        if name not in before:
            yield Change(path=(*path, Item(field, name)), old=MISSING, new=value)


def _by_name(items: list[object], field: str) -> dict[str, object]:
    return {str(item[field]): item for item in items if isinstance(item, dict)}


def _diff_list(
    old: list[object], new: list[object], path: tuple[PathPart, ...]
) -> Iterator[Change]:
    start = 0
    while start < min(len(old), len(new)) and not any(_diff(old[start], new[start], ())):
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and not any(
        _diff(old[-1 - end], new[-1 - end], ())
    ):
        end += 1
    before, after = old[start : len(old) - end], new[start : len(new) - end]
    common = min(len(before), len(after))
    for index in range(common):
        yield from _diff(before[index], after[index], (*path, start + index))
    for index, value in enumerate(before[common:], start + common):
        yield Change(path=(*path, index), old=value, new=MISSING)
    for index, value in enumerate(after[common:], start + common):
        yield Change(path=(*path, index), old=MISSING, new=value)


def _deeper(changes: Sequence[Change]) -> list[Change]:
    return [Change(path=c.path[1:], old=c.old, new=c.new) for c in changes]


def _apply_to_object(
    old: Mapping[str, object], by_head: Mapping[PathPart, list[Change]]
) -> dict[str, object]:
    result = dict(old)
    for head, changes in by_head.items():
        value = apply_changes(old.get(str(head)), _deeper(changes))
        if value is MISSING:
            del result[str(head)]
        else:
            result[str(head)] = value
    return result


def _apply_to_named(old: list[object], by_head: Mapping[PathPart, list[Change]]) -> list[object]:
    field = next(head.field for head in by_head if isinstance(head, Item))
    values = _by_name(old, field)
    for head, changes in by_head.items():
        if isinstance(head, Item):
            value = apply_changes(values.get(head.name), _deeper(changes))
            if value is MISSING:
                del values[head.name]
            else:
                values[head.name] = value
    return list(values.values())


def _apply_to_list(old: list[object], changes: Sequence[Change]) -> list[object]:
    result = list(old)
    inner: dict[int, list[Change]] = {}
    gone: list[int] = []
    added: list[tuple[int, object]] = []
    for change in changes:
        head = change.path[0]
        if not isinstance(head, int):
            continue
        if len(change.path) == 1 and change.new is MISSING:
            gone.append(head)
        elif len(change.path) == 1 and change.old is MISSING:
            added.append((head, change.new))
        else:
            inner.setdefault(head, []).append(change)
    for index, found in inner.items():
        result[index] = apply_changes(result[index], _deeper(found))
    for index in sorted(gone, reverse=True):
        del result[index]
    for index, value in sorted(added, key=lambda pair: pair[0]):
        result.insert(index, value)
    return result
