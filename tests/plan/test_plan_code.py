"""What a plan tells of code: lines and files, never hashes."""

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest
from support.definitions import s3_input, small_pipeline
from support.planning import plan, runs

from ci.plan.code import diff_files
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


def zipped(*, flags: int = 0, method: int = 0, spoilt: int = 0) -> bytes:
    """An archive of one file, with these bits set in both of its headers."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.py", "x = 1\n" * 99)
    data = bytearray(stream.getvalue())
    for header, at in ((0, 6), (data.index(b"PK\x01\x02"), 8)):
        was = struct.unpack_from("<HH", data, header + at)
        struct.pack_into("<HH", data, header + at, was[0] | flags, method or was[1])
    data[34] ^= spoilt
    return bytes(data)


def sparse(size: int) -> bytes:
    """A tar of one file of `size` bytes, all of them a hole (GNU's sparse format, type S)."""
    info = tarfile.TarInfo("hole.bin")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[156:157] = b"S"
    header[386:410] = b"%011o\0%011o\0" % (size, 0)
    header[483:495] = b"%011o\0" % size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return gzip.compress(bytes(header) + bytes(1024), mtime=0)


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("code.zip", zipped(flags=1)),
        ("code.zip", zipped(method=99)),
        ("code.zip", zipped(spoilt=0xFF)),
        ("code.tar.gz", gzip.compress(bytes(2048), mtime=0)[:-9] + b"\xff" * 9),
        ("code.tar.gz", sparse(1 << 36)),
    ],
    ids=["encrypted", "unknown method", "spoilt", "cut", "sparse"],
)
def test_an_archive_that_cannot_be_read_is_told_by_its_size(name: str, old: bytes) -> None:
    [change] = diff_files({name: old}, {name: b"other"})
    assert (change.path, change.kind) == (name, Kind.CHANGED)
    assert change.note == f"{len(old):,} -> 5 bytes"
