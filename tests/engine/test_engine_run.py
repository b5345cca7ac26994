"""Executions on real processes: what runs, in which order, and what is left behind."""

import io
import json
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.engine_lab import Lab, processing, source, target

from ci.local.store import Document

DEPTH = [{"Name": "Depth", "Type": "Integer", "DefaultValue": 5}]
TWICE = {"Enabled": True, "ExpireAfter": "P30D"}


def test_data_goes_from_step_to_step_through_s3_and_properties(lab: Lab) -> None:
    lab.s3.objects["b/in/deep/a.txt"] = b"one"
    make = "import pathlib as p; t = p.Path('/opt/ml/processing/i/deep/a.txt').read_text()\n"
    make += "p.Path('/opt/ml/processing/o/b.txt').write_text(t + ' two')"
    show = "print(open('/opt/ml/processing/i/b.txt').read())\n"
    show += "print(open('/opt/ml/config/processingjobconfig.json').read())"
    first = processing(
        "First",
        make,
        ProcessingInputs=[source("i", "s3://b/in", "/opt/ml/processing/i")],
        ProcessingOutputConfig={
            "Outputs": [
                target(
                    "o",
                    {
                        "Std:Join": {
                            "On": "/",
                            "Values": ["s3://b", {"Get": "Execution.PipelineExecutionId"}],
                        }
                    },
                    "/opt/ml/processing/o",
                )
            ]
        },
    )
    second = processing(
        "Second",
        show,
        ProcessingInputs=[
            source(
                "i",
                {"Get": "Steps.First.ProcessingOutputConfig.Outputs['o'].S3Output.S3Uri"},
                "/opt/ml/processing/i",
            )
        ],
    )
    ended = lab.run([first, second])
    assert ended.status == "Succeeded", ended.reasons()
    assert lab.s3.objects["b/exec00000001/b.txt"] == b"one two"
    log = next(lab.home.glob("steps/*/Second/1/log")).read_text()
    assert "one two" in log
    job = ended.steps["Second"]["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    assert f'"ProcessingJobName": "{job}"' in log
    record = lab.store.get("processing_job", job)
    assert record is not None
    assert record["ProcessingJobStatus"] == "Completed"
    assert len(job) <= 63


def test_steps_without_a_path_between_them_overlap(lab: Lab) -> None:
    nap = "import time; time.sleep(0.5)"
    ended = lab.run([processing(f"s{n}", nap) for n in range(3)])
    starts = [body["StartTime"] for body in ended.steps.values()]
    ends = [body["EndTime"] for body in ended.steps.values()]
    assert max(starts) < min(ends)


def test_parallelism_is_bounded_by_the_configuration(lab: Lab) -> None:
    nap = "import time; time.sleep(0.1)"
    ended = lab.run([processing(f"s{n}", nap) for n in range(5)], parallel=2)
    marks = [(b["StartTime"], 1) for b in ended.steps.values()]
    marks += [(b["EndTime"], -1) for b in ended.steps.values()]
    running = peak = 0
    for _, change in sorted(marks):
        running += change
        peak = max(peak, running)
    assert peak == 2
    assert ended.status == "Succeeded"


def test_a_failed_step_ends_what_depends_on_it_alone(lab: Lab) -> None:
    ended = lab.run(
        [
            processing("Bad", "raise ValueError('no such column')"),
            processing("After", "pass", "Bad"),
            processing("Beside", "import time; time.sleep(0.3)"),
            processing("AfterBeside", "pass", "Beside"),
        ]
    )
    assert ended.status == "Failed"
    assert ended.body["FailureReason"] == "Step failure: One or multiple steps failed."
    assert ended.statuses() == {"Bad": "Failed", "Beside": "Succeeded", "AfterBeside": "Succeeded"}
    expected = "ClientError: AlgorithmError: ValueError: no such column, exit code: 1"
    assert ended.reason("Bad") == expected


def test_a_failure_file_is_the_reason(lab: Lab) -> None:
    script = "open('/opt/ml/output/failure', 'w').write('the data is empty'); raise SystemExit(3)"
    ended = lab.run([processing("Bad", script)])
    assert ended.reason("Bad") == "ClientError: AlgorithmError: the data is empty, exit code: 3"


def test_a_death_by_signal_shows_the_code_a_container_would(lab: Lab) -> None:
    ended = lab.run([processing("Bad", "import os; os.kill(os.getpid(), 9)")])
    assert ended.reason("Bad").endswith("exit code: 137")


def test_a_hanging_step_is_ended_at_its_limit(lab: Lab) -> None:
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    begun = time.monotonic()
    ended = lab.run([processing("Slow", script, StoppingCondition={"MaxRuntimeInSeconds": 1})])
    assert ended.status == "Failed"
    assert "MaxRuntimeExceeded" in ended.reason("Slow")
    assert time.monotonic() - begun < 10


def test_what_a_step_leaves_running_ends_with_it(lab: Lab) -> None:
    script = (
        "import subprocess, sys\n"
        "p = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        "open('/opt/ml/processing/o/pid', 'w').write(str(p.pid))"
    )
    outputs = {"Outputs": [target("o", "s3://b/o", "/opt/ml/processing/o")]}
    lab.run([processing("Leaves", script, ProcessingOutputConfig=outputs)])
    pid = int(lab.s3.objects["b/o/pid"])
    lab.until(lambda: not _alive(pid))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_environment_holds_no_secret_of_the_endpoint(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(environ={"PATH": "/usr/bin:/bin", "GITHUB_TOKEN": "secret"})
    script = "import os; print(dict(os.environ))"
    lab.run(
        [processing("Show", script, Environment={"SIZE": {"Get": "Parameters.Size"}})],
        declared=[{"Name": "Size", "Type": "Integer", "DefaultValue": 3}],
    )
    log = next(lab.home.glob("steps/*/Show/1/log")).read_text()
    assert "GITHUB_TOKEN" not in log
    assert "'SIZE': '3'" in log
    assert f"'AWS_ENDPOINT_URL': '{lab.s3.address}'" in log


def test_missing_input_names_the_uri(lab: Lab) -> None:
    inputs = [source("i", "s3://b/nothing", "/opt/ml/processing/i")]
    ended = lab.run([processing("Bad", "pass", ProcessingInputs=inputs)])
    assert 'No S3 objects found under S3 URL "s3://b/nothing"' in ended.reason("Bad")


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("import shutil; shutil.rmtree('/opt/ml/processing/o')", "does not exist"),
        (
            "import os; os.rmdir('/opt/ml/processing/o'); open('/opt/ml/processing/o', 'w')",
            "does not exist",
        ),
    ],
)
def test_an_output_folder_that_is_gone(lab: Lab, script: str, wanted: str) -> None:
    outputs = {"Outputs": [target("o", "s3://b/o", "/opt/ml/processing/o")]}
    ended = lab.run([processing("Bad", script, ProcessingOutputConfig=outputs)])
    assert ended.status == "Failed"
    assert wanted in ended.reason("Bad")


