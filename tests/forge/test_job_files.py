"""The summary, and the file a fork's job leaves."""

from pathlib import Path

import pytest
from support.reports import REPORTS

from ci.errors import ForgeError
from ci.forge.handoff import LARGEST, read_comment_file
from ci.forge.summary import SUMMARY_BYTES, write_summary
from ci.report.markdown import render_comment


def test_the_summary_takes_what_room_there_is(tmp_path: Path) -> None:
    file = tmp_path / "summary"
    limits: list[int] = []

    def render(limit: int) -> str:
        limits.append(limit)
        return "€" * limit

    assert write_summary(file, render)
    assert file.stat().st_size <= SUMMARY_BYTES
    assert not write_summary(file, render)
    assert len(limits) == 1
    file.write_text("y" * 500_000)
    assert write_summary(file, render)
    assert file.stat().st_size <= SUMMARY_BYTES
    assert file.read_text().startswith("yyy")


def test_handed_on(tmp_path: Path) -> None:
    report = REPORTS["success"]
    file = tmp_path / "comment.md"
    file.write_text(render_comment(report), encoding="utf-8")
    assert read_comment_file(file, commit=report.trigger.commit) == render_comment(report)
    with pytest.raises(ForgeError, match="another commit"):
        read_comment_file(file, commit="f" * 40)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"hello", "no comment of this program"),
        (b"\xff", "cannot be read"),
        (b"x" * (LARGEST + 1), "too large"),
        (None, "cannot be read"),
    ],
)
def test_what_is_not_posted(tmp_path: Path, content: bytes | None, words: str) -> None:
    file = tmp_path / "comment.md"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ForgeError, match=words):
        read_comment_file(file, commit="a" * 40)
