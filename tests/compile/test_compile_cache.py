"""The compile cache: the same reads start no child, and whatever was read and changed does."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.compiling import make_target, sdk_python

from ci.compile.bundle import Bundle
from ci.compile.cache import cache_folder
from ci.compile.compile import compile_pipeline
from ci.compile.fingerprint import Fingerprints, TooMuch, changed_since

PRELUDE = """
import json, os, sys
from pathlib import Path

HERE = Path(__file__).parent

class Pipeline:
    def __init__(self, steps):
        self.steps = steps

    def definition(self):
        return json.dumps({"Version": "2020-12-01", "Parameters": [], "Steps": self.steps})
"""


class Lab:
    """A project, a cache of its own, and a count of the children that were started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "project"
        self.root.mkdir()
        (self.root / "sagemaker-gitops.yaml").touch()
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        self.cache = folder / "cache" / "sagemaker-gitops" / "compile"

    def write(self, name: str, text: str) -> Path:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
        return file

    def module(self, code: str) -> None:
        self.write("pipeline.py", PRELUDE + textwrap.dedent(code))

    def compile(self, *, settle: bool = True, **settings: object) -> Bundle:
        """`settle`: let what was just written be older than the compile."""
        if settle:
            time.sleep(0.12)
        environ = {**self.environ, **settings.pop("environ", {})}  # type: ignore[dict-item]
        source = settings.pop("source", self.root / "pipeline.py")
        return compile_pipeline(
            make_target(source, **settings),  # type: ignore[arg-type]
            environ=environ,
            scratch=self.folder / "scratch",
            timeout=60,
        )

    @property
    def children(self) -> int:
        return len(list((self.folder / "scratch").glob("compile-*/log")))

    @property
    def entries(self) -> list[Path]:
        return sorted(self.cache.glob("*/*"))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def steps_of(bundle: Bundle) -> list[object]:
    return json.loads(bundle.definition)["Steps"]  # type: ignore[no-any-return]


READER = """
import helper

def get_pipeline(depth=1):
    found = [helper.VALUE, depth, os.environ.get("TEAM")]
    found += sorted(file.name for file in (HERE / "code").iterdir())
    found += [file.read_text() for file in sorted((HERE / "code").iterdir())]
    found += [(HERE / "extra.txt").exists(), os.path.getsize(HERE / "sized.bin")]
    try:
        found.append(open(HERE / "maybe.json").read())
    except FileNotFoundError:
        found.append(None)
    return Pipeline([str(each) for each in found])
"""


@pytest.fixture
def reader(lab: Lab) -> Lab:
    lab.module(READER)
    lab.write("helper.py", "VALUE = 1\n")
    lab.write("code/train.py", "train\n")
    lab.write("sized.bin", "12345")
    return lab


def test_unchanged_source_starts_no_child(reader: Lab) -> None:
    first = reader.compile()
    assert reader.children == 1
    again = reader.compile()
    assert reader.children == 1
    assert again == first
    assert again.definition == first.definition


def test_what_changes_and_was_not_read_does_not_matter(reader: Lab) -> None:
    reader.compile()
    reader.write("README.md", "unread")
    reader.write("__pycache__/train.cpython-311.pyc", "byte code")
    os.utime(reader.root / "helper.py", (1, 1))
    reader.compile()
    assert reader.children == 1


def edit_module(lab: Lab) -> None:
    lab.module(READER.replace("depth=1", "depth=2"))


def edit_imported(lab: Lab) -> None:
    lab.write("helper.py", "VALUE = 2\n")


def edit_data(lab: Lab) -> None:
    lab.write("code/train.py", "other\n")


def add_to_listed(lab: Lab) -> None:
    lab.write("code/new.py", "new\n")


def remove_from_listed(lab: Lab) -> None:
    (lab.root / "code" / "train.py").unlink()


def rename_in_listed(lab: Lab) -> None:
    (lab.root / "code" / "train.py").rename(lab.root / "code" / "fit.py")


def add_what_was_looked_for(lab: Lab) -> None:
    lab.write("extra.txt", "")


def add_what_was_missing(lab: Lab) -> None:
    lab.write("maybe.json", "{}")