@pytest.mark.parametrize("local", ["/etc/x", "/opt/ml/../../etc", "relative"])
def test_a_path_outside_the_container_is_refused(lab: Lab, local: str) -> None:
    lab.s3.objects["b/in/a"] = b""
    ended = lab.run([processing("Bad", "pass", ProcessingInputs=[source("i", "s3://b/in", local)])])
    assert "is not under /opt/ml" in ended.reason("Bad")


def test_a_key_cannot_leave_its_folder(lab: Lab) -> None:
    lab.s3.objects["b/in/../../../../../../tmp/evil"] = b"x"
    inputs = [source("i", "s3://b/in", "/opt/ml/processing/i")]
    ended = lab.run([processing("Bad", "pass", ProcessingInputs=inputs)])
    assert "would leave its folder" in ended.reason("Bad")


@pytest.mark.parametrize("name", ["../../x", "a/b", "ünïcode", "x" * 300, " ", "-"])
def test_hostile_step_names_stay_in_their_folder(lab: Lab, name: str) -> None:
    ended = lab.run([processing(name, "print('ran')")])
    assert ended.status == "Succeeded", ended.reasons()
    assert len(list(lab.home.glob("steps/*/*/1/log"))) == 1


def test_a_program_that_does_not_exist(lab: Lab) -> None:
    step = processing("Bad", "")
    step["Arguments"]["AppSpecification"]["ContainerEntrypoint"] = ["no-such-program"]
    ended = lab.run([step])
    assert "no-such-program: No such file or directory" in ended.reason("Bad")


