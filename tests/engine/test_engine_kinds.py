"""What each kind of step does on real processes, and when its result is taken from the cache."""

import io
import tarfile
from typing import Any

from support.engine_lab import Lab, processing, source, target

from ci.local.store import Document

DEPTH = [{"Name": "Depth", "Type": "Integer", "DefaultValue": 5}]
TWICE = {"Enabled": True, "ExpireAfter": "P30D"}


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
