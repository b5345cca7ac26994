"""Summary, outputs and the file a fork's job leaves: nothing in a value gets out of its place."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reports import REPORTS

from ci.errors import ForgeError
from ci.forge.handoff import LARGEST, read_comment_file, write_comment_file
from ci.forge.summary import SUMMARY_BYTES, write_outputs, write_summary
from ci.report.markdown import render_comment


def read_outputs(text: str) -> dict[str, str]:
    """As GitHub's runner reads the file."""
    found, lines = {}, text.split("\n")
    while lines and lines[0]:
        name, _, mark = lines.pop(0).partition("<<")
        value = []
        while (line := lines.pop(0)) != mark:
            value.append(line)
        found[name] = "\n".join(value)
    return found


values = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\r"))


@settings(deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_-]{0,9}", fullmatch=True), values, max_size=4))
def test_outputs_come_back_as_they_were(outputs: dict[str, str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "output"
        write_outputs(file, outputs)
        assert read_outputs(file.read_bytes().decode()) == outputs


def test_a_value_can_not_end_its_own_block(tmp_path: Path) -> None:
    file = tmp_path / "output"
    marks = iter(["same", "same", "other"])
    value = "x\nsagemaker-gitops-same\nevil=1"
    write_outputs(file, {"a": value}, delimiter=lambda: next(marks))
    assert read_outputs(file.read_text()) == {"a": value}


@pytest.mark.parametrize("name", ["", "a b", "a\nb=1", "a<<b", "é"])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        write_outputs(tmp_path / "output", {name: "x"})


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
    file = tmp_path / "deep" / "comment.md"
    write_comment_file(file, render_comment(report))
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