def test_an_unmapped_image_is_told_in_the_log(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(images=())
    ended = lab.run([processing("Plain", "print('ran')")])
    assert ended.status == "Succeeded"
    log = next(lab.home.glob("steps/*/Plain/1/log")).read_text()
    assert log.count("no local environment is mapped to the image image") == 1
    assert log.endswith("ran\n")


def test_a_huge_log_is_kept_and_the_reason_stays_short(lab: Lab) -> None:
    script = "import sys\nfor n in range(200_000): print('x' * 90, n)\nsys.exit('e' * 5000)"
    ended = lab.run([processing("Loud", script)])
    assert len(ended.reason("Loud")) <= 1024
    assert next(lab.home.glob("steps/*/Loud/1/log")).stat().st_size > 18_000_000


def _condition(
    name: str, conditions: list[Document], yes: list[Document], no: list[Document]
) -> Document:
    return {
        "Name": name,
        "Type": "Condition",
        "Arguments": {"Conditions": conditions, "IfSteps": yes, "ElseSteps": no},
    }


def _evaluation(value: str) -> Document:
    text = f'{{"m": {{"mse": {{"value": {value}}}}}}}'
    script = f"open('/opt/ml/processing/o/e.json', 'w').write({text!r})"
    return processing(
        "Evaluate",
        script,
        ProcessingOutputConfig={"Outputs": [target("o", "s3://b/e", "/opt/ml/processing/o")]},
        PropertyFiles=[{"PropertyFileName": "E", "OutputName": "o", "FilePath": "e.json"}],
    )


_MSE = {
    "Std:JsonGet": {
        "PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.E"},
        "Path": "m.mse.value",
    }
}


def _gate(yes: list[Document], no: list[Document]) -> Document:
    low = {"Type": "LessThanOrEqualTo", "LeftValue": _MSE, "RightValue": 6.0}
    return _condition("Gate", [low], yes, no)


def test_a_condition_takes_one_branch_and_not_the_other(lab: Lab) -> None:
    inner = _condition(
        "Inner",
        [{"Type": "Not", "Condition": {"Type": "Equals", "LeftValue": "a", "RightValue": "a"}}],
        [processing("InnerYes", "pass")],
        [processing("InnerNo", "pass")],
    )
    ended = lab.run(
        [
            _evaluation("4.2"),
            _gate([inner], [processing("No", "pass")]),
            processing("AfterNo", "pass", "No"),
            processing("AfterInner", "pass", "InnerNo"),
        ]
    )
    assert ended.status == "Succeeded", ended.reasons()
    assert set(ended.steps) == {"Evaluate", "Gate", "Inner", "InnerNo", "AfterInner"}
    assert ended.steps["Gate"]["Metadata"] == {"Condition": {"Outcome": "True"}}
    assert ended.steps["Inner"]["Metadata"] == {"Condition": {"Outcome": "False"}}


def test_a_fail_step_says_why(lab: Lab) -> None:
    fail = {
        "Name": "TooBad",
        "Type": "Fail",
        "Arguments": {
            "ErrorMessage": {"Std:Join": {"On": " ", "Values": ["MSE is", _MSE, "above 6"]}}
        },
    }
    ended = lab.run([_evaluation("7.5"), _gate([processing("Yes", "pass")], [fail])])
    assert ended.status == "Failed"
    assert ended.body["FailureReason"] == "MSE is 7.5 above 6"
    assert ended.steps["TooBad"]["Metadata"] == {"Fail": {"ErrorMessage": "MSE is 7.5 above 6"}}
    assert "Yes" not in ended.steps


def test_a_metric_that_is_nan_fails_the_condition(lab: Lab) -> None:
    ended = lab.run([_evaluation("NaN"), _gate([], [])])
    assert ended.status == "Failed"
    assert "s3://b/e/e.json contains NaN" in ended.reason("Gate")


