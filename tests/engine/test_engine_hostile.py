"""Steps that reach out of their folder, ask for what is not there, or talk too much."""

from collections.abc import Callable

import pytest
from support.engine_lab import Lab, processing, source, target


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


def test_a_step_whose_folder_cannot_be_made_fails(lab: Lab) -> None:
    lab.home.mkdir(parents=True, exist_ok=True)
    (lab.home / "steps").write_text("in the way")
    ended = lab.run([processing("Lost", "pass")])
    assert ended.status == "Failed"
    assert ended.reason("Lost").startswith("InternalServerError: Not a directory")


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


def test_a_description_of_several_lines_is_told_on_one(lab: Lab) -> None:
    step = processing("Prepare", "pass") | {"Description": "reads\r\nand\u2028writes"}
    ended = lab.run([step | {"DisplayName": "Prepare\n"}])
    told = ended.steps["Prepare"]
    assert (told["StepDescription"], told["StepDisplayName"]) == ("reads and writes", "Prepare")
    assert ended.status == "Succeeded"
