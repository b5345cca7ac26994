"""What a file of prices may say.

as_of: 2026-01-15
source: https://aws.amazon.com/sagemaker/pricing/
regions:
  eu-west-1:
    training: {ml.m5.xlarge: 0.257}
    processing: {ml.m5.xlarge: 0.257}
"""

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from ci.cost.model import Kind, Prices

_KEYS = {"as_of", "source", "regions"}


def parse_prices(document: object) -> Prices:
    """The prices of a YAML or JSON document. ValueError says what is wrong, and where."""
    top = _mapping(document, "the file")
    unknown = sorted(str(key) for key in top if key not in _KEYS)
    if unknown:
        raise ValueError(f"unknown key {unknown[0]}; known: {', '.join(sorted(_KEYS))}")
    source = top.get("source")
    if not isinstance(source, str) or not source.strip():
        raise ValueError("`source` says where the prices were read, and is missing")
    regions = {
        str(region): {
            _kind(kind, region): _hourly(types, f"regions.{region}.{kind}")
            for kind, types in _mapping(kinds, f"regions.{region}").items()
        }
        for region, kinds in _mapping(top.get("regions"), "regions").items()
    }
    return Prices(as_of=_day(top.get("as_of")), source=source.strip(), regions=regions)


def _mapping(value: object, where: str) -> Mapping[Any, Any]:
    if isinstance(value, Mapping):
        return value
    raise ValueError(f"{where} is no mapping")


def _day(value: object) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ValueError("`as_of` is the day of the prices, as 2026-01-15") from None


def _kind(name: object, region: object) -> Kind:
    try:
        return Kind(str(name))
    except ValueError:
        known = ", ".join(Kind)
        raise ValueError(f"regions.{region}: {name} is none of {known}") from None


def _hourly(types: object, where: str) -> dict[str, float]:
    found = {}
    for instance, price in _mapping(types, where).items():
        number = isinstance(price, int | float) and not isinstance(price, bool)
        if not number or not math.isfinite(price) or price < 0:
            raise ValueError(f"{where}.{instance} is no price in USD per hour: {price!r}")
        found[str(instance)] = float(price)
    return found
