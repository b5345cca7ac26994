"""Bundles of both SDKs: the same from every folder, time and umask, and nothing lost on the way."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.compiling import BUCKET, PREFIX, ROOT, make_target, sdk_python

from ci.compile.bundle import Bundle
from ci.compile.compile import compile_pipeline
from ci.compile.store import read_bundle
from ci.errors import CompileError

pytestmark = pytest.mark.sdk
ZOO = Path(__file__).parent / "zoo"
VERSIONS = ("v2", "v3")
STAMP = re.compile(r"20\d\d[-\d]{10,}|1970-01-01|-0{9,}[1-9]")


@pytest.fixture(scope="module", params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def zoo(version: str, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return compile_zoo(version, copy_zoo(tmp_path_factory.mktemp("zoo")))


def copy_zoo(folder: Path) -> Path:
    """A project with the zoo in it."""
    shutil.copytree(ZOO, folder / "zoo")
    (folder / "sagemaker-gitops.yaml").touch()
    return folder


def compile_zoo(version: str, project: Path) -> Bundle:
    source = project / "zoo" / f"pipeline_{version}.py"
    target = make_target(source, python=sdk_python(version))
    return compile_pipeline(target, environ=os.environ, scratch=project / "scratch")


def compile_as_another(version: str, project: Path) -> Bundle:
    """By another user, where a namespace can make one, with another umask and another home."""
    code = (
        "import os, sys; from pathlib import Path; os.umask(0o077)\n"
        "from support.compiling import make_target, sdk_python\n"
        "from ci.compile.compile import compile_pipeline\n"
        "from ci.compile.store import write_bundle\n"
        "version, project = sys.argv[1], Path(sys.argv[2])\n"
        "target = make_target(project / f'zoo/pipeline_{version}.py', python=sdk_python(version))\n"
        "bundle = compile_pipeline(target, environ=os.environ, scratch=project / 'scratch')\n"
        "write_bundle(bundle, project / 'bundle')\n"
    )
    other = ["unshare", "--user"]
    allowed = subprocess.run([*other, "true"], capture_output=True, check=False).returncode == 0
    subprocess.run(
        [*(other if allowed else ()), sys.executable, "-c", code, version, project],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "tests"),
            "USER": "another",
            "HOME": "/nowhere",
        },
        cwd=ROOT,
        check=True,
        timeout=120,
    )
    return read_bundle(project / "bundle")


def strings(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    for item in node if isinstance(node, list) else ():
        yield from strings(item)
    for item in node.values() if isinstance(node, dict) else ():
        yield from strings(item)


def steps(node: list[dict[str, object]]) -> Iterator[dict[str, object]]:
    for step in node:
        yield step
        arguments = step.get("Arguments")
        if isinstance(arguments, dict):
            yield from steps(arguments.get("IfSteps", []) + arguments.get("ElseSteps", []))


def by_name(bundle: Bundle) -> dict[str, str]:
    """Each step's arguments as a text."""
    return {
        str(step["Name"]): json.dumps(step["Arguments"])
        for step in steps(json.loads(bundle.definition)["Steps"])
    }


def test_same_source_same_bundle(version: str, zoo: Bundle, tmp_path: Path) -> None:
    project = copy_zoo(tmp_path / "a folder, elsewhere" / "é")
    for file in project.rglob("*.py"):
        os.utime(file, (1, 1))
        file.chmod(0o600)
    cache = project / "zoo" / "code" / "__pycache__"
    cache.mkdir()
    (cache / "train.cpython-311.pyc").write_bytes(os.urandom(64))
    (cache.parent / "package" / "old.pyc").write_bytes(os.urandom(64))
    again = compile_as_another(version, project)
    assert again.definition == zoo.definition
    assert list(again.artifacts) == list(zoo.artifacts)
    assert {a.sha256 for a in again.artifacts.values()} == {
        a.sha256 for a in zoo.artifacts.values()
    }
    assert again.digest == zoo.digest


def test_a_change_of_code_shows_where_it_is_used(version: str, zoo: Bundle, tmp_path: Path) -> None:
    project = copy_zoo(tmp_path)
    (project / "zoo" / "process.py").write_text("changed = True\n")
    changed = compile_zoo(version, project)
    before, after = by_name(zoo), by_name(changed)
    assert {name for name in before if before[name] != after[name]} == {"One"}
    assert changed.digest != zoo.digest


def test_every_upload_is_content_addressed(zoo: Bundle) -> None:
    text = zoo.definition.decode()
    assert not STAMP.findall(text)
    for uri in re.findall(rf"s3://{BUCKET}/[^\s\"\\]+", text):
        key = uri.removeprefix(f"s3://{BUCKET}/").rstrip("/")
        written = key.startswith("same-base")  # where training writes, not what was uploaded
        known = any(item == key or item.startswith(key + "/") for item in zoo.artifacts)
        assert written or known, uri
    for key, artifact in zoo.artifacts.items():
        assert key.startswith(f"{PREFIX}/")
        assert artifact.path.stat().st_size == artifact.size
    assert f"s3://{BUCKET}/{PREFIX}" in text
    assert str(ROOT) not in text


