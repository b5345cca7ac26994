"""The operations the local endpoint serves, by name."""

from ci.local.context import Operation


def all_operations() -> dict[str, Operation]:
    """Every module's operations in one table. ValueError where two serve the same one."""
    from ci.local.api import executions, hosting, jobs, pipelines, registry, tags, versions

    table: dict[str, Operation] = {}
    for module in (executions, hosting, jobs, pipelines, registry, tags, versions):
        twice = table.keys() & module.OPERATIONS.keys()
        if twice:
            message = f"served twice: {', '.join(sorted(twice))}"
            raise ValueError(message)
        table |= module.OPERATIONS
    return table
