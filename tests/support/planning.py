"""Plans of two definitions, and the values that tests of plans draw from."""

import random
from typing import Any

from hypothesis import strategies as st

from ci.plan.diff import plan_changes
from ci.plan.model import Files, PipelineState, Plan, StepRun, no_files
from support.definitions import parsed

SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, 1.0, "", "a", "b"])
NAMED = st.lists(
    st.fixed_dictionaries({"Name": st.sampled_from("abcd")}, optional={"v": SCALARS}),
    max_size=4,
    unique_by=lambda item: item["Name"],
)
VALUES = st.recursive(
    SCALARS | NAMED,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)
    ),
    max_leaves=16,
)


def plan(
    old: object,
    new: object,
    *,
    old_files: Files = no_files,
    new_files: Files = no_files,
    **members: Any,
) -> Plan:
    return plan_changes(
        PipelineState(definition=parsed(new), files=new_files, **members),
        PipelineState(definition=parsed(old), files=old_files),
        pipeline="abalone",
    )


def runs(result: Plan) -> dict[str, StepRun]:
    return {run.name: run for run in result.runs}


def shuffled(value: Any, order: random.Random) -> Any:
    """The same definition in another order: keys, steps, parameters, named lists."""
    if isinstance(value, dict):
        items = [(key, shuffled(member, order)) for key, member in value.items()]
        order.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        items_ = [shuffled(item, order) for item in value]
        naming = {"Name", "InputName", "OutputName", "ChannelName", "Key"}
        if all(isinstance(item, dict) and naming & item.keys() for item in items_):
            order.shuffle(items_)
        return items_
    return value


def in_order(value: Any) -> Any:
    """A value with every list of named elements sorted, as the difference reads it."""
    if isinstance(value, dict):
        return {key: in_order(member) for key, member in value.items()}
    if isinstance(value, list):
        items = [in_order(item) for item in value]
        if all(isinstance(item, dict) and isinstance(item.get("Name"), str) for item in items):
            names = [item["Name"] for item in items]
            if len(set(names)) == len(names):
                return sorted(items, key=lambda item: item["Name"])
        return items
    return value
