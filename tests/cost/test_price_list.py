"""The file of prices is made from AWS's price list, for what the definitions can run on."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from support.jobs import ROLE
from support.loopback_forge import Answer, Loopback, Request, serve_forge
from support.scratch import PROJECT, Scratch, new_scratch, quality_definition

from ci.cost.listing import Wanted, list_prices, price_file, wanted_instances
from ci.cost.model import Kind, Prices
from ci.cost.prices import parse_prices
from ci.definition.parse import definition_of
from ci.sagemaker.pricing import price_list_region

TRAIN = Wanted(kind=Kind.TRAINING, instance="ml.m5.xlarge")
PROCESS = Wanted(kind=Kind.PROCESSING, instance="ml.t3.medium")


def product(usage: str, *prices: str, unit: str = "Hrs", term: str = "OnDemand") -> dict[str, Any]:
    """A product in the form of the price list."""
    dimensions = {
        f"rate-{number}": {"unit": unit, "pricePerUnit": {"USD": price}}
        for number, price in enumerate(prices)
    }
    return {
        "serviceCode": "AmazonSageMaker",
        "product": {"productFamily": "ML Instance", "attributes": {"usagetype": usage}},
        "terms": {term: {"offer": {"priceDimensions": dimensions}}},
        "publicationDate": "2026-08-11T04:33:34Z",
    }


@pytest.mark.parametrize(
    ("products", "price"),
    [
        ([product("USE1-Train:ml.m5.xlarge", "0.2300000000")], 0.23),
        ([product("Train:ml.m5.xlarge", "0.23")], 0.23),
        ([product("EU-Train:ml.m5.xlarge", "0", "0.257")], 0.257),
        ([product("EU-Train:ml.m5.xlarge", "0.257")] * 2, 0.257),
        ([product("USE1-SpotTrain:ml.m5.xlarge", "0.1")], None),
        ([product("USE1-Processing_DW:ml.m5.xlarge", "0.9")], None),
        ([product("USE1-Host:ml.m5.xlarge", "0.23")], None),
        ([product("USE1-Train:ml.m5.xlarge", "0.23", unit="GB-Mo")], None),
        ([product("USE1-Train:ml.m5.xlarge", "0.23", term="Reserved")], None),
        ([product("USE1-Train:ml.m5.xlarge", "0.23", "0.25")], None),
        ([{}, {"product": None, "terms": None}], None),
    ],
)
def test_a_price_is_taken_where_there_is_one_and_no_other(
    products: list[Mapping[str, Any]], price: float | None
) -> None:
    found = list_prices([TRAIN], products)
    assert found.hourly.get(TRAIN) == price
    assert bool(found.missing) is (price is None)


def test_what_is_written_is_what_a_project_reads() -> None:
    found = list_prices([TRAIN, PROCESS], [product("USE1-Train:ml.m5.xlarge", "0.23")])
    assert found.missing == ("ml.t3.medium for processing: the price list has none",)
    text = price_file({"us-east-1": found}, as_of=date(2026, 9, 1))
    prices = parse_prices(json.loads(text))
    assert prices.hourly("us-east-1", Kind.TRAINING, "ml.m5.xlarge") == 0.23
    assert prices.as_of == date(2026, 9, 1)
    assert prices.source.endswith("published 2026-08-11")


def before(**regions: Mapping[str, Mapping[str, float]]) -> Prices:
    """A file of an earlier day; regions by name, with underscores."""
    named = {name.replace("_", "-"): kinds for name, kinds in regions.items()}
    return parse_prices({"as_of": "2026-01-15", "source": "the price page", "regions": named})


def test_a_price_that_was_asked_again_is_as_new_as_the_file() -> None:
    found = list_prices([TRAIN], [product("USE1-Train:ml.m5.xlarge", "0.23")])
    had = before(us_east_1={"training": {"ml.m5.xlarge": 0.25}})
    once = price_file({"us-east-1": found}, as_of=date(2026, 9, 1), before=had)
    assert once == price_file({"us-east-1": found}, as_of=date(2026, 9, 1))


def test_a_price_that_the_list_lacks_stays_and_makes_the_file_as_old_as_itself() -> None:
    found = list_prices([TRAIN, PROCESS], [product("USE1-Train:ml.m5.xlarge", "0.23")])
    prices = before(
        us_east_1={"training": {"ml.m5.xlarge": 0.25}, "processing": {"ml.t3.medium": 0.05}},
        cn_north_1={"training": {"ml.m5.xlarge": 0.4}},
    )
    for day in (1, 2):
        text = price_file({"us-east-1": found}, as_of=date(2026, 9, day), before=prices)
        prices = parse_prices(json.loads(text))
        assert prices.hourly("us-east-1", Kind.TRAINING, "ml.m5.xlarge") == 0.23
        assert prices.hourly("us-east-1", Kind.PROCESSING, "ml.t3.medium") == 0.05
        assert prices.hourly("cn-north-1", Kind.TRAINING, "ml.m5.xlarge") == 0.4
        assert prices.as_of == date(2026, 1, 15)
        assert prices.source.endswith("published 2026-08-11; what it lacks: the price page")


def test_instance_types_come_from_steps_and_from_all_that_a_parameter_can_be() -> None:
    document = quality_definition(1.0)
    training = {
        "Name": "Train",
        "Type": "Training",
        "Arguments": {
            "ResourceConfig": {
                "InstanceType": {"Get": "Parameters.Size"},
                "InstanceGroups": [{"InstanceType": "ml.g5.xlarge"}],
            }
        },
    }
    document["Steps"].append(training)
    size = {
        "Name": "Size",
        "Type": "String",
        "DefaultValue": "ml.m5.large",
        "EnumValues": ["ml.m5.large", "ml.m5.4xlarge"],
    }
    document["Parameters"].append(size)
    found = wanted_instances(definition_of(document, where="here"), {"Size": "ml.m5.xlarge"})
    sizes = {each.instance for each in found if each.kind is Kind.TRAINING}
    assert sizes == {"ml.m5.large", "ml.m5.xlarge", "ml.m5.4xlarge", "ml.g5.xlarge"}
    assert {each.instance for each in found if each.kind is Kind.PROCESSING} == {"ml.t3.medium"}


@pytest.mark.parametrize(
    ("region", "served"),
    [
        ("us-west-2", "us-east-1"),
        ("eu-west-3", "eu-central-1"),
        ("ap-southeast-2", "ap-south-1"),
        ("sa-east-1", "us-east-1"),
    ],
)
def test_where_the_price_list_is_asked(region: str, served: str) -> None:
    assert price_list_region(region) == served


class PriceList(Loopback):
    """GetProducts, a product a page."""

    products: list[Any]
    regions: list[str]

    def answer(self, request: Request) -> Answer:
        asked = request.body
        target = {name.lower(): value for name, value in request.headers.items()}["x-amz-target"]
        assert target == "AWSPriceListService.GetProducts"
        [asked_for] = asked["Filters"]
        region = {"Type": "TERM_MATCH", "Field": "regionCode", "Value": asked_for["Value"]}
        assert (asked["ServiceCode"], asked_for) == ("AmazonSageMaker", region)
        self.regions.append(region["Value"])
        at = int(asked.get("NextToken", "0"))
        page = {"FormatVersion": "aws_v1", "PriceList": [json.dumps(self.products[at])]}
        more = {"NextToken": str(at + 1)} if at + 1 < len(self.products) else {}
        return Answer(body={**page, **more})


@contextmanager
def project(folder: Path, *products: Mapping[str, Any]) -> Iterator[Scratch]:
    """A project beside a price list of these products."""
    listed = PriceList()
    listed.products, listed.regions = list(products), []
    with serve_forge(listed) as served:
        scratch = new_scratch(folder, PROJECT + ROLE)
        scratch.define(quality_definition(1.0))
        scratch.commit()
        scratch.environ |= {
            "AWS_ENDPOINT_URL_PRICING": served.address,
            "AWS_ACCESS_KEY_ID": "AKIATEST",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        yield scratch


def test_the_command_writes_the_file_of_the_project(tmp_path: Path) -> None:
    products = [
        product("USE1-Host:ml.t3.medium", "0.07"),
        product("USE1-Processing:ml.t3.medium", "0.05"),
    ]
    with project(tmp_path, *products) as scratch:
        done = scratch.run("prices", "--out", "prices.json", "--json")
    assert done.code == 0, done.err
    assert done.document["prices"] == 1
    assert "prices as of" not in done.err, "what came of it stands in the document"
    written = parse_prices(json.loads((tmp_path / "prices.json").read_text()))
    assert written.hourly("us-east-1", Kind.PROCESSING, "ml.t3.medium") == 0.05
    assert written.as_of == datetime.now(UTC).date()


def test_what_others_have_in_the_file_is_asked_again(tmp_path: Path) -> None:
    """Other pipelines' types, other regions' prices; a region that the list is not for stays."""
    had = {
        "us-east-1": {"training": {"ml.m5.xlarge": 0.25}},
        "eu-west-1": {"training": {"ml.m5.xlarge": 0.26}},
        "cn-north-1": {"training": {"ml.m5.xlarge": 0.4}},
    }
    file = tmp_path / "prices.json"
    file.write_text(json.dumps({"as_of": "2026-01-15", "source": "by hand", "regions": had}))
    products = [
        product("USE1-Processing:ml.t3.medium", "0.05"),
        product("Train:ml.m5.xlarge", "0.2"),
    ]
    with project(tmp_path, *products) as scratch:
        done = scratch.run("prices", "--out", "prices.json")
    assert done.code == 0, done.err
    written = parse_prices(json.loads(file.read_text()))
    assert written.regions == {
        "us-east-1": {
            Kind.PROCESSING: {"ml.t3.medium": 0.05},
            Kind.TRAINING: {"ml.m5.xlarge": 0.2},
        },
        "eu-west-1": {Kind.TRAINING: {"ml.m5.xlarge": 0.2}},
        "cn-north-1": {Kind.TRAINING: {"ml.m5.xlarge": 0.4}},
    }
    assert written.as_of == date(2026, 1, 15)


def test_what_holds_no_prices_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text("{}")
    with project(tmp_path, product("USE1-Processing:ml.t3.medium", "0.05")) as scratch:
        done = scratch.run("prices", "--out", "prices.json")
    assert (done.code, file.read_text()) == (2, "{}")
    assert "the prices cannot be read" in done.err


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1"])
def test_a_region_that_the_list_is_not_for_is_refused_by_name(tmp_path: Path, region: str) -> None:
    with project(tmp_path, product("Processing:ml.t3.medium", "0.05")) as scratch:
        done = scratch.run("prices", "--out", "prices.json", "--region", region)
    assert done.code == 2
    assert f"prices for {region} are not read" in done.err
    assert "by hand" in done.err
    assert not (tmp_path / "prices.json").exists()


def test_nothing_is_written_where_nothing_was_found(tmp_path: Path) -> None:
    with project(tmp_path, product("USE1-Host:ml.t3.medium", "0.07")) as scratch:
        done = scratch.run("prices", "--out", "prices.json")
        local = scratch.run("prices", "--out", "prices.json", "--local")
    assert done.code == 6
    assert "the price list has none" in done.err
    assert not (tmp_path / "prices.json").exists()
    assert local.code == 2
