"""What a plan tells of two definitions, and what it leaves out."""

import io
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.definitions import parsed, processing, small_pipeline
from support.planning import plan, runs, shuffled

from ci.compile.bundle import Artifact, Bundle, Function
from ci.definition.canonical import canonical_bytes
from ci.plan.diff import plan_changes
from ci.plan.model import Kind, PipelineState, Plan, Verdict
from ci.plan.states import deployed_state, wanted_state
from ci.sagemaker.model import DeployedPipeline

ACCEPTED = sorted((Path(__file__).parents[1] / "definition" / "accepted").glob("*.json"))
OLD_SHA, NEW_SHA = "a" * 64, "b" * 64


def test_the_plan_of_equal_definitions_is_empty_and_spares_what_is_cached() -> None:
    result = plan(small_pipeline(), small_pipeline())
    assert result.empty
    verdicts = {name: run.verdict for name, run in runs(result).items()}
    assert verdicts == {
        "Prepare": Verdict.CACHE,
        "Train": Verdict.CACHE,
        "Evaluate": Verdict.ALWAYS,
        "Register": Verdict.ALWAYS,
        "Deploy": Verdict.ALWAYS,
    }
    assert runs(result)["Deploy"].branch_of == "Better"


@pytest.mark.parametrize("file", ACCEPTED, ids=lambda file: file.stem)
def test_what_the_sdk_writes_is_equal_to_itself_in_any_order(file: Path) -> None:
    document = json.loads(file.read_bytes())
    assert plan(document, shuffled(document, random.Random(1))).empty


@given(st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_order_is_noise(order: random.Random) -> None:
    assert plan(small_pipeline(), shuffled(small_pipeline(), order)).empty


def test_null_members_and_empty_ones_outside_the_steps_are_noise() -> None:
    document = small_pipeline()
    document |= {"Metadata": {}, "MlflowConfig": None}
    document["Steps"][0]["Description"] = None
    document["Steps"][1]["DependsOn"] = []
    assert plan(small_pipeline(), document).empty


def test_added_and_removed_steps_and_parameters() -> None:
    document = small_pipeline()
    document["Steps"][3]["Arguments"]["IfSteps"].pop()
    document["Steps"].append(processing("Extra"))
    document["Parameters"][2]["Name"] = "Number"
    result = plan(small_pipeline(), document)
    assert {(c.name, c.kind) for c in result.steps} == {
        ("Deploy", Kind.REMOVED),
        ("Extra", Kind.ADDED),
    }
    assert {(c.name, c.kind) for c in result.parameters} == {
        ("Number", Kind.ADDED),
        ("Count", Kind.REMOVED),
    }
    assert runs(result)["Extra"].reasons == ("added",)


def test_a_step_that_changes_its_branch_is_a_change() -> None:
    document = small_pipeline()
    arguments = document["Steps"][3]["Arguments"]
    arguments["ElseSteps"].append(arguments["IfSteps"].pop())
    (change,) = plan(small_pipeline(), document).steps
    assert change.name == "Deploy"
    assert (change.changes[0].old, change.changes[0].new) == ("Better / if", "Better / else")


def test_what_is_never_the_same_twice_is_masked() -> None:
    old, new = small_pipeline(), small_pipeline()
    old["Steps"][0]["Arguments"]["Environment"]["BUILT"] = "at-2026-01-01-x"
    new["Steps"][0]["Arguments"]["Environment"]["BUILT"] = "at-2026-02-02-x"
    assert plan(old, new, masks=("2026-02-02",)).empty
    new["Steps"][0]["Arguments"]["Environment"]["BUILT"] = "at-2026-02-02-y"
    assert not plan(old, new, masks=("2026-02-02",)).empty


def test_code_of_functions_as_steps_that_changed_is_told_by_the_digest_alone() -> None:
    old, new = small_pipeline(), small_pipeline()
    old["Steps"][0]["Arguments"]["Environment"]["KEY"] = "k1"
    new["Steps"][0]["Arguments"]["Environment"]["KEY"] = "k2"

    def planned(deployed: str) -> Plan:
        return plan_changes(
            PipelineState(definition=parsed(new), identity="d2", masks=("k2",)),
            PipelineState(definition=parsed(old), tags={"sagemaker-gitops:digest": deployed}),
            pipeline="abalone",
            volatile=("Add", "Double"),
        )

    assert planned("d2").empty
    (change,) = planned("d1").settings
    assert (change.name, change.old) == ("code of functions as steps (Add, Double)", "d1")
    new["Steps"][0]["Arguments"]["Environment"]["LEVEL"] = "debug"
    assert planned("d1").settings == ()
    assert len(planned("d1").steps) == 1


def test_settings_of_the_pipeline() -> None:
    deployed = DeployedPipeline(
        name="abalone",
        arn="arn:aws:sagemaker:us-east-1:000000000000:pipeline/abalone",
        definition=canonical_bytes(small_pipeline()),
        role="arn:old",
        parallelism=2,
        tags={"team": "a", "sagemaker-gitops:commit": "1", "cost": "x"},
    )
    wanted = PipelineState(
        definition=parsed(small_pipeline()),
        role="arn:new",
        parallelism=4,
        tags={"team": "b", "sagemaker-gitops:commit": "2"},
    )
    result = plan_changes(wanted, deployed_state(deployed), pipeline="abalone")
    assert {(c.name, c.old, c.new) for c in result.settings} == {
        ("role", "arn:old", "arn:new"),
        ("parallelism", 2, 4),
        ("tag team", "a", "b"),
    }


def test_a_bundle_is_one_side_and_nothing_is_the_other(tmp_path: Path) -> None:
    code = tmp_path / "code"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("handler.py", "x = 1\n")
    code.write_bytes(stream.getvalue())
    key = f"sagemaker-gitops/{NEW_SHA}/deploy.zip"
    bundle = Bundle(
        definition=canonical_bytes(small_pipeline()),
        digest="d",
        bucket="b",
        prefix="sagemaker-gitops",
        artifacts={key: Artifact(sha256=NEW_SHA, name="deploy.zip", size=1, path=code, key=key)},
        functions=(Function(name="deploy", arn="arn", sha256=NEW_SHA, configuration={"T": 3}),),
    )
    state = wanted_state(bundle, role="r")
    result = plan_changes(state, None, pipeline="abalone")
    assert not result.exists
    assert not result.empty
    assert {change.kind for change in result.steps} == {Kind.ADDED}
    assert len(result.steps) == 7
    assert {run.reasons for run in result.runs} == {("first execution",)}
    assert state.files(f"s3://b/sagemaker-gitops/{NEW_SHA}") == {"deploy.zip": code.read_bytes()}
    assert state.files(NEW_SHA) is not None
    assert state.files(OLD_SHA) is None


def test_the_digest_moves_with_either_side_and_with_nothing_else() -> None:
    document = small_pipeline()
    document["Steps"][0]["Arguments"]["Environment"]["LEVEL"] = "debug"
    first = plan(small_pipeline(), document)
    assert first.digest == plan(small_pipeline(), shuffled_keys(document)).digest
    others = [
        plan(document, small_pipeline()),
        plan(document, document),
        plan(small_pipeline(), document, role="r"),
    ]
    assert len({first.digest, *(other.digest for other in others)}) == 4
    assert (first.wanted, first.deployed) == (others[0].deployed, others[0].wanted)


def shuffled_keys(document: dict[str, Any]) -> dict[str, Any]:
    return dict(reversed(document.items()))
