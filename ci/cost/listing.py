"""Decides which prices of AWS's price list a file of prices takes: those of instance types that a
project's definitions name, in one region, without guessing.

What a product is for stands in its `usagetype`: `USE1-Train:ml.m5.xlarge`, `EU-Processing:…`,
`EUW3-Tsform:…`. Neither `instanceType` (`ml.m5.xlarge-Training`, empty for some) nor `component`
is on all products. The prefix is the region's, and none in the first one.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from ci.cost.model import Kind, Prices
from ci.definition.model import Definition, Step

_USAGE = re.compile(
    r"(?:[A-Z0-9]+-)?(?P<use>Processing|Train|Tsform):(?P<instance>ml\.[a-z0-9.-]+)"
)
_USES = {"Processing": Kind.PROCESSING, "Train": Kind.TRAINING, "Tsform": Kind.TRANSFORM}
_STEPS = {"Processing": Kind.PROCESSING, "Training": Kind.TRAINING, "Transform": Kind.TRANSFORM}
_REFERENCE = "Parameters."
SOURCE = "AWS Price List API, AmazonSageMaker, on demand"
_BESIDE = "; what it lacks: "


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Wanted:
    """An instance type, and what it is used for."""

    kind: Kind
    instance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """USD per instance and hour. `missing` says in words what has no price, and why; `published`
    is the newest day on which AWS published one of them."""

    hourly: Mapping[Wanted, float]
    missing: tuple[str, ...]
    published: str | None


def wanted_instances(definition: Definition, given: Mapping[str, str]) -> frozenset[Wanted]:
    """What a definition can run on: literals, and of a parameter the value that it is given, its
    default and its choices."""
    return frozenset(
        Wanted(kind=_STEPS[step.type], instance=instance)
        for step in definition.walk()
        if step.type in _STEPS
        for value in _instance_types(step)
        for instance in _values(value, definition, given)
    )


def _instance_types(step: Step) -> Iterator[object]:
    open_: list[object] = [step.arguments]
    while open_:
        node = open_.pop()
        if isinstance(node, Mapping):
            open_ += [each for key, each in node.items() if key != "InstanceType"]
            if "InstanceType" in node:
                yield node["InstanceType"]
        elif isinstance(node, list):
            open_ += node


def _values(value: object, definition: Definition, given: Mapping[str, str]) -> Iterator[str]:
    named = value.get("Get") if isinstance(value, Mapping) else None
    found: tuple[object, ...] = (value,)
    if isinstance(named, str) and named.startswith(_REFERENCE):
        name = named.removeprefix(_REFERENCE)
        parameter = definition.parameters.get(name)
        known = () if parameter is None else (parameter.default, *parameter.choices)
        found = (given.get(name), *known)
    yield from (each for each in found if isinstance(each, str) and each.startswith("ml."))


def list_prices(wanted: Iterable[Wanted], products: Iterable[Mapping[str, Any]]) -> Listing:
    """The prices of what is wanted, from products of one region as the price list tells them. A
    type with two prices has none: nothing says which one is billed."""
    asked = sorted(set(wanted))
    found: dict[Wanted, set[float]] = {each: set() for each in asked}
    published = ""
    for product in products:
        attributes = (product.get("product") or {}).get("attributes") or {}
        usage = _USAGE.fullmatch(str(attributes.get("usagetype") or ""))
        if usage is None:
            continue
        key = Wanted(kind=_USES[usage["use"]], instance=usage["instance"])
        if key in found:
            found[key].update(_hourly(product))
            published = max(published, str(product.get("publicationDate") or "")[:10])
    return Listing(
        hourly={key: min(prices) for key, prices in found.items() if len(prices) == 1},
        missing=tuple(_missing(key, found[key]) for key in asked if len(found[key]) != 1),
        published=published or None,
    )


def _hourly(product: Mapping[str, Any]) -> Iterator[float]:
    """On demand, above zero: free offers are products of their own."""
    for term in ((product.get("terms") or {}).get("OnDemand") or {}).values():
        for dimension in (term.get("priceDimensions") or {}).values():
            price = float((dimension.get("pricePerUnit") or {}).get("USD") or 0)
            if dimension.get("unit") == "Hrs" and price > 0:
                yield price


def _missing(key: Wanted, prices: set[float]) -> str:
    if not prices:
        return f"{key.instance} for {key.kind}: the price list has none"
    told = ", ".join(f"{price:g}" for price in sorted(prices))
    return f"{key.instance} for {key.kind}: the price list has several ({told})"


def listed_instances(prices: Prices, region: str) -> frozenset[Wanted]:
    """What a file of prices has for a region."""
    kinds = prices.regions.get(region, {})
    return frozenset(
        Wanted(kind=kind, instance=instance)
        for kind, hourly in kinds.items()
        for instance in hourly
    )


def price_file(
    listings: Mapping[str, Listing], *, as_of: date, before: Prices | None = None
) -> str:
    """What `report.prices` reads, as JSON; `listings` by region. `before` is what the file had: a
    price that the list does not have stays. Such a file is as old as that price, and names both
    sources."""
    prices = {
        (region, key): price
        for region, listing in listings.items()
        for key, price in listing.hourly.items()
    }
    published = max((each.published or "" for each in listings.values()), default="")
    source = SOURCE + (f", published {published}" if published else "")
    kept = _kept(before, prices.keys()) if before is not None else {}
    if kept and before is not None:
        as_of = min(as_of, before.as_of)
        older = before.source.partition(_BESIDE)[2] or before.source
        source += f"{_BESIDE}{older}"
    regions: dict[str, dict[str, dict[str, float]]] = {region: {} for region in sorted(listings)}
    for (region, key), price in sorted({**kept, **prices}.items()):
        regions.setdefault(region, {}).setdefault(key.kind.value, {})[key.instance] = price
    document = {"as_of": as_of.isoformat(), "source": source, "regions": regions}
    return json.dumps(document, indent=2) + "\n"


def _kept(before: Prices, found: Collection[tuple[str, Wanted]]) -> dict[tuple[str, Wanted], float]:
    return {
        (region, key): before.regions[region][key.kind][key.instance]
        for region in before.regions
        for key in listed_instances(before, region)
        if (region, key) not in found
    }
