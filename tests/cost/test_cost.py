"""What a run cost: read from jobs as SageMaker describes them, estimated, never guessed."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.samples import execution, step

from ci.cost.estimate import estimate_cost
from ci.cost.model import Kind, Prices, Usage
from ci.cost.prices import parse_prices
from ci.delivery.costs import gather_cost, read_prices
from ci.errors import AwsError, ProjectError
from ci.report import figures

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
PREFIX = "arn:aws:sagemaker:us-east-1:111122223333"
PRICES = Prices(
    as_of=date(2026, 1, 15),
    source="a list",
    regions={
        "us-east-1": {
            Kind.TRAINING: {"ml.m5.xlarge": 3.6, "ml.g5.xlarge": 36.0},
            Kind.PROCESSING: {"ml.m5.xlarge": 7.2},
            Kind.TRANSFORM: {"ml.m5.large": 1.8},
        }
    },
)


class Jobs:
    """The jobs of an account, by name. `clock` goes on by a second with each that is read."""

    def __init__(self, **held: dict[str, Any]) -> None:
        self.held = held
        self.now = 0.0

    def _read(self, name: str) -> dict[str, Any]:
        self.now += 1.0
        if name not in self.held:
            raise AwsError("there is none", code="ValidationException", operation="Describe")
        return self.held[name]

    training = processing = transform = _read

    def clock(self) -> float:
        return self.now


def training(seconds: float, *, count: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": count},
        "TrainingStartTime": START,
        "TrainingEndTime": START + timedelta(seconds=seconds),
        "TrainingTimeInSeconds": int(seconds),
        "BillableTimeInSeconds": int(seconds),
        **more,
    }


def processing(seconds: float) -> dict[str, Any]:
    cluster = {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1}
    return {
        "ProcessingResources": {"ClusterConfig": cluster},
        "ProcessingStartTime": START,
        "ProcessingEndTime": START + timedelta(seconds=seconds),
    }


def gather(jobs: Jobs, *steps: Any) -> Any:
    adapter: Any = SimpleNamespace(jobs=jobs)
    ended = execution(found=steps)
    return gather_cost(adapter, ended, PRICES, "us-east-1", clock=jobs.clock)


def ran(name: str, kind: str, **more: Any) -> Any:
    return step(name, 1, kind=kind, job=f"{PREFIX}:{kind.lower()}-job/{name}", **more)


def test_jobs_are_counted_by_what_is_billed() -> None:
    transform = {
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 2},
        "TransformStartTime": START,
        "TransformEndTime": START + timedelta(seconds=10),
    }
    jobs = Jobs(a=processing(100), b=training(200, count=3), c=transform)
    cost = gather(jobs, ran("a", "Processing"), ran("b", "Training"), ran("c", "Transform"))
    assert [each.usd for each in cost.steps] == pytest.approx([0.2, 0.6, 0.01])
    assert cost.usd == pytest.approx(0.81)
    assert cost.uncounted == ()


def test_spot_training_is_billed_for_less_and_says_how_much() -> None:
    spot = training(500, BillableTimeInSeconds=100, EnableManagedSpotTraining=True)
    unbilled = training(500, BillableTimeInSeconds=0)
    cost = gather(Jobs(a=spot, b=unbilled), ran("a", "Training"), ran("b", "Training"))
    assert cost.usd == pytest.approx(0.1)
    assert cost.saved == pytest.approx(0.4)
    assert "$0.40 saved by managed spot" in figures.cost(cost)


def test_a_cluster_of_several_types_counts_each() -> None:
    groups = [
        {"InstanceGroupName": "x", "InstanceType": "ml.m5.xlarge", "InstanceCount": 2},
        {"InstanceGroupName": "y", "InstanceType": "ml.g5.xlarge", "InstanceCount": 1},
    ]
    cost = gather(
        Jobs(a=training(100, ResourceConfig={"InstanceGroups": groups})), ran("a", "Training")
    )
    assert [each.usd for each in cost.steps] == pytest.approx([0.2, 1.0])


def test_what_is_not_counted_is_named() -> None:
    odd = training(9, ResourceConfig={"InstanceType": "ml.new.large", "InstanceCount": 1})
    cost = gather(
        Jobs(a=odd, c=training(100)),
        ran("a", "Training"),
        ran("gone", "Processing"),
        ran("c", "Training", attempts=3),
        ran("tune", "Tuning"),
        ran("spared", "Training", cache_hit="arn:x"),
        step("Check", 1, kind="Condition"),
    )
    assert cost.usd == pytest.approx(0.1)
    assert set(cost.uncounted) == {
        "a: the prices name no ml.new.large for training in us-east-1",
        "gone: its job could not be read",
        "c: the last of 3 attempts is counted alone",
        "tune: Tuning jobs are not counted",
    }
    assert "not all of it could be counted" in figures.cost(cost)


def test_a_job_that_never_started_costs_nothing() -> None:
    waiting = training(0)
    del waiting["TrainingStartTime"], waiting["TrainingEndTime"]
    assert gather(Jobs(a=waiting), ran("a", "Training")).usd == 0


def test_time_and_number_of_jobs_are_bounded() -> None:
    names = [f"s{n}" for n in range(60)]
    cost = gather(Jobs(**{n: training(36) for n in names}), *(ran(n, "Training") for n in names))
    assert len(cost.steps) < 20
    assert any("more jobs: there was no time" in line for line in cost.uncounted)


def test_nothing_ran_on_instances_nothing_is_said() -> None:
    assert gather(Jobs(), step("Check", 1, kind="Condition")) is None


def test_no_prices_for_a_region_is_no_estimate_of_zero() -> None:
    usage = Usage(step="a", kind=Kind.TRAINING, instance="ml.m5.xlarge", count=1, seconds=9)
    cost = estimate_cost(PRICES, "eu-west-1", [usage])
    assert cost is not None
    assert figures.cost(cost).startswith("Cost: no estimate")


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "$0.00"),
        (0.00001, "<$0.0001"),
        (0.00234, "$0.0023"),
        (0.005, "$0.01"),
        (1.5, "$1.50"),
        (12345.678, "$12,345.68"),
    ],
)
def test_amounts_are_never_rounded_to_nothing(amount: float, shown: str) -> None:
    assert figures.usd(amount) == shown


YAML = """
as_of: 2026-01-15
source: https://aws.amazon.com/sagemaker/pricing/
regions:
  us-east-1:
    training: {ml.m5.xlarge: 0.25}
