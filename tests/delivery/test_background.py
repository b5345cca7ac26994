"""What stands beside a verdict, with a real registry: trend, cost, main's parameters, accounts."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.endpoint import client
from support.scratch import BUCKET, IMAGE, PROJECT, Result, Scratch, quality_definition

pytestmark = pytest.mark.endpoint

PRICES = {
    "as_of": "2026-01-15",
    "source": "a list of the test's own",
    "regions": {"us-east-1": {"processing": {"ml.t3.medium": 3600.0}}},
}
SETTINGS = """
report:
  prices: prices.json
  studio_domain: d-abcdefghijkl
  approvers: the ml-leads team
  trend: 4
"""


SIBLING = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/other/execution/1a2b3c4d5e6f"


def sagemaker(scratch: Scratch, service: str = "sagemaker") -> Any:
    address = scratch.run("local", "status", "--json").document["address"]
    return client(address, service)


def deploy(scratch: Scratch, rmse: float, *, settings: str = SETTINGS, **more: Any) -> Result:
    scratch.write("sagemaker-gitops.yaml", PROJECT + settings)
    scratch.write("prices.json", json.dumps(PRICES))
    scratch.define(quality_definition(rmse, **more))
    scratch.commit(f"rmse {rmse}")
    return scratch.deploy()


def register(api: Any, *, rmse: float | None, metadata: dict[str, str] | None = None) -> None:
    """A package that something else made; its metrics stand in a document of its own."""
    key = f"elsewhere/{datetime.now(UTC).timestamp()}.json"
    if rmse is not None:
        body = json.dumps({"regression_metrics": {"rmse": {"value": rmse}}}).encode()
        endpoint = api.meta.endpoint_url
        client(endpoint, "s3").put_object(Bucket=BUCKET, Key=key, Body=body)
    api.create_model_package(
        ModelPackageGroupName="quality",
        ModelApprovalStatus="Rejected",
        InferenceSpecification={
            "Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://models/model.tar.gz"}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
        ModelMetrics={
            "ModelQuality": {
                "Statistics": {"ContentType": "application/json", "S3Uri": f"s3://{BUCKET}/{key}"}
            }
        },
        **({"CustomerMetadataProperties": metadata} if metadata else {}),
    )


@pytest.fixture(scope="module")
def history(scratch: Scratch) -> Result:
    """Models of main at 2.5 and 2.4, one from elsewhere at 2.3, one without its document, one of
    another environment, one of another pipeline; the report is of the model at 2.0."""
    for rmse in (2.5, 2.4):
        done = deploy(scratch, rmse)
        assert done.code == 0, done.err
    api = sagemaker(scratch)
    register(api, rmse=2.3)
    register(api, rmse=None)
    register(api, rmse=1.0, metadata={"sagemaker-gitops:environment": "pull_request"})
    register(api, rmse=0.9, metadata={"sagemaker-gitops:execution": SIBLING})
    return deploy(scratch, 2.0)


def test_the_trend_is_of_models_of_main_before_this_one(history: Result) -> None:
    assert history.code == 0, history.err
    (trend,) = history.report["trends"]
    assert (trend["metric"], trend["goal"]) == ("rmse", "minimize")
    assert [point["value"] for point in trend["points"]] == [2.5, 2.4, 2.3]
    assert [bool(point["commit"]) for point in trend["points"]] == [True, True, False]


def test_the_package_keeps_what_was_measured_of_it(scratch: Scratch, history: Result) -> None:
    arn = history.report["model_package"]["arn"]
    held = sagemaker(scratch).describe_model_package(ModelPackageName=arn)
    assert held["CustomerMetadataProperties"]["sagemaker-gitops:metric-rmse"] == "2.0"


def test_the_trend_is_as_long_as_it_is_asked_for(scratch: Scratch, history: Result) -> None:
    one = deploy(scratch, 1.95, settings="report: {trend: 1}\n")
    assert [point["value"] for point in one.report["trends"][0]["points"]] == [2.0]
    assert one.report["cost"] is None
    none = deploy(scratch, 1.94, settings="report: {trend: 0}\n")
    assert none.report["trends"] == []


def test_what_it_cost_is_estimated_from_the_jobs(history: Result) -> None:
    cost = history.report["cost"]
    (step,) = cost["steps"]
    assert (step["step"], step["instance"], step["count"]) == ("Evaluate", "ml.t3.medium", 1)
    assert step["usd"] == pytest.approx(step["seconds"])
    assert 0 < cost["usd"] < 100
    assert cost["as_of"] == "2026-01-15"


def test_prices_that_are_none_end_it_before_anything_runs(scratch: Scratch) -> None:
    scratch.write("sagemaker-gitops.yaml", PROJECT + SETTINGS)
    scratch.write("prices.json", '{"as_of": "soon"}')
    scratch.define(quality_definition(1.93))
    scratch.commit("bad prices")
    done = scratch.deploy()
    assert done.code == 2
    assert "prices.json" in done.err
    assert "source" in done.err


def test_parameters_are_held_against_what_main_runs(scratch: Scratch) -> None:
    assert deploy(scratch, 1.92).code == 0
    changed = quality_definition(1.91)
    changed["Parameters"].append({"Name": "Depth", "Type": "Integer", "DefaultValue": 7})
    scratch.define(changed)
    scratch.commit("deeper", branch="deeper")
    done = scratch.deploy("--pull-request", "7")
    found = {each["name"]: each for each in done.report["parameters"]}
    assert found["Group"]["main"] == "quality"
    assert found["Group"]["differs"]
    assert found["Depth"]["main"] is None
    assert done.report["approvers"] == "the ml-leads team"
    assert [point["value"] for point in done.report["trends"][0]["points"]][-1] == 1.92
    scratch.git("checkout", "-q", "main")


def test_accounts_are_masked_by_option_but_for_the_outputs(
    scratch: Scratch, tmp_path: Path
) -> None:
    outputs = tmp_path / "outputs"
    scratch.environ["GITHUB_OUTPUT"] = str(outputs)
    masked = "report: {mask_accounts: true}\n"
    scratch.write("sagemaker-gitops.yaml", PROJECT + masked)
    scratch.define(quality_definition(1.9))
    scratch.commit("masked")
    done = scratch.deploy("--report", str(tmp_path / "report"))
    del scratch.environ["GITHUB_OUTPUT"]
    assert done.code == 0, done.err
    for ending in ("md", "json", "html"):
        text = (tmp_path / f"report.{ending}").read_text()
        assert "000000000000" not in text
        assert "xxxxxxxxxxxx" in text
    assert "arn:aws:sagemaker:us-east-1:000000000000:pipeline/quality/execution/" in (
        outputs.read_text()
    )


def test_a_report_is_shown_again(scratch: Scratch, history: Result, tmp_path: Path) -> None:
    """From SageMaker and from its JSON, in every form, and nothing is written on the way."""
    arn = history.report["execution"]["arn"]
    scratch.write("sagemaker-gitops.yaml", PROJECT + SETTINGS)
    again = scratch.run("report", arn, "--local", "--json")
    assert again.code == 0, again.err
    for told in ("verdict", "execution", "model_package", "trends", "cost", "parameters"):
        assert again.report[told] == history.report[told]
    # The checkout has moved on since, but its gates are still those that the execution ran by.
    assert again.report["notes"] == history.report["notes"]
    scratch.write("sagemaker-gitops.yaml", PROJECT.replace("maximum: 3.0", "maximum: 1.0"))
    stricter = scratch.run("report", arn, "--local", "--json").report
    assert any("started with other metrics or gates" in note for note in stricter["notes"])
    assert stricter["verdict"]["outcome"] == "gate_failed"
    held = tmp_path / "report.json"
    held.write_text(history.out)
    for form, begins in (("markdown", "<!-- sagemaker-gitops:"), ("html", "<!doctype html>")):
        shown = scratch.run("report", str(held), "--format", form)
        assert shown.out.startswith(begins)
        assert history.report["headline"] in shown.out
    assert scratch.run("report", arn, "--local", "--format", "json").out.startswith("{")
    written = scratch.run("report", str(held), "--out", str(tmp_path / "out.txt"))
    assert written.out == ""
    assert (tmp_path / "out.txt").read_text().startswith("✅ rmse 2")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"reports": [{}]}', "[" * 100_000])
def test_what_is_no_report_is_refused(scratch: Scratch, tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    done = scratch.run("report", str(file))
    assert done.code == 2
    assert "x.json" in done.err


def test_a_report_that_is_not_there_is_told_with_the_way_to_one(scratch: Scratch) -> None:
    done = scratch.run("report", "nope.json")
    assert done.code == 2
    assert "where: nope.json" in done.err
    assert "report ARN | PIPELINE" in done.err