def _training(name: str, script: str, **more: Any) -> Document:
    return {
        "Name": name,
        "Type": "Training",
        "Arguments": {
            "AlgorithmSpecification": {
                "TrainingImage": "image",
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["python3", "-c", script],
                **more.pop("algorithm", {}),
            },
            "OutputDataConfig": {"S3OutputPath": "s3://b/out/"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "RoleArn": "arn:aws:iam::000000000000:role/local",
            **more,
        },
    }


def test_training_has_its_contract(lab: Lab) -> None:
    lab.s3.objects["b/train/x.csv"] = b"1,2"
    script = (
        "import json, os\n"
        "print(open('/opt/ml/input/data/train/x.csv').read())\n"
        "hp = json.load(open('/opt/ml/input/config/hyperparameters.json'))\n"
        "assert hp == {'eta': '0.3', 'depth': '5'}, hp\n"
        "assert os.environ['SM_CHANNEL_TRAIN'] == '/opt/ml/input/data/train'\n"
        "assert json.load(open('/opt/ml/input/config/resourceconfig.json'))['current_host']\n"
        "open('/opt/ml/model/model.bin', 'w').write('weights')\n"
        "open('/opt/ml/output/data/plot.txt', 'w').write('plot')\n"
        "print('rmse=2.5'); print('rmse=1.5'); print('rmse=nan')"
    )
    step = _training(
        "Train",
        script,
        algorithm={"MetricDefinitions": [{"Name": "rmse", "Regex": "rmse=([0-9.a-z]+)"}]},
        HyperParameters={"eta": "0.3", "depth": {"Get": "Parameters.Depth"}},
        InputDataConfig=[
            {
                "ChannelName": "train",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/train"}},
            }
        ],
    )
    show = processing(
        "Show",
        "import tarfile as t; print(t.open('/opt/ml/processing/m/model.tar.gz').getnames())",
        ProcessingInputs=[
            source(
                "m", {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}, "/opt/ml/processing/m"
            )
        ],
    )
    ended = lab.run(
        [step, show], declared=[{"Name": "Depth", "Type": "Integer", "DefaultValue": 5}]
    )
    assert ended.status == "Succeeded", ended.reasons()
    job = ended.steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
    model = lab.s3.objects[f"b/out/{job}/output/model.tar.gz"]
    with tarfile.open(fileobj=io.BytesIO(model)) as tar:
        assert tar.getnames() == ["model.bin"]
    assert f"b/out/{job}/output/output.tar.gz" in lab.s3.objects
    record = lab.store.get("training_job", job) or {}
    assert [(m["MetricName"], m["Value"]) for m in record["FinalMetricDataList"]] == [("rmse", 1.5)]
    assert record["SecondaryStatus"] == "Completed"
    log = next(lab.home.glob("steps/*/Show/1/log")).read_text()
    assert "['model.bin']" in log


def test_script_mode_is_the_toolkits(lab: Lab) -> None:
    code = (
        b"import argparse, os\n"
        b"p = argparse.ArgumentParser(); p.add_argument('--eta', type=float)\n"
        b"p.add_argument('--name'); a = p.parse_args()\n"
        b"print(a, os.environ['SM_HP_ETA'], os.getcwd())\n"
        b"raise RuntimeError('diverged')\n"
    )
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo("train.py")
        info.size = len(code)
        tar.addfile(info, io.BytesIO(code))
    lab.s3.objects["b/code/sourcedir.tar.gz"] = packed.getvalue()
    step = _training(
        "Train",
        "",
        HyperParameters={
            "eta": "0.25",
            "name": '"two words"',
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": '"s3://b/code/sourcedir.tar.gz"',
        },
    )
    del step["Arguments"]["AlgorithmSpecification"]["ContainerEntrypoint"]
    ended = lab.run([step])
    assert "ExecuteUserScriptError" in ended.reason("Train")
    assert 'ErrorMessage "RuntimeError: diverged"' in ended.reason("Train")
    log = next(lab.home.glob("steps/*/Train/1/log")).read_text()
    assert "Namespace(eta=0.25, name='two words') 0.25 /opt/ml/code" in log


def test_register_model_and_model_go_through_the_api(lab: Lab) -> None:
    package = "arn:aws:sagemaker:us-east-1:000000000000:model-package/g/1"
    lab.answers = {
        "CreateModelPackageGroup": lambda _: {},
        "CreateModelPackage": lambda _: {"ModelPackageArn": package},
        "DescribeModelPackage": lambda _: {"ModelPackageArn": package, "ModelPackageVersion": 1},
        "CreateModel": lambda r: {"ModelArn": f"arn:model/{r['ModelName']}"},
        "DescribeModel": lambda r: {"ModelName": r["ModelName"]},
    }
    register = {
        "Name": "Register",
        "Type": "RegisterModel",
        "Arguments": {"ModelPackageGroupName": "g", "ModelPackageDescription": None},
    }
    model = {
        "Name": "Model",
        "Type": "Model",
        "Arguments": {
            "Containers": [{"ModelPackageName": {"Get": "Steps.Register.ModelPackageArn"}}]
        },
    }
    ended = lab.run([register, model])
    assert ended.status == "Succeeded", ended.reasons()
    assert ended.steps["Register"]["Metadata"] == {"RegisterModel": {"Arn": package}}
    requests = dict(lab.calls)
    assert requests["CreateModelPackage"]["MetadataProperties"] == {"GeneratedBy": ended.arn}
    assert "ModelPackageDescription" not in requests["CreateModelPackage"]
    assert requests["CreateModel"]["Containers"] == [{"ModelPackageName": package}]


def test_a_second_run_takes_the_results_of_the_first(lab: Lab) -> None:
    steps = [processing("A", "pass", CacheConfig=TWICE), processing("B", "pass", "A")]
    first, second = lab.run(steps), lab.run(steps)
    hit = {"SourcePipelineExecutionArn": first.arn}
    assert second.steps["A"]["CacheHitResult"] == hit
    assert second.steps["A"]["Metadata"] == first.steps["A"]["Metadata"]
    assert "CacheHitResult" not in second.steps["B"]
    third = lab.run(steps)
    assert third.steps["A"]["CacheHitResult"] == hit


def test_a_changed_argument_misses_the_cache_and_an_output_does_not(lab: Lab) -> None:
    def step(script: str, uri: str) -> Document:
        outputs = {"Outputs": [target("o", uri, "/opt/ml/processing/o")]}
        return processing("A", script, ProcessingOutputConfig=outputs, CacheConfig=TWICE)

    lab.run([step("pass", "s3://b/1")])
    assert "CacheHitResult" in lab.run([step("pass", "s3://b/2")]).steps["A"]
    assert "CacheHitResult" not in lab.run([step("pass # new", "s3://b/1")]).steps["A"]


def test_a_failed_result_is_never_taken(lab: Lab) -> None:
    step = processing("A", "raise SystemExit(1)", CacheConfig=TWICE)
    lab.run([step])
    assert lab.run([step]).statuses() == {"A": "Failed"}


def test_stop_ends_running_steps_and_starts_no_more(lab: Lab) -> None:
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('up', flush=True); time.sleep(60)"
    )
    arn = lab.record([processing("Slow", script), processing("Next", "pass", "Slow")])
    lab.engine.submit(arn)
    lab.until(lambda: "up" in "".join(f.read_text() for f in lab.home.glob("steps/*/Slow/1/log")))
    lab.engine.stop(arn)
    assert (lab.store.get("execution", arn) or {})["PipelineExecutionStatus"] == "Stopping"
    ended = lab.finish(arn, 10)
    assert ended.status == "Stopped"
    assert ended.statuses() == {"Slow": "Stopped"}


