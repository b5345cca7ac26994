"""Decides what a run is estimated to have cost. What has no price is named, never guessed."""

from collections.abc import Iterable

from ci.cost.model import Estimate, Prices, StepCost, Usage

_HOUR = 3600.0


def estimate_cost(
    prices: Prices, region: str, usages: Iterable[Usage], *, uncounted: Iterable[str] = ()
) -> Estimate | None:
    """The estimate; None where there is neither a priced job nor one that should be."""
    priced: list[StepCost] = []
    saved, missing = 0.0, list(uncounted)
    for usage in usages:
        hourly = prices.hourly(region, usage.kind, usage.instance)
        if hourly is None:
            missing.append(
                f"{usage.step}: the prices name no {usage.instance} for {usage.kind} in {region}"
            )
            continue
        rate = hourly * usage.count / _HOUR
        priced.append(StepCost(usage=usage, usd=rate * usage.seconds))
        saved += rate * usage.saved
    if not priced and not missing:
        return None
    return Estimate(
        usd=sum(step.usd for step in priced),
        steps=tuple(priced),
        as_of=prices.as_of,
        source=prices.source,
        region=region,
        saved=saved,
        uncounted=tuple(missing),
    )
