"""What the function is handed and cannot be right: told as such, at little cost."""

import stat
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from ci.door.approving import answer_approval
from ci.door.progress import decode
from ci.door.settings import parse_settings
from ci.door.source import unpack
from ci.door.world import open_world
from ci.errors import TriggerError, UsageError


def test_of_a_link_no_more_is_read_than_a_path_can_have(tmp_path: Path) -> None:
    """A zip of kilobytes unpacks to more than a function has."""
    archive, folder = tmp_path / "bomb.zip", tmp_path / "out"
    folder.mkdir()
    link = zipfile.ZipInfo("link")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    link.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(archive, "w") as held:
        held.writestr(link, b"a" * (32 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(TriggerError, match="longer than a path"):
            unpack(archive, folder, where="s3://x/y")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 << 20
    assert not list(folder.iterdir())


@pytest.mark.parametrize("pipeline", ["a,b", " , ", "a b/S/T"])
def test_an_action_is_of_one_pipeline(pipeline: str) -> None:
    settings = parse_settings(
        f'{{"command": "approve", "pipeline": "{pipeline}", "execution": "e"}}'
    )
    with pytest.raises(UsageError, match=r"names \d pipelines"):
        answer_approval(settings, open_world({}, lambda: 300.0))


@pytest.mark.parametrize("name", ["b", "l", "t"])
@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "NaN", "1e999"])
def test_a_token_s_numbers_are_numbers(name: str, number: str) -> None:
    held = {"v": "1", "b": "1", "l": "0", "p": '""', "x": "[]", "s": "null", "t": "null"}
    text = ",".join(f'"{key}":{value}' for key, value in {**held, name: number}.items())
    with pytest.raises(UsageError, match="was not written by this version"):
        decode(f"{{{text}}}", now=1.0)
