"""What a plan foretells of the next execution."""

import copy

from support.definitions import parsed, s3_output, small_pipeline
from support.planning import plan, runs

from ci.plan.diff import plan_changes
from ci.plan.model import Kind, PipelineState, Verdict


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


def test_a_parameter_that_is_given_another_value_runs_the_steps_that_read_it() -> None:
    side = PipelineState(definition=parsed(small_pipeline()))
    result = plan_changes(side, side, pipeline="p", given=frozenset({"Data"}))
    assert result.empty
    assert runs(result)["Prepare"].reasons == ("Data is given another value",)
    assert runs(result)["Train"].reasons == ("Prepare runs",)


def test_a_value_of_each_execution_defeats_the_cache() -> None:
    document = small_pipeline()
    now = {"Get": "Execution.StartDateTime"}
    document["Steps"][0]["Arguments"]["Environment"]["NOW"] = now
    result = plan(document, document)
    assert result.empty
    assert "StartDateTime" in runs(result)["Prepare"].reasons[0]
