"""What a plan tells of two definitions, and what it leaves out."""

import copy
import gzip
import io
import json
import random
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.definitions import parsed, processing, s3_input, s3_output, small_pipeline

from ci.compile.bundle import Artifact, Bundle, Function
from ci.definition.canonical import canonical_bytes
from ci.plan.diff import plan_changes
from ci.plan.model import Files, Kind, PipelineState, Plan, StepRun, Verdict, no_files
from ci.plan.normal import branches, flat_step
from ci.plan.states import deployed_state, wanted_state
from ci.plan.tree import apply_changes, diff_values
from ci.sagemaker.model import DeployedPipeline

ACCEPTED = sorted((Path(__file__).parents[1] / "definition" / "accepted").glob("*.json"))
OLD_SHA, NEW_SHA = "a" * 64, "b" * 64


def plan(
    old: object,
    new: object,
    *,
    old_files: Files = no_files,
    new_files: Files = no_files,
    **members: Any,
) -> Plan:
    return plan_changes(
        PipelineState(definition=parsed(new), files=new_files, **members),
        PipelineState(definition=parsed(old), files=old_files),
        pipeline="abalone",
    )


def runs(result: Plan) -> dict[str, StepRun]:
    return {run.name: run for run in result.runs}


def with_code(sha: str, *, bucket: str = "b", name: str = "prepare.py") -> dict[str, Any]:
    document = small_pipeline()
    document["Steps"][0]["Arguments"]["ProcessingInputs"].append(
        s3_input("code", f"s3://{bucket}/sagemaker-gitops/{sha}/{name}")
    )
    return document


def files(content: Mapping[str, bytes]) -> Files:
    return lambda address: content


