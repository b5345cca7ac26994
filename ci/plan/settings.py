"""What differs beside the steps: parameters, settings of the pipeline, tags, functions."""

from collections.abc import Iterator

from ci.definition.model import Parameter
from ci.plan.artifacts import Side, split_code
from ci.plan.model import (
    MISSING,
    Change,
    CodeChange,
    FunctionState,
    Kind,
    NamedChange,
    PipelineState,
)
from ci.plan.naming import DIGEST_TAG, VOLATILE_TAGS
from ci.plan.normal import outer_document
from ci.plan.tree import diff_values, render_path


def diff_parameters(new: PipelineState, deployed: PipelineState | None) -> Iterator[NamedChange]:
    before = {} if deployed is None else deployed.definition.parameters
    after = new.definition.parameters
    for name in dict.fromkeys((*after, *before)):
        old, now = before.get(name), after.get(name)
        yield from _named(name, _parameter(old), _parameter(now))


def _parameter(parameter: Parameter | None) -> object:
    """A parameter as the definition writes it."""
    if parameter is None:
        return MISSING
    result: dict[str, object] = {"Type": str(parameter.type)}
    if parameter.default is not None:
        result["DefaultValue"] = parameter.default
    if parameter.choices:
        result["EnumValues"] = sorted(parameter.choices)
    return result


def diff_settings(new: PipelineState, deployed: PipelineState | None) -> Iterator[NamedChange]:
    """Role, parallelism, tags, and what stands beside the steps in the definition."""
    if deployed is None:
        return
    for name, old, now in (
        ("role", deployed.role, new.role),
        ("parallelism", deployed.parallelism, new.parallelism),
    ):
        if now is not None:
            yield from _named(name, MISSING if old is None else old, now)
    for key, value in new.tags.items():
        if key not in VOLATILE_TAGS:
            yield from _named(f"tag {key}", deployed.tags.get(key, MISSING), value)
    before, after = outer_document(deployed.definition), outer_document(new.definition)
    for change in diff_values(before, after):
        yield from _named(render_path(change.path), change.old, change.new)


def diff_payloads(
    new: PipelineState, deployed: PipelineState | None, volatile: tuple[str, ...]
) -> Iterator[NamedChange]:
    """Functions as steps that changed where the definition shows nothing but what always changes:
    the digest that was deployed tells, since it counts their code."""
    before = None if deployed is None else deployed.tags.get(DIGEST_TAG)
    if volatile and before and new.identity and before != new.identity:
        name = f"code of functions as steps ({', '.join(volatile)})"
        yield NamedChange(name=name, kind=Kind.CHANGED, old=before, new=new.identity)


def _named(name: str, old: object, new: object) -> Iterator[NamedChange]:
    if diff_values({"": old}, {"": new}):
        kind = Change(path=(), old=old, new=new).kind
        yield NamedChange(
            name=name,
            kind=kind,
            old=None if old is MISSING else old,
            new=None if new is MISSING else new,
        )


def diff_functions(new: PipelineState, deployed: PipelineState | None) -> Iterator[NamedChange]:
    """Lambda functions. Where the deployed side does not tell of any, nothing is compared."""
    if new.functions is None:
        return
    before = None if deployed is None else deployed.functions
    if deployed is not None and before is None:
        return
    for name, function in new.functions.items():
        old = (before or {}).get(name)
        if old is None:
            yield NamedChange(name=name, kind=Kind.ADDED, new=dict(function.configuration))
        else:
            yield from _function(name, old, function, new, deployed)


def _function(
    name: str,
    old: FunctionState,
    function: FunctionState,
    new: PipelineState,
    deployed: PipelineState | None,
) -> Iterator[NamedChange]:
    code: CodeChange | None = None
    if old.sha256 != function.sha256 and deployed is not None:
        address = Change(
            path=("Code",), old=f"artifact:{old.sha256}", new=f"artifact:{function.sha256}"
        )
        sides = (Side(files=side.files, addresses={}) for side in (deployed, new))
        _, changes = split_code((address,), *sides)
        code = changes[0] if changes else None
    settings = diff_values(dict(old.configuration), dict(function.configuration))
    if code is not None or settings:
        yield NamedChange(
            name=name,
            kind=Kind.CHANGED,
            old=dict(old.configuration),
            new=dict(function.configuration),
            code=code,
        )