def resize_what_was_measured(lab: Lab) -> None:
    lab.write("sized.bin", "123456")


def shadow_a_module(lab: Lab) -> None:
    """A package beside the module comes first in the search, and was not there."""
    lab.write("helper/__init__.py", "VALUE = 3\n")


@pytest.mark.parametrize(
    "change",
    [
        edit_module,
        edit_imported,
        edit_data,
        add_to_listed,
        remove_from_listed,
        rename_in_listed,
        add_what_was_looked_for,
        add_what_was_missing,
        resize_what_was_measured,
        shadow_a_module,
    ],
)
def test_what_was_read_and_changed_compiles_again(reader: Lab, change: object) -> None:
    before = reader.compile()
    change(reader)  # type: ignore[operator]
    after = reader.compile()
    assert reader.children == 2
    assert before.digest != after.digest
    reader.compile()
    assert reader.children == 2


def test_byte_code_does_not_hide_the_source(reader: Lab) -> None:
    command = [sys.executable, "-m", "compileall", "-q", "-l", reader.root]
    subprocess.run(command, check=True)
    assert steps_of(reader.compile())[0] == "1"
    reader.write("helper.py", "VALUE = 22\n")  # of another size: Python tells byte code by it
    assert steps_of(reader.compile())[0] == "22"
    assert reader.children == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"kwargs": {"depth": 2}},
        {"pass_environment": ("TEAM",), "environ": {"TEAM": "ml"}},
        {"environ": {"LANG": "C"}},
        {"function": "other"},
    ],
)
def test_another_request_is_another_compile(reader: Lab, settings: dict[str, object]) -> None:
    reader.module(READER + "\nother = get_pipeline\n")
    reader.compile()
    reader.compile(**dict(settings))
    assert reader.children == 2
    reader.compile(**dict(settings))
    assert reader.children == 2


def test_a_value_that_is_not_passed_does_not_count(reader: Lab) -> None:
    reader.compile(environ={"GITHUB_TOKEN": "one"})
    reader.compile(environ={"GITHUB_TOKEN": "two"})
    assert reader.children == 1


def test_a_passed_value_that_changes_compiles_again(reader: Lab) -> None:
    for team in ("a", "b", "a"):
        bundle = reader.compile(pass_environment=("TEAM",), environ={"TEAM": team})
        assert steps_of(bundle)[2] == team
    assert reader.children == 2
    assert "TEAM" not in "".join(path.name for path in reader.cache.rglob("*"))


@pytest.fixture
def venv(lab: Lab) -> Path:
    folder = lab.folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    packages = next(folder.glob("lib/python3*/site-packages"))
    (packages / "sagemaker-3.0.0.dist-info").mkdir()
    (packages / "sagemaker-3.0.0.dist-info" / "RECORD").write_text("one")
    return folder


def upgrade(packages: Path) -> None:
    (packages / "sagemaker-3.0.0.dist-info").rename(packages / "sagemaker-3.0.1.dist-info")


def reinstall(packages: Path) -> None:
    (packages / "sagemaker-3.0.0.dist-info" / "RECORD").write_text("one, and another file")


def add_package(packages: Path) -> None:
    (packages / "helper.py").write_text("VALUE = 'installed'")


@pytest.mark.parametrize("change", [upgrade, reinstall, add_package])
def test_another_environment_compiles_again(reader: Lab, venv: Path, change: object) -> None:
    python = str(venv / "bin" / "python")
    reader.compile(python=python)
    reader.compile(python=python)
    assert reader.children == 1
    change(next(venv.glob("lib/python3*/site-packages")))  # type: ignore[operator]
    reader.compile(python=python)
    assert reader.children == 2


def test_another_python_compiles_again(reader: Lab, venv: Path) -> None:
    reader.compile()
    reader.compile(python=str(venv / "bin" / "python"))
    assert reader.children == 2


def test_a_command_that_picks_its_python_is_not_cached(reader: Lab) -> None:
    for _ in range(2):
        reader.compile(python=f"env {sys.executable}")
    assert reader.children == 2
    assert reader.entries == []


