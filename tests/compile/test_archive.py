"""Archives of equal content have equal bytes."""

import gzip
import io
import os
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.compile.archive import is_no_source, normalise

contents = st.dictionaries(
    st.text("abcé_/. ", min_size=1, max_size=120)
    .map(lambda name: "/".join(part.strip(". ") or "x" for part in name.split("/")))
    .filter(lambda name: not is_no_source(name)),
    st.binary(max_size=200),
    min_size=1,
    max_size=5,
)


def normal(data: bytes) -> bytes:
    return normalise(data, "code.zip" if data[:2] == b"PK" else "code.tar.gz")


def make_tar(files: dict[str, bytes], *, seed: int = 0, compress: int = 9) -> bytes:
    chance = random.Random(seed)
    order = sorted(files)
    chance.shuffle(order)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=compress) as archive:
        for name in order:
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(files[name]), chance.randrange(1, 2**31)
            member.uid = member.gid = chance.randrange(1000)
            member.uname, member.mode = str(seed), chance.choice([0o600, 0o644, 0o640])
            archive.addfile(member, io.BytesIO(files[name]))
    return out.getvalue()


def make_zip(files: dict[str, bytes], *, seed: int = 0) -> bytes:
    chance = random.Random(seed)
    order = sorted(files)
    chance.shuffle(order)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", chance.choice([0, 8])) as archive:
        for name in order:
            moment = (chance.randrange(1980, 2100), 1, 1, 0, 0, 0)
            archive.writestr(zipfile.ZipInfo(name, moment), files[name])
    return out.getvalue()


def read_tar(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        return {
            m.name: (archive.extractfile(m) or io.BytesIO()).read() for m in archive if m.isfile()
        }


@given(contents, st.integers(1, 9))
def test_tars_have_one_spelling_and_keep_their_content(files: dict[str, bytes], level: int) -> None:
    first, second = make_tar(files), make_tar(files, seed=level, compress=level)
    assert normal(first) == normal(second) == normal(normal(first))
    assert read_tar(normal(first)) == files


@given(contents, st.integers(1, 9))
def test_zips_have_one_spelling_and_keep_their_content(files: dict[str, bytes], seed: int) -> None:
    first = normal(make_zip(files))
    assert first == normal(make_zip(files, seed=seed)) == normal(first)
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files


@given(st.binary(max_size=300_000) | st.just(b"") | st.just(b"x" * 0xFFFF))
def test_large_members_survive_the_stored_gzip(body: bytes) -> None:
    assert read_tar(normal(make_tar({"f": body}))) == {"f": body}


@given(st.binary(max_size=64))
def test_anything_else_stays_as_it_is(data: bytes) -> None:
    for prefix in (b"", b"\x1f\x8b", b"PK\x03\x04", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"):
        if prefix or data[:2] not in (b"\x1f\x8b", b"PK"):
            assert normal(prefix + data) == prefix + data
    packed = gzip.compress(b"no tar " + data)
    assert normal(packed) == packed


def test_byte_code_is_left_out_and_modes_and_links_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__pycache__" / "a.pyc").write_bytes(b"x")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o750)
    (folder / "data").write_text("1")
    (folder / "link").symlink_to("data")
    os.link(folder / "data", folder / "same")
    os.mkfifo(folder / "pipe")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        archive.add(folder, arcname=".")
    data = normal(out.getvalue())
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = {m.name: (m.mode, m.linkname) for m in archive}
        archive.extractall(tmp_path / "out", filter="data")
    assert found.keys() == {".", "run.sh", "data", "link", "same"}
    assert (found["run.sh"][0], found["data"][0]) == (0o755, 0o644)
    assert found["link"][1] == "data"
    assert (tmp_path / "out" / "same").read_text() == "1"
    assert found["same"][1] == ""


@pytest.mark.parametrize("pack", [make_tar, make_zip])
def test_the_root_of_a_repository_packs_alike_in_every_checkout(
    pack: Callable[..., bytes],
) -> None:
    source = {"train.py": b"1", ".gitignore": b"x", ".github/a.yml": b"2"}
    one = {".git/index": b"3", ".sagemaker-gitops/local/state.db": b"4"}
    two = {".git": b"gitdir: elsewhere", "vendor/.git": b"gitdir: elsewhere"}
    assert normal(pack(source | one)) == normal(pack(source | two)) == normal(pack(source))


def test_links_in_a_zip_stay_links() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("current")
        link.create_system = 3
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "v2")
    with zipfile.ZipFile(io.BytesIO(normal(out.getvalue()))) as archive:
        (kept,) = archive.infolist()
        assert stat.S_ISLNK(kept.external_attr >> 16)
        assert archive.read(kept) == b"v2"


@pytest.mark.parametrize("name", ["weights.npz", "model.pt", "app.jar", "code.tar.gz"])
def test_what_is_not_called_a_zip_stays_as_it_is(name: str) -> None:
    data = make_zip({"b": b"2", "a": b"1"})
    assert normalise(data, name) == data


@pytest.mark.parametrize(
    "broken", [make_tar({"a": b"x" * 999})[:-40], make_zip({"a": b"x"})[:-9]], ids=["tar", "zip"]
)
def test_broken_archives_stay_as_they_are(broken: bytes) -> None:
    assert normal(broken) == broken
