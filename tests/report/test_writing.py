"""A file that a user named is written whole or not at all."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ci.errors import UsageError
from ci.session.writing import write_whole

# The system ends it where it has written a part.
_KILLED = """
import resource, signal, sys
from pathlib import Path
from ci.session.writing import write_whole
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
write_whole(Path(sys.argv[1]), "x" * 100_000, what="it")
"""


def test_a_kill_in_the_middle_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text("before")
    ended = subprocess.run([sys.executable, "-c", _KILLED, str(file)], check=False)
    assert ended.returncode == -signal.SIGXFSZ
    assert file.read_text() == "before"


def test_what_is_there_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("before")
    file.chmod(0o640)
    link.symlink_to(file)
    write_whole(link, "after", what="it")
    assert (link.is_symlink(), file.read_text()) == (True, "after")
    assert file.stat().st_mode & 0o777 == 0o640
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "link"]


def test_folders_on_the_way_are_made(tmp_path: Path) -> None:
    write_whole(tmp_path / "a" / "b" / "file", "text", what="it")
    assert (tmp_path / "a" / "b" / "file").read_text() == "text"


def test_what_is_no_file_is_written_as_it_comes(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, "text", what="it")
    assert os.read(reader, 10) == b"text"
    os.close(reader)


@pytest.mark.parametrize("name", [".", "file/below"])
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="the prices cannot be written") as caught:
        write_whole(tmp_path / name, "text", what="the prices")
    assert caught.value.where == str(tmp_path / name)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