def test_a_uri_is_rewritten_wherever_it_stands(zoo: Bundle) -> None:
    (key,) = (key for key in zoo.artifacts if key.endswith("/settings.json"))
    uri, document = f"s3://{BUCKET}/{key}", json.loads(zoo.definition)
    found = by_name(zoo)
    assert document["Parameters"][0]["DefaultValue"] == uri
    assert uri in found["Framework"]  # an argument
    assert uri in found["Function"]  # the input of a Lambda
    assert uri in found["Fail"]  # a Std:Join, two conditions down
    assert json.dumps(json.dumps(uri))[1:-1] in found["TrainTwo"]  # a hyperparameter's JSON
    assert f'"SETTINGS": "{uri}"' in found["TrainOne"]
    assert "zoo/2024" not in zoo.definition.decode()


def test_equal_names_do_not_overwrite_each_other(zoo: Bundle) -> None:
    scripts = {
        zoo.artifacts[key].path.read_text() for key in zoo.artifacts if key.endswith("/process.py")
    }
    assert scripts == {
        '"""A processing script."""\n',
        "print('another script of the same name')\n",
    }
    found = by_name(zoo)
    assert re.findall(r"[0-9a-f]{64}/process.py", found["One"]) != re.findall(
        r"[0-9a-f]{64}/process.py", found["Two"]
    )


def test_folders_travel_whole(zoo: Bundle) -> None:
    folder = re.search(
        rf'"FOLDER": "s3://{BUCKET}/({PREFIX}/[0-9a-f]{{64}})/"', by_name(zoo)["TrainOne"]
    )
    assert folder is not None
    names = {
        key.removeprefix(folder[1] + "/") for key in zoo.artifacts if key.startswith(folder[1])
    }
    assert names == {"train.py", "requirements.txt", "package/__init__.py", "package/model.py"}


def test_packed_folders_hold_no_trace_of_the_machine(zoo: Bundle) -> None:
    packed = [item for key, item in zoo.artifacts.items() if key.endswith("/sourcedir.tar.gz")]
    assert packed
    for artifact in packed:
        with tarfile.open(artifact.path) as archive:
            members = archive.getmembers()
        assert "train.py" in {member.name for member in members}
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, 0, "", "")}
        assert {m.mode for m in members} <= {0o644, 0o755}


def test_training_of_v3_brings_its_drivers(tmp_path: Path) -> None:
    bundle = compile_zoo("v3", copy_zoo(tmp_path))
    found = by_name(bundle)["TrainOne"]
    match = re.search(
        rf'"ChannelName": "sm_drivers".*?s3://{BUCKET}/({PREFIX}/[0-9a-f]{{64}})"', found
    )
    assert match is not None
    names = {key.removeprefix(match[1] + "/") for key in bundle.artifacts if match[1] in key}
    assert {"sm_train.sh", "sourcecode.json", "scripts/environment.py"} <= names
    source = json.loads(bundle.artifacts[f"{match[1]}/sourcecode.json"].path.read_text())
    assert source["source_dir"] == "code"


@pytest.mark.parametrize(
    ("version", "source"),
    [
        ("v3", ROOT / "pipelines" / "abalone" / "pipeline.py"),
        ("v2", ROOT / "tests" / "abalone" / "pipeline_v2" / "pipeline.py"),
    ],
    ids=VERSIONS,
)
def test_the_sdk_of_the_other_version_is_told(version: str, source: Path, tmp_path: Path) -> None:
    other = sdk_python("v2" if version == "v3" else "v3")
    with pytest.raises(CompileError, match="SageMaker SDK that this pipeline needs") as caught:
        compile_pipeline(
            make_target(source, python=other), environ=os.environ, root=ROOT, scratch=tmp_path
        )
    assert other in str(caught.value.where)
    assert "sagemaker " in str(caught.value.why)
    wanted = "'sagemaker>=3,<4'" if version == "v3" else "'sagemaker>=2,<3'"
    assert f"uv pip install {wanted}" in str(caught.value.fix)