def test_live_is_never_cached(reader: Lab) -> None:
    for _ in range(2):
        reader.compile(live=True)
    assert reader.children == 2
    assert reader.entries == []


@pytest.mark.parametrize(
    "start",
    ["import subprocess; subprocess.run(['true'])", "os.system('true')", "os.waitpid(fork(), 0)"],
)
def test_a_module_that_starts_processes_is_not_cached(lab: Lab, start: str) -> None:
    lab.module(
        f"""
        def fork():
            return os.fork() or os._exit(0)
        def get_pipeline():
            {start}
            return Pipeline([])
        """
    )
    for _ in range(2):
        lab.compile()
    assert lab.children == 2


def test_a_failure_is_not_kept(lab: Lab) -> None:
    lab.module("def get_pipeline():\n    raise ValueError('no')")
    for _ in range(2):
        with pytest.raises(Exception, match="ValueError"):
            lab.compile()
    assert lab.entries == []


def test_a_file_that_changes_meanwhile_is_not_kept(lab: Lab) -> None:
    """The bundle is of the old content, and nobody can tell of which."""
    lab.module("def get_pipeline():\n    return Pipeline([(HERE / 'data.txt').read_text()])")
    lab.write("data.txt", "old")
    lab.compile(settle=False)
    assert lab.entries == []
    lab.compile()
    assert len(lab.entries) == 1


def damage_definition(entry: Path) -> None:
    (entry / "definition.json").write_bytes(b'{"Steps":[],"Version":"2020-12-01"} ')


def damage_bundle(entry: Path) -> None:
    (entry / "bundle.json").write_bytes(b"\xff{")


def damage_reads(entry: Path) -> None:
    (entry / "reads.json").write_bytes(b"[]")


def cut(entry: Path) -> None:
    (entry / "reads.json").unlink()


def replace_by_file(entry: Path) -> None:
    shutil.rmtree(entry)
    entry.write_text("no folder")


@pytest.mark.parametrize(
    "damage", [damage_definition, damage_bundle, damage_reads, cut, replace_by_file]
)
def test_a_damaged_entry_is_compiled_again(reader: Lab, damage: object) -> None:
    first = reader.compile()
    (entry,) = reader.entries
    damage(entry)  # type: ignore[operator]
    assert reader.compile().definition == first.definition
    assert reader.children == 2
    reader.compile()
    assert reader.children == 2 or damage is replace_by_file


def test_a_damaged_artifact_is_compiled_again(lab: Lab, venv: Path) -> None:
    """With uploads: a stand-in for boto3 would say less than the socket of the capture endpoint."""
    lab.module(
        """
        import http.client
        def get_pipeline():
            place = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
            client = http.client.HTTPConnection(place)
            key = "/sagemaker-us-east-1-000000000000/some/train.py"
            signed = "AWS4-HMAC-SHA256 Credential=A/20200101/us-east-1/s3/aws4_request"
            client.request("PUT", key, body=b"print(1)", headers={"Authorization": signed})
            assert client.getresponse().status == 200
            return Pipeline(["s3:/" + key])
        """
    )
    first = lab.compile()
    (artifact,) = first.artifacts.values()
    assert artifact.path.read_bytes() == b"print(1)"
    (again,) = lab.compile().artifacts.values()
    assert lab.children == 1
    assert again.path.read_bytes() == b"print(1)"
    assert lab.cache not in again.path.parents
    (entry,) = lab.entries
    (entry / "artifacts" / artifact.sha256).write_bytes(b"print(2)")
    (whole,) = lab.compile().artifacts.values()
    assert lab.children == 2
    assert whole.path.read_bytes() == b"print(1)"


def test_branches_that_are_switched_between_both_stay(reader: Lab) -> None:
    for value in (1, 2, 1, 2):
        reader.write("helper.py", f"VALUE = {value}\n")
        assert steps_of(reader.compile())[0] == str(value)
    assert reader.children == 2