def test_retry_keeps_what_succeeded(lab: Lab) -> None:
    script = "import sys; sys.exit(0 if open('/opt/ml/processing/i/ok').read() == 'yes' else 1)"
    lab.s3.objects["b/i/ok"] = b"no"
    inputs = [source("i", "s3://b/i", "/opt/ml/processing/i")]
    steps = [
        processing("A", "pass"),
        processing("B", script, "A", ProcessingInputs=inputs),
        processing("C", "pass", "B"),
    ]
    failed = lab.run(steps)
    assert failed.statuses() == {"A": "Succeeded", "B": "Failed"}
    lab.s3.objects["b/i/ok"] = b"yes"
    lab.engine.retry(failed.arn)
    ended = lab.finish(failed.arn)
    assert ended.status == "Succeeded"
    assert "FailureReason" not in ended.body
    assert ended.steps["A"] == failed.steps["A"]
    assert len(list(lab.home.glob("steps/*/A/*"))) == 1
    assert len(list(lab.home.glob("steps/*/B/*"))) == 2


@pytest.mark.parametrize("mode", ["root", "user"])
def test_every_kind_of_isolation_gives_each_step_its_own_folder(
    make_lab: Callable[..., Lab], mode: str
) -> None:
    lab = make_lab(isolation=mode)
    script = (
        "import os, time; open('/opt/ml/mine', 'w').write('x'); time.sleep(0.2)\n"
        "assert sorted(os.listdir('/opt/ml')).count('mine') == 1; print(os.listdir('/opt'))"
    )
    ended = lab.run([processing(f"s{n}", script) for n in range(3)])
    assert ended.status == "Succeeded", ended.reasons()


def test_no_isolation_is_refused_with_the_way_out(make_lab: Callable[..., Lab]) -> None:
    ended = make_lab(isolation="none").run([processing("Bad", "pass")])
    assert "Allow user namespaces" in ended.reason("Bad")


def test_a_signal_to_the_group_reaches_children(lab: Lab) -> None:
    script = (
        "import subprocess, sys; p = subprocess.Popen(['sleep', '60'])\n"
        "print('up', flush=True); sys.exit(p.wait())"
    )
    arn = lab.record([processing("Parent", script)])
    lab.engine.submit(arn)
    lab.until(lambda: any("up" in f.read_text() for f in lab.home.glob("steps/*/Parent/1/log")))
    own = json.loads(next(lab.home.glob("steps/*/Parent/1/process")).read_text())
    lab.engine.stop(arn)
    assert lab.finish(arn, 10).status == "Stopped"
    assert not _alive(own["pid"])