"""


@pytest.mark.parametrize("name", ["prices.yaml", "prices.json"])
def test_prices_are_read(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    regions = {"us-east-1": {"training": {"ml.m5.xlarge": 0.25}}}
    source = "https://aws.amazon.com/sagemaker/pricing/"
    document = {"as_of": "2026-01-15", "source": source, "regions": regions}
    file.write_text(json.dumps(document) if name.endswith("json") else YAML)
    prices = read_prices(file)
    assert prices.as_of == date(2026, 1, 15)
    assert prices.hourly("us-east-1", Kind.TRAINING, "ml.m5.xlarge") == 0.25
    assert prices.hourly("us-east-1", Kind.PROCESSING, "ml.m5.xlarge") is None


@pytest.mark.parametrize(
    "change",
    [
        {"as_of": "soon"},
        {"as_of": None},
        {"source": ""},
        {"regions": []},
        {"regions": {"us-east-1": {"serving": {}}}},
        {"regions": {"us-east-1": {"training": {"ml.m5.large": -1}}}},
        {"regions": {"us-east-1": {"training": {"ml.m5.large": float("nan")}}}},
        {"regions": {"us-east-1": {"training": {"ml.m5.large": "0.1"}}}},
        {"regions": {"us-east-1": {"training": {"ml.m5.large": True}}}},
        {"currency": "EUR"},
    ],
)
def test_prices_that_are_none_are_refused(change: dict[str, Any]) -> None:
    whole = {"as_of": "2026-01-15", "source": "x", "regions": {}}
    with pytest.raises(ValueError, match=r"as_of|source|regions|currency"):
        parse_prices({**whole, **change})


@pytest.mark.parametrize("text", ["", "[1", "a: b: c", "\udcff"])
def test_a_file_that_holds_none_is_told(tmp_path: Path, text: str) -> None:
    for name in ("prices.json", "prices.yaml"):
        file = tmp_path / name
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(ProjectError, match="cannot be read"):
            read_prices(file)
    with pytest.raises(ProjectError):
        read_prices(tmp_path / "absent.yaml")
