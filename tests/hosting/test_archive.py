"""Archives that reach out of their folder, lie, or are no archives."""

import contextlib
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.archives import model_archive

from ci.local.serving.archive import BadArchive, unpack


def member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


def archive(folder: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    file = folder / "model.tar.gz"
    with tarfile.open(file, "w:gz") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file


def test_files_folders_and_links_inside_are_kept(tmp_path: Path) -> None:
    file = archive(
        tmp_path,
        (member(".", tarfile.DIRTYPE), b""),
        (member("code", tarfile.DIRTYPE), b""),
        (member("./model.joblib"), b"weights"),
        (member("code/inference.py"), b"pass"),
        (member("code/latest", tarfile.SYMTYPE, "../model.joblib"), b""),
        (member("copy", tarfile.LNKTYPE, "./model.joblib"), b""),
    )
    target = tmp_path / "out"
    target.mkdir()
    unpack(file, target)
    assert (target / "code" / "latest").read_bytes() == b"weights"
    assert (target / "copy").read_bytes() == b"weights"
    assert (target / "code" / "inference.py").read_text() == "pass"


HOSTILE = {
    "parent": [(member("../evil"), b"x")],
    "deep parent": [(member("code/../../evil"), b"x")],
    "absolute": [(member("/tmp/evil-absolute"), b"x")],
    "link out": [(member("out", tarfile.SYMTYPE, "/etc"), b"")],
    "link up": [(member("out", tarfile.SYMTYPE, ".."), b"")],
    "write through a chain of links": [
        (member("a", tarfile.SYMTYPE, "b/.."), b""),
        (member("b", tarfile.SYMTYPE, "."), b""),
        (member("a/evil"), b"x"),
    ],
    "hard link out": [(member("passwd", tarfile.LNKTYPE, "/etc/passwd"), b"")],
    "hard link to a link to itself": [
        (member("loop", tarfile.SYMTYPE, "loop"), b""),
        (member("again", tarfile.LNKTYPE, "loop"), b""),
    ],
    "device": [(member("null", tarfile.CHRTYPE), b"")],
    "pipe": [(member("pipe", tarfile.FIFOTYPE), b"")],
    "file over a folder": [(member("code/a"), b"x"), (member("code"), b"x")],
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_reaches_out_is_refused(
    tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    target = tmp_path / "a" / "b" / "out"
    target.mkdir(parents=True)
    file = archive(tmp_path, *members)
    with pytest.raises(BadArchive) as caught:
        unpack(file, target)
    assert str(caught.value)
    assert not list(tmp_path.rglob("evil"))
    assert not Path("/tmp/evil-absolute").exists()


def test_special_permissions_are_dropped(tmp_path: Path) -> None:
    file = archive(tmp_path, (member("run", mode=0o6777), b"x"))
    unpack(file, tmp_path)
    assert (tmp_path / "run").stat().st_mode & 0o7777 == 0o755


def test_more_than_the_disk_holds_is_refused_before_it_is_written(tmp_path: Path) -> None:
    info = member("huge")
    info.size = 1 << 60
    file = tmp_path / "model.tar"
    file.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(BadArchive, match="does not fit"):
        unpack(file, tmp_path)
    assert not (tmp_path / "huge").exists()


@settings(max_examples=60)
@given(cut=st.integers(min_value=0, max_value=400), flip=st.integers(min_value=0, max_value=255))
def test_a_damaged_archive_is_a_bad_archive_or_a_good_one(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    data = bytearray(model_archive({"model.joblib": bytes(range(256)), "code/inference.py": "x"}))
    place = cut % len(data)
    data[place] ^= flip
    (folder / "model.tar.gz").write_bytes(data[: len(data) - cut % 7])
    (folder / "out").mkdir()
    with contextlib.suppress(BadArchive):
        unpack(folder / "model.tar.gz", folder / "out")
    assert {path.name for path in folder.iterdir()} == {"model.tar.gz", "out"}