@pytest.mark.parametrize("settings", ["sagemaker_session=None", "session=None"])
def test_the_default_bucket_is_the_targets(version: str, settings: str, tmp_path: Path) -> None:
    module = "sagemaker.core.workflow" if version == "v3" else "sagemaker.workflow"
    parts = "sagemaker.mlops.workflow" if version == "v3" else module
    source = tmp_path / "pipeline.py"
    source.write_text(
        f"from {module}.pipeline_context import PipelineSession\n"
        f"from {parts}.pipeline import Pipeline\n"
        f"from {parts}.fail_step import FailStep\n"
        f"def get_pipeline({settings}):\n"
        "    session = PipelineSession()\n"
        "    told = f'{session.default_bucket()} {session.account_id()}'\n"
        "    return Pipeline(name='x', steps=[FailStep(name='F', error_message=told)],\n"
        "                    sagemaker_session=session)\n"
    )
    bundle = compile_pipeline(
        make_target(source, python=sdk_python(version)), environ=os.environ, scratch=tmp_path
    )
    assert f"{BUCKET} 000000000000" in bundle.definition.decode()


def test_functions_as_steps_work_and_are_told(version: str, tmp_path: Path) -> None:
    project = copy_zoo(tmp_path)
    source = project / "zoo" / f"functions_{version}.py"

    def compiled() -> Bundle:
        target = make_target(source, python=sdk_python(version))
        return compile_pipeline(target, environ=os.environ, scratch=project / "scratch")

    first, second = compiled(), compiled()
    signed = version == "v3"  # with a fresh key each time
    assert first.volatile == second.volatile == (("Add", "Double") if signed else ())
    assert (first.definition != second.definition) == signed
    assert first.digest == second.digest
    step = next(step for step in steps(json.loads(first.definition)["Steps"]))
    words = step["Arguments"]["AlgorithmSpecification"]["ContainerArguments"]  # type: ignore[index]
    place = words[words.index("--func_step_s3_dir") + 1]
    assert f"functions/{step['Name']}/{place}/function/payload.pkl" in first.artifacts
    under = {key for key in first.artifacts if place in key}
    assert len(under) == 8
    assert (not under & second.artifacts.keys()) == signed
    assert str(tmp_path) not in first.definition.decode()
    source.write_text(source.read_text().replace("value * 2", "value * 3"))
    assert compiled().digest != first.digest


def test_functions_as_steps_are_the_same_in_every_checkout(version: str, tmp_path: Path) -> None:
    bundles = []
    for name in ("one", "a/much/longer/way"):
        project = copy_zoo(tmp_path / name)
        source = project / "zoo" / f"functions_{version}.py"
        target = make_target(source, python=sdk_python(version))
        bundles.append(
            compile_pipeline(target, environ=os.environ, root=project, scratch=tmp_path / "scratch")
        )
    first, second = bundles
    assert first.digest == second.digest
    for artifact in first.artifacts.values():
        assert str(tmp_path).encode() not in artifact.path.read_bytes(), artifact.key


def test_names_made_of_the_second_collide_without_this() -> None:
    """What the mended names are for: the bare SDK v3 gives two steps one name within a second."""
    code = "from sagemaker.core.modules.utils import _get_unique_name as n; print(n('a'), n('a'))"
    names = subprocess.run(
        [sdk_python("v3"), "-c", code],
        env={"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert names[0] == names[1]


REPACKED = """
import os
from sagemaker.sklearn.model import SKLearnModel
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.step_collections import RegisterModel

def get_pipeline(role_arn, sagemaker_session):
    code = os.path.join(os.path.dirname(os.path.abspath(__file__)), "code")
    model = SKLearnModel(model_data="s3://models/model.tar.gz", role=role_arn, source_dir=code,
        framework_version="1.2-1", entry_point="inference.py", sagemaker_session=sagemaker_session)
    step = RegisterModel(name="Register", model=model, model_package_group_name="g",
        content_types=["text/csv"], response_types=["text/csv"],
        inference_instances=["ml.m5.large"], transform_instances=["ml.m5.large"])
    return Pipeline(name="x", steps=[step], sagemaker_session=sagemaker_session)
"""


def test_a_model_that_is_packed_anew_leaves_the_checkout_as_it_is(tmp_path: Path) -> None:
    """SDK v2 puts the scripts that do it beside the user's own."""
    bundles = []
    for name in ("one", "a/much/longer/way"):
        project = tmp_path / name
        (project / "code").mkdir(parents=True)
        (project / "code" / "inference.py").write_text("def model_fn(folder): pass\n")
        source = project / "pipeline.py"
        source.write_text(REPACKED)
        target = make_target(source, python=sdk_python("v2"))
        bundles.append(
            compile_pipeline(target, environ=os.environ, root=project, scratch=tmp_path / "scratch")
        )
        assert [each.name for each in (project / "code").iterdir()] == ["inference.py"]
    first, second = bundles
    names: set[str] = set()
    for artifact in first.artifacts.values():
        with tarfile.open(artifact.path) as held:
            names |= {name.removeprefix("./") for name in held.getnames()}
    assert {"inference.py", "_repack_model.py", "_repack_script_launcher.sh"} <= names
    assert str(tmp_path) not in first.definition.decode()
    assert first.digest == second.digest