def tar(members: Mapping[str, bytes], *, time: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, body in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(body), time
            archive.addfile(info, io.BytesIO(body))
    return gzip.compress(stream.getvalue(), mtime=time)


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


def shuffled(value: Any, order: random.Random) -> Any:
    """The same definition in another order: keys, steps, parameters, named lists."""
    if isinstance(value, dict):
        items = [(key, shuffled(member, order)) for key, member in value.items()]
        order.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        items_ = [shuffled(item, order) for item in value]
        naming = {"Name", "InputName", "OutputName", "ChannelName", "Key"}
        if all(isinstance(item, dict) and naming & item.keys() for item in items_):
            order.shuffle(items_)
        return items_
    return value


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


def test_a_changed_argument_runs_the_step_and_all_that_its_values_reach() -> None:
    document = small_pipeline()
    document["Steps"][0]["Arguments"]["Environment"]["LEVEL"] = "debug"
    result = plan(small_pipeline(), document)
    (change,) = result.steps
    assert (change.name, change.kind) == ("Prepare", Kind.CHANGED)
    (argument,) = change.changes
    assert argument.path == ("Arguments", "Environment", "LEVEL")
    assert (argument.old, argument.new) == ("info", "debug")
    assert runs(result)["Prepare"].reasons == ("Environment changed",)
    assert runs(result)["Train"].reasons == ("Prepare runs",)


def test_what_is_no_part_of_the_cache_key_changes_and_is_spared() -> None:
    document = small_pipeline()
    resources = document["Steps"][1]["Arguments"]["ResourceConfig"]
    resources["InstanceType"] = "ml.m5.xlarge"
    result = plan(small_pipeline(), document)
    assert [change.name for change in result.steps] == ["Train"]
    assert runs(result)["Train"].verdict is Verdict.CACHE


def test_a_fixed_output_hides_new_data_from_the_cache_and_the_plan_says_so() -> None:
    old = small_pipeline()
    old["Steps"][0]["Arguments"]["ProcessingOutputConfig"]["Outputs"][0] = s3_output(
        "train", "s3://b/always/here"
    )
    new = copy.deepcopy(old)
    new["Steps"][0]["Arguments"]["Environment"]["LEVEL"] = "debug"
    train = runs(plan(old, new))["Train"]
    assert (train.verdict, train.stale) == (Verdict.CACHE, ("Prepare",))


def test_a_moved_default_runs_the_steps_that_read_it() -> None:
    document = small_pipeline()
    document["Parameters"][0]["DefaultValue"] = "s3://b/new.csv"
    result = plan(small_pipeline(), document)
    (change,) = result.parameters
    assert (change.name, change.kind) == ("Data", Kind.CHANGED)
    assert runs(result)["Prepare"].reasons == ("default of Data changed",)
    assert runs(result)["Train"].verdict is Verdict.RUN


def test_a_value_of_each_execution_defeats_the_cache() -> None:
    document = small_pipeline()
    now = {"Get": "Execution.StartDateTime"}
    document["Steps"][0]["Arguments"]["Environment"]["NOW"] = now
    result = plan(document, document)
    assert result.empty
    assert "StartDateTime" in runs(result)["Prepare"].reasons[0]


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


def test_a_renamed_step_is_one_step_and_references_to_it_are_no_change() -> None:
    text = json.dumps(small_pipeline())
    renamed = json.loads(text.replace("Prepare", "Split").replace("Better", "Check"))
    result = plan(small_pipeline(), renamed)
    assert {(c.old_name, c.name, c.kind, c.changes) for c in result.steps} == {
        ("Prepare", "Split", Kind.RENAMED, ()),
        ("Better", "Check", Kind.RENAMED, ()),
    }
    assert runs(result)["Split"].reasons == ("renamed from Prepare",)


def test_a_rename_that_comes_with_a_change_is_a_removal_and_an_addition() -> None:
    document = json.loads(json.dumps(small_pipeline()).replace("Prepare", "Split"))
    document["Steps"][0]["Arguments"]["Environment"]["LEVEL"] = "debug"
    kinds = {(c.name, c.kind) for c in plan(small_pipeline(), document).steps}
    assert {("Prepare", Kind.REMOVED), ("Split", Kind.ADDED)} <= kinds


def test_two_equal_steps_that_are_renamed_are_not_guessed_at() -> None:
    old, new = small_pipeline(), small_pipeline()
    old["Steps"] += [processing("A"), processing("B")]
    new["Steps"] += [processing("C"), processing("D")]
    result = plan(old, new)
    assert {change.kind for change in result.steps} == {Kind.ADDED, Kind.REMOVED}


def test_a_step_that_changes_its_branch_is_a_change() -> None:
    document = small_pipeline()
    arguments = document["Steps"][3]["Arguments"]
    arguments["ElseSteps"].append(arguments["IfSteps"].pop())
    (change,) = plan(small_pipeline(), document).steps
    assert change.name == "Deploy"
    assert (change.changes[0].old, change.changes[0].new) == ("Better / if", "Better / else")


def test_code_is_told_by_its_lines_and_not_by_its_hash() -> None:
    result = plan(
        with_code(OLD_SHA),
        with_code(NEW_SHA),
        old_files=files({"prepare.py": b"a = 1\nb = 2\n"}),
        new_files=files({"prepare.py": b"a = 1\nb = 3\n"}),
    )
    (change,) = result.steps
    assert change.changes == ()
    (code,) = change.code
    (file,) = code.files
    assert (file.path, file.added, file.removed) == ("prepare.py", 1, 1)
    assert "-b = 2\n+b = 3" in file.diff
    assert runs(result)["Prepare"].reasons == ("code changed (prepare.py)",)


def test_the_place_of_an_artifact_is_noise() -> None:
    result = plan(with_code(OLD_SHA), with_code(OLD_SHA, bucket="elsewhere"))
    assert result.empty


def test_an_archive_that_was_packed_anew_is_no_change() -> None:
    members = {"train.py": b"x = 1\n", "lib/a.py": b""}
    result = plan(
        with_code(OLD_SHA, name="sourcedir.tar.gz"),
        with_code(NEW_SHA, name="sourcedir.tar.gz"),
        old_files=files({"sourcedir.tar.gz": tar(members, time=1)}),
        new_files=files({"sourcedir.tar.gz": tar(members, time=2)}),
    )
    assert result.empty
    assert runs(result)["Prepare"].reasons == ("its code has a new address, with equal content",)


def test_archives_are_compared_file_by_file() -> None:
    old = {"train.py": b"x = 1\n", "gone.py": b"1\n", "data.bin": b"\0\1"}
    new = {"train.py": b"x = 2\n", "new.py": b"2\n", "data.bin": b"\0\1\2"}
    result = plan(
        with_code(OLD_SHA, name="sourcedir.tar.gz"),
        with_code(NEW_SHA, name="sourcedir.tar.gz"),
        old_files=files({"sourcedir.tar.gz": tar(old, time=1)}),
        new_files=files({"sourcedir.tar.gz": tar(new, time=1)}),
    )
    found = {file.path: file for file in result.steps[0].code[0].files}
    assert {path: file.kind for path, file in found.items()} == {
        "train.py": Kind.CHANGED,
        "gone.py": Kind.REMOVED,
        "new.py": Kind.ADDED,
        "data.bin": Kind.CHANGED,
    }
    assert found["data.bin"].note == "2 -> 3 bytes"


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b broken", tar({}, time=1)[:20]])
def test_a_broken_archive_is_a_file_like_any_other(data: bytes) -> None:
    result = plan(
        with_code(OLD_SHA, name="x.tar.gz"),
        with_code(NEW_SHA, name="x.tar.gz"),
        old_files=files({"x.tar.gz": data}),
        new_files=files({"x.tar.gz": tar({"a.py": b"1\n"}, time=1)}),
    )
    assert [file.path for file in result.steps[0].code[0].files]


def test_files_out_of_reach_leave_the_change_visible() -> None:
    (change,) = plan(with_code(OLD_SHA), with_code(NEW_SHA)).steps
    assert change.code[0].unreadable == ("old", "new")
    assert (change.code[0].old, change.code[0].new) == (OLD_SHA, NEW_SHA)


def test_an_image_digest_is_no_artifact() -> None:
    old, new = small_pipeline(), small_pipeline()
    for document, sha in ((old, OLD_SHA), (new, NEW_SHA)):
        app = document["Steps"][0]["Arguments"]["AppSpecification"]
        app["ImageUri"] = f"0.dkr.ecr.us-east-1.amazonaws.com/image@sha256:{sha}"
    (change,) = plan(old, new).steps
    assert change.changes[0].path[-1] == "ImageUri"


def test_what_is_never_the_same_twice_is_masked() -> None:
    old, new = small_pipeline(), small_pipeline()
    old["Steps"][0]["Arguments"]["Environment"]["BUILT"] = "at-2026-01-01-x"
    new["Steps"][0]["Arguments"]["Environment"]["BUILT"] = "at-2026-02-02-x"
    assert plan(old, new, masks=("2026-02-02",)).empty
    new["Steps"][0]["Arguments"]["Environment"]["BUILT"] = "at-2026-02-02-y"
    assert not plan(old, new, masks=("2026-02-02",)).empty


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


# --- the structural difference

SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, 1.0, "", "a", "b"])
NAMED = st.lists(
    st.fixed_dictionaries({"Name": st.sampled_from("abcd")}, optional={"v": SCALARS}),
    max_size=4,
    unique_by=lambda item: item["Name"],
)
VALUES = st.recursive(
    SCALARS | NAMED,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)
    ),
    max_leaves=16,
)


