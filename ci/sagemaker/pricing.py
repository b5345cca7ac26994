"""Reads AWS's price list. It is served in three regions, for all of them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ci.errors import AwsError
from ci.sagemaker.clients import Clients

_SERVICE = "AmazonSageMaker"
_NEAREST = {"eu": "eu-central-1", "me": "eu-central-1", "af": "eu-central-1", "ap": "ap-south-1"}
_BEYOND = ("cn-", "us-gov-", "us-iso", "eu-isoe-", "eusc-")
_PAGE = 100  # "MaxResults: 1 to 100" (GetProducts)


def is_listed(region: str) -> bool:
    """Whether this price list serves a region: it takes no credentials of other partitions, and
    China has a list of its own, in CNY."""
    return not region.startswith(_BEYOND)


def price_list_region(region: str) -> str:
    """Where the price list is served that is nearest to a region."""
    return _NEAREST.get(region.partition("-")[0], "us-east-1")


def fetch_products(clients: Clients, region: str) -> Iterator[Mapping[str, Any]]:
    """Every product of SageMaker in a region, with its terms. AwsError for an answer that is no
    price list."""
    asked = {
        "ServiceCode": _SERVICE,
        "Filters": [{"Type": "TERM_MATCH", "Field": "regionCode", "Value": region}],
        "MaxResults": _PAGE,
    }
    where = f"prices of {region}"
    for text in clients.pages("pricing", "GetProducts", asked, items="PriceList", where=where):
        try:
            product = json.loads(str(text))
        except (ValueError, RecursionError):
            product = None
        if not isinstance(product, dict):
            raise AwsError(
                "the price list holds what is no product",
                code="InvalidPriceList",
                operation="GetProducts",
                where=where,
            )
        yield product
