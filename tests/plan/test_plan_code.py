"""What a plan tells of code: lines and files, never hashes."""

import gzip
import io
import tarfile
from collections.abc import Mapping
from typing import Any

import pytest
from support.definitions import s3_input, small_pipeline
from support.planning import plan, runs

from ci.plan.model import Files, Kind

OLD_SHA, NEW_SHA = "a" * 64, "b" * 64


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
