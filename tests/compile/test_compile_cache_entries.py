"""What the compile cache keeps: whole entries, no failure, no more than its bounds."""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.cache_lab import Lab, steps_of, with_reader

from ci.compile.cache import cache_folder
from ci.compile.fingerprint import Fingerprints, TooMuch, changed_since


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture
def reader(lab: Lab) -> Lab:
    return with_reader(lab)


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


def test_a_damaged_artifact_is_compiled_again(lab: Lab) -> None:
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
