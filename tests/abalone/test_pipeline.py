"""The reference pipeline of both SDKs compiles to the same steps, parameters and conditions."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.compiling import ROOT, make_target, sdk_python

from ci.compile.bundle import Bundle
from ci.compile.compile import compile_pipeline

pytestmark = pytest.mark.sdk
SOURCES = {
    "v3": ROOT / "pipelines" / "abalone" / "pipeline.py",
    "v2": ROOT / "tests" / "abalone" / "pipeline_v2" / "pipeline.py",
}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    return {
        version: compile_reference(version, tmp_path_factory.mktemp(version)) for version in SOURCES
    }


def compile_reference(version: str, scratch: Path, **kwargs: object) -> Bundle:
    target = make_target(SOURCES[version], python=sdk_python(version), kwargs=kwargs)
    return compile_pipeline(target, environ=os.environ, root=ROOT, scratch=scratch)


def document(bundle: Bundle) -> dict[str, Any]:
    return json.loads(bundle.definition)  # type: ignore[no-any-return]


def names(bundle: Bundle) -> list[tuple[str, str]]:
    return [(step["Name"], step["Type"]) for step in document(bundle)["Steps"]]


def check(bundle: Bundle) -> dict[str, Any]:
    return document(bundle)["Steps"][3]["Arguments"]  # type: ignore[no-any-return]


def test_steps_are_the_same(bundles: dict[str, Bundle]) -> None:
    expected = [
        ("PrepareAbalone", "Processing"),
        ("TrainAbalone", "Training"),
        ("EvaluateAbalone", "Processing"),
        ("CheckQuality", "Condition"),
    ]
    assert names(bundles["v3"]) == names(bundles["v2"]) == expected


def test_parameters_are_the_same(bundles: dict[str, Bundle]) -> None:
    parameters = document(bundles["v3"])["Parameters"]
    assert parameters == document(bundles["v2"])["Parameters"]
    assert [(item["Name"], item["Type"]) for item in parameters] == [
        ("InputData", "String"),
        ("TrainingInstanceType", "String"),
        ("RmseThreshold", "Float"),
        ("ModelApprovalStatus", "String"),
    ]


def test_the_gate_is_the_same(bundles: dict[str, Bundle]) -> None:
    v2, v3 = check(bundles["v2"]), check(bundles["v3"])
    assert v2["Conditions"] == v3["Conditions"]
    assert v2["ElseSteps"] == v3["ElseSteps"]
    assert [step["Name"] for step in v3["IfSteps"]] == ["RegisterAbalone", "DeployAbalone"]


def test_evaluation_goes_along_with_the_package(bundles: dict[str, Bundle]) -> None:
    for bundle in bundles.values():
        register = check(bundle)["IfSteps"][0]
        assert register["Type"] == "RegisterModel"
        assert register["Arguments"]["ModelApprovalStatus"] == {
            "Get": "Parameters.ModelApprovalStatus"
        }
        statistics = register["Arguments"]["ModelMetrics"]["ModelQuality"]["Statistics"]
        assert "evaluation.json" in json.dumps(statistics)


def test_only_what_does_not_look_at_the_champion_is_cached(bundles: dict[str, Bundle]) -> None:
    for bundle in bundles.values():
        steps = document(bundle)["Steps"]
        assert [step.get("CacheConfig", {}).get("Enabled") for step in steps] == [
            True, True, None, None,
        ]  # fmt: skip


def test_both_deploy_with_the_same_function(bundles: dict[str, Bundle]) -> None:
    (v2,), (v3,) = bundles["v2"].functions, bundles["v3"].functions
    assert (v2.name, v2.sha256) == (v3.name, v3.sha256)


def test_training_gets_its_code_and_no_more(bundles: dict[str, Bundle]) -> None:
    bundle = bundles["v3"]
    folder = next(key for key in bundle.artifacts if key.endswith("/train.py")).rpartition("/")[0]
    together = {key.rpartition("/")[2] for key in bundle.artifacts if key.startswith(folder)}
    assert together == {"train.py", "inference.py"}


@pytest.mark.parametrize("version", SOURCES)
def test_hyperparameters_reach_training_alone(
    version: str, bundles: dict[str, Bundle], tmp_path: Path
) -> None:
    forest = compile_reference(version, tmp_path, hyperparameters={"model": "forest"})
    before, after = document(bundles[version])["Steps"], document(forest)["Steps"]
    assert [a["Name"] for a, b in zip(before, after, strict=True) if a != b] == ["TrainAbalone"]
    assert "forest" in json.dumps(after[1]["Arguments"]["HyperParameters"]["model"])
