"""A change set as lines of text. Pure."""

from collections.abc import Iterator, Sequence

from ci.sagemaker.stacks import ResourceChange

_MARKS = {"Add": "+", "Modify": "~", "Remove": "-", "Import": "+", "Dynamic": "?"}


def render_changes(changes: Sequence[ResourceChange]) -> Iterator[str]:
    """One line a resource, its columns aligned: mark, name, type, and what a change costs."""
    if not changes:
        yield "(none)"
        return
    wide = max(len(each.resource) for each in changes)
    broad = max(len(each.kind) for each in changes)
    for each in sorted(changes, key=lambda each: (each.action, each.resource)):
        mark = _MARKS.get(each.action, each.action)
        cost = _cost(each)
        yield f"{mark} {each.resource:<{wide}}  {each.kind:<{broad}}  {cost}".rstrip()


def _cost(change: ResourceChange) -> str:
    scope = ", ".join(change.scope)
    match change.replacement:
        case "True":
            return f"made anew ({scope})" if scope else "made anew"
        case "Conditional":
            return f"perhaps made anew ({scope})" if scope else "perhaps made anew"
        case _:
            return scope