def in_order(value: Any) -> Any:
    """A value with every list of named elements sorted, as the difference reads it."""
    if isinstance(value, dict):
        return {key: in_order(member) for key, member in value.items()}
    if isinstance(value, list):
        items = [in_order(item) for item in value]
        if all(isinstance(item, dict) and isinstance(item.get("Name"), str) for item in items):
            names = [item["Name"] for item in items]
            if len(set(names)) == len(names):
                return sorted(items, key=lambda item: item["Name"])
        return items
    return value


@given(VALUES, VALUES)
@settings(max_examples=400)
def test_old_and_difference_make_new(old: object, new: object) -> None:
    changes = diff_values(old, new)
    made = apply_changes(old, changes)
    assert canonical_bytes(in_order(made)) == canonical_bytes(in_order(new))


@given(VALUES)
def test_a_value_does_not_differ_from_itself(value: object) -> None:
    assert diff_values(value, copy.deepcopy(value)) == ()


@pytest.mark.parametrize("pair", [(1, 1.0), (1, True), (0, False), ("1", 1), (None, 0)])
def test_values_that_only_python_takes_for_equal_differ(pair: tuple[object, object]) -> None:
    old, new = pair
    assert len(diff_values({"a": [old]}, {"a": [new]})) == 1
    document, other = small_pipeline(), small_pipeline()
    document["Steps"][0]["Arguments"]["X"] = old
    other["Steps"][0]["Arguments"]["X"] = new
    assert not plan(document, other).empty


@st.composite
def edited_pipelines(draw: st.DrawFn) -> dict[str, Any]:
    """The small pipeline after some edits that keep its names."""
    document = small_pipeline()
    for step in draw(st.lists(st.sampled_from([0, 1, 2]), max_size=3)):
        arguments = document["Steps"][step]["Arguments"]
        key = draw(st.sampled_from([*arguments, "New"]))
        arguments[key] = draw(VALUES)
    return document


@given(edited_pipelines(), edited_pipelines())
@settings(max_examples=60)
def test_no_change_of_a_step_is_lost(old: dict[str, Any], new: dict[str, Any]) -> None:
    before, after = parsed(old), parsed(new)
    result = plan_changes(
        PipelineState(definition=after), PipelineState(definition=before), pipeline="p"
    )
    changed = {change.name: change for change in result.steps}
    flat = {step.name: flat_step(step, branches(before)[step.name]) for step in before.walk()}
    for step in after.walk():
        wanted = flat_step(step, branches(after)[step.name]).document
        changes = changed[step.name].changes if step.name in changed else ()
        made = apply_changes(flat[step.name].document, changes)
        assert canonical_bytes(in_order(made)) == canonical_bytes(in_order(wanted))
