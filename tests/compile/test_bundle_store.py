"""Bundles on disk: what is read is what was written, or an error."""

import hashlib
import json
from pathlib import Path

import pytest

from ci.compile.bundle import Artifact, Bundle, Function
from ci.compile.digest import bundle_digest
from ci.compile.store import read_bundle, write_bundle
from ci.errors import CompileError

DEFINITION = b'{"Steps":[],"Version":"2020-12-01"}'


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path / "files")


def make_bundle(folder: Path, *, timeout: int = 60, definition: bytes = DEFINITION) -> Bundle:
    folder.mkdir(exist_ok=True)
    artifacts = {}
    for name, body in (("a.py", b"print(1)"), ("b.py", b"print(1)"), ("fn.zip", b"PK\x03\x04x")):
        sha256 = hashlib.sha256(body).hexdigest()
        (folder / name).write_bytes(body)
        key = f"p/{sha256}/{name}"
        artifacts[key] = Artifact(
            sha256=sha256, name=name, size=len(body), path=folder / name, key=key
        )
    function = Function(
        name="fn",
        arn="arn:aws:lambda:us-east-1:000000000000:function:fn",
        sha256=hashlib.sha256(b"PK\x03\x04x").hexdigest(),
        configuration={"Timeout": timeout, "Environment": {"Variables": {"é": "1"}}},
    )
    return Bundle(
        definition=definition,
        digest=bundle_digest(definition, artifacts, (function,), bucket="b"),
        bucket="b",
        prefix="p",
        artifacts=artifacts,
        functions=(function,),
    )


def test_written_and_read_back(bundle: Bundle, tmp_path: Path) -> None:
    write_bundle(bundle, tmp_path / "out" / "bundle")
    found = read_bundle(tmp_path / "out" / "bundle")
    assert (found.definition, found.digest, found.bucket, found.prefix, found.functions) == (
        bundle.definition,
        bundle.digest,
        bundle.bucket,
        bundle.prefix,
        bundle.functions,
    )
    assert found.artifacts.keys() == bundle.artifacts.keys()
    for key, artifact in bundle.artifacts.items():
        assert found.artifacts[key].path.read_bytes() == artifact.path.read_bytes()
        assert found.artifacts[key].location("p") == artifact.location("p") == key
    assert found.code_of(found.functions[0]).name == "fn.zip"


def test_writing_again_replaces_and_is_the_same(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    write_bundle(make_bundle(tmp_path / "other", definition=b"{}"), folder)
    write_bundle(bundle, folder)
    first = {file.name: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    write_bundle(bundle, folder)
    assert first == {file.name: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert read_bundle(folder).digest == bundle.digest


def test_a_folder_of_something_else_is_left_alone(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    with pytest.raises(CompileError, match="something else"):
        write_bundle(bundle, tmp_path / "precious")
    assert [file.name for file in (tmp_path / "precious").iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("definition.json", lambda data: data.replace(b"2020", b"2021"), "changed after it was"),
        ("definition.json", lambda data: b"\xff\xfe", "changed after it was"),
        ("definition.json", None, "no bundle here"),
        ("bundle.json", None, "no bundle here"),
        ("bundle.json", lambda data: data[:-9], "cannot be read"),
        ("bundle.json", lambda data: b"[]", "not a bundle"),
        ("bundle.json", lambda data: b'{"format": 1}', "damaged"),
        ("bundle.json", lambda data: data.replace(b'"Timeout": 60', b'"Timeout": 61'), "changed"),
        ("bundle.json", lambda data: data.replace(b"p/", b"q/"), "changed after it was"),
        ("bundle.json", lambda data: data.replace(b'"bucket": "b"', b'"bucket": "c"'), "changed"),
        ("artifacts", lambda data: data + b" ", "not the file that was compiled"),
        ("artifacts", None, "not the file that was compiled"),
    ],
)
def test_what_was_changed_is_refused(
    bundle: Bundle, tmp_path: Path, file: str, change: object, message: str
) -> None:
    folder = tmp_path / "bundle"
    write_bundle(bundle, folder)
    path = folder / file
    if path.is_dir():
        path = min(path.iterdir())
    if callable(change):
        path.write_bytes(change(path.read_bytes()))
    else:
        path.unlink()
    with pytest.raises(CompileError, match=message):
        read_bundle(folder)


def test_a_hash_is_no_path(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    write_bundle(bundle, folder)
    document = json.loads((folder / "bundle.json").read_bytes())
    document["artifacts"][0]["sha256"] = "../../secret"
    (folder / "bundle.json").write_text(json.dumps(document))
    with pytest.raises(CompileError, match="damaged"):
        read_bundle(folder)


def test_digest_sees_everything_that_deploys(tmp_path: Path) -> None:
    one = make_bundle(tmp_path / "files")
    arguments = (one.definition, one.artifacts, one.functions)
    fewer = dict(list(one.artifacts.items())[1:])
    digests = {
        one.digest,
        make_bundle(tmp_path / "files", timeout=61).digest,
        make_bundle(tmp_path / "files", definition=b"{}").digest,
        bundle_digest(*arguments, bucket="c"),
        bundle_digest(one.definition, fewer, one.functions, bucket="b"),
        bundle_digest(one.definition, one.artifacts, (), bucket="b"),
    }
    assert len(digests) == 6


def test_masks_count_for_nothing(tmp_path: Path) -> None:
    one = make_bundle(tmp_path / "files")

    def digest(stamp: str, body: str, name: str = "metadata.json") -> str:
        key = f"step/{stamp}/{name}"
        artifact = Artifact(sha256=body * 64, name=name, size=1, path=tmp_path, key=key)
        return bundle_digest(
            f'{{"uri":"s3://b/step/{stamp}/f"}}'.encode(),
            {key: artifact},
            one.functions,
            bucket="b",
            masks=(stamp,),
        )

    assert digest("2024-01-01", "a") == digest("2025-12-31", "b")
    assert digest("2024-01-01", "a", "payload.pkl") == digest("2025-12-31", "a", "payload.pkl")
    assert digest("2024-01-01", "a", "payload.pkl") != digest("2025-12-31", "b", "payload.pkl")
