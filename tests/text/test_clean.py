"""Foreign text gives a terminal no control and a CI runner no command."""

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ci.text.clean import clean, cut, inert_output, output_line

pieces = st.sampled_from(
    [
        "::error::x",
        "##[group]y",
        " ",
        "\t",
        "\r",
        "\n",
        "\r\n",
        "\x1b[1m",
        "\x1b[m",
        "#",
        "[",
        "\x0b",
        "\u3000",
        ":",
    ]
)
texts = st.text() | st.lists(pieces | st.text(max_size=3), max_size=12).map("".join)


def commands_in(output: str) -> list[str]:
    """The lines that GitHub's runner takes for commands, or would once colours were taken out; it
    ends lines at CR, LF and both."""
    lines = re.split(r"\r\n|\r|\n", re.sub(r"\x1b\[[0-9;]*m", "", output))
    return [line for line in lines if line.lstrip().startswith("::") or "##[" in line]


def test_the_judge_knows_a_command() -> None:
    assert len(commands_in(" ::error::x\rok\n\x1b[31m::y\nq ##[group]z")) == 3


@given(texts)
@example("a\n\u3000::error::x\r##[group]y")
@example(":\x1b[m:error::x")
@example(" \x1b[31m:\x1b[m\x1b[1m:x\n#\x1b[m#\x1b[0;1m[group]")
def test_no_output_commands_the_runner(text: str) -> None:
    shown = inert_output(text)
    assert commands_in(shown) == []
    assert shown.replace("\u200b", "") == text.replace("\u200b", "")
    assert inert_output(shown) == shown


@given(texts)
def test_no_text_breaks_a_line(text: str) -> None:
    line = output_line(text)
    assert len(line.splitlines()) <= 1
    assert commands_in(line) == []
    assert "\x1b" not in line


def test_a_log_line_keeps_its_indentation() -> None:
    assert output_line("    at f(x)\tin y", limit=None) == "    at f(x)    in y"
    assert output_line("x" * 501) == "x" * 499 + "…"


def test_cut_says_that_something_is_missing() -> None:
    assert (cut("abc", 3), cut("abcd", 3), cut("abc", 0)) == ("abc", "ab…", "…")


def test_terminal_escapes_go_whole() -> None:
    assert clean("\x1b[1;31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07") == "red link"


@pytest.mark.parametrize("piece", ["\n", " ", ":", "\x1b[", "#", " \n", "\x1b]", "\r"])
def test_time_grows_with_length_alone(piece: str) -> None:
    long = piece * (1_000_000 // len(piece))
    began = time.process_time()
    inert_output(long)
    clean(long, lines=True)
    assert time.process_time() - began < 10