def test_the_cache_is_bounded(reader: Lab) -> None:
    reader.compile()
    (entry,) = reader.entries
    for number in range(300):
        folder = reader.cache / f"{number:064d}" / "state"
        folder.parent.mkdir()
        shutil.copytree(entry, folder)
        os.utime(folder, (number, number))
    left = entry.parent / ".new-left-behind"
    left.mkdir()
    os.utime(left, (1, 1))
    reader.write("helper.py", "VALUE = 2\n")
    reader.compile()
    assert len(reader.entries) == 200
    assert entry.exists()
    assert not left.exists()
    assert not (reader.cache / f"{0:064d}").exists()


def test_a_cache_that_cannot_be_written_is_no_error(reader: Lab) -> None:
    (reader.folder / "cache").write_text("a file")
    for _ in range(2):
        reader.compile()
    assert reader.children == 2


def test_several_at_once_keep_whole_entries(reader: Lab) -> None:
    time.sleep(0.12)
    with ThreadPoolExecutor(4) as pool:
        bundles = list(pool.map(lambda _: reader.compile(settle=False), range(4)))
    assert len({bundle.digest for bundle in bundles}) == 1
    started = reader.children
    assert len(reader.entries) == 1
    reader.compile()
    assert reader.children == started


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/h"}, "/h/.cache/sagemaker-gitops/compile"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/c"}, "/c/sagemaker-gitops/compile"),
        ({"HOME": "/h", "SAGEMAKER_GITOPS_COMPILE_CACHE": "off"}, None),
        ({"HOME": "/h", "SAGEMAKER_GITOPS_COMPILE_CACHE": "0"}, None),
        ({"HOME": "/h", "CI": "true"}, None),
        ({"HOME": "/h", "CI": "false"}, "/h/.cache/sagemaker-gitops/compile"),
        (
            {"HOME": "/h", "CI": "true", "SAGEMAKER_GITOPS_COMPILE_CACHE": "on"},
            "/h/.cache/sagemaker-gitops/compile",
        ),
        ({}, None),
    ],
)
def test_where_compiles_are_kept(environ: dict[str, str], expected: str | None) -> None:
    assert cache_folder(environ) == (Path(expected) if expected else None)


def test_fingerprints_follow_content_and_kind(tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("one")
    folder.mkdir()

    def all_of(path: Path) -> list[str]:
        kinds = ("file", "look")
        return [Fingerprints().of(kind, str(path)) for kind in kinds]

    plain = all_of(file)
    file.chmod(0o755)
    executable = all_of(file)
    assert plain[0] != executable[0]
    assert all_of(folder) == ["folder", "folder"]
    assert all_of(tmp_path / "file" / "below") == all_of(tmp_path / "gone") == ["absent", "absent"]
    with pytest.raises(TooMuch):
        Fingerprints(budget=2).of("file", str(file))


def test_a_change_is_told_by_time_also_of_what_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    moment = file.stat().st_ctime_ns
    later = moment + 10**9
    assert changed_since(moment, "file", str(file), "hash")
    assert not changed_since(later, "file", str(file), "hash")
    assert changed_since(0, "file", str(tmp_path / "no" / "such"), "absent")
    assert not changed_since(later, "file", str(tmp_path / "no" / "such"), "absent")
    assert not changed_since(0, "look", str(tmp_path), "folder")
    assert changed_since(0, "folder", str(tmp_path), "names")
    assert not changed_since(0, "missing", str(tmp_path / "no"), "absent")
    assert changed_since(later, "missing", str(file), "3")


@pytest.mark.sdk
@pytest.mark.parametrize("version", ["v2", "v3"])
def test_bundles_of_the_sdk_come_back_whole(lab: Lab, version: str) -> None:
    zoo = lab.root / "zoo"
    shutil.copytree(Path(__file__).parent / "zoo", zoo)
    source, python = zoo / f"pipeline_{version}.py", sdk_python(version)
    first = lab.compile(source=source, python=python)
    again = lab.compile(source=source, python=python)
    assert lab.children == 1
    assert (again.digest, again.definition) == (first.digest, first.definition)
    assert again.artifacts.keys() == first.artifacts.keys()
    (zoo / "code" / "package" / "model.py").write_text("changed = True\n")
    changed = lab.compile(source=source, python=python)
    assert lab.children == 2
    assert changed.digest != first.digest
