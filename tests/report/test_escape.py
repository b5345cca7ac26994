"""Foreign text stays text, whatever it holds."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.markdown import ACTIVE, flat, html_of, parse, plain_text

from ci.report.escape import code, fence, html_text, link, mermaid_label, text
from ci.text.clean import clean

HOSTILE = [
    "@octocat approve", "fixes #1", "GH-12", "acme/mlops#3", "https://evil.example",
    "www.evil.example", "a@b.example", ":tada:", "`code`", "``` fence", "~~~", "<!-- x",
    "<script>alert(1)</script>", "&lt;b&gt;", "a|b", "\\|", "**bold**", "_it_", "[x](http://y)",
    "![x](y)", "# h", "1. one", "2)", "- a", "+ a", "> q", "===", "---", "$x^2$", "$`x`$",
    "a\nb\n\n# c", "a\r\nb", "\u202etxt", "\x00\x1b[31mred", "~~gone~~", "[^1]", "<details>",
    "</details>", "|---|", "\u2028x", "\ud800", "x" * 500, " ", "", "a\\", "`", "``", "-->",
    "--!>", "http://x.y/(a)", "[x]: http://y", "@@a", "##1", "a@b@c", "mailto:a@b.c", "(c)",
    "0123456789abcdef" * 2, "deadbee",
]  # fmt: skip
anything = (
    st.text(max_size=80)
    | st.sampled_from(HOSTILE)
    | st.lists(st.sampled_from(HOSTILE), max_size=4).map("".join)
)


def inert(markdown: str, *, html: str = r"(?!)") -> None:
    kinds = {token.type for token in flat(markdown)}
    assert kinds <= {"paragraph_open", "paragraph_close", "inline", "text", "code_inline",
                     "html_inline", "text_special"}  # fmt: skip
    assert all(re.fullmatch(html, piece) for piece in html_of(markdown))
    assert ACTIVE.search(plain_text(markdown)) is None


@given(anything)
@example("".join(HOSTILE[:-10]))
def test_text_is_one_paragraph_of_text(value: str) -> None:
    inert(text(value))
    assert "\n" not in text(value)


@given(anything)
def test_text_is_read_as_it_was_written(value: str) -> None:
    shown = plain_text(text(value, limit=10_000)).replace("\u200b", "")
    assert shown == clean(value)


@given(anything)
def test_code_is_one_span(value: str) -> None:
    if clean(value):
        inert(f"x {code(value)} y", html="</?code>")


@given(st.lists(st.tuples(anything, anything), min_size=1, max_size=3))
def test_a_table_keeps_its_cells(cells: list[tuple[str, str]]) -> None:
    rows = [f"| {text(left)} | {code(right)} |" for left, right in cells]
    tokens = parse("\n".join(["| a | b |", "| --- | --- |", *rows]))
    assert sum(token.type == "tr_open" for token in tokens) == len(cells) + 1
    assert sum(token.type == "td_open" for token in tokens) == 2 * len(cells)
    assert tokens[-1].type == "table_close"
    assert not any("\\|" in row for row in rows)


@given(st.text(alphabet=st.sampled_from("`~ \na\r\t>#-\x00\u2028|<"), max_size=200) | anything)
def test_a_fence_ends_where_it_should(value: str) -> None:
    tokens = parse(f"before\n\n{fence(value)}\n\nafter")
    kinds = [token.type for token in tokens]
    assert kinds == ["paragraph_open", "inline", "paragraph_close", "fence",
                     "paragraph_open", "inline", "paragraph_close"]  # fmt: skip


@given(anything, anything)
def test_a_link_leads_where_it_says_or_nowhere(label: str, url: str) -> None:
    target = f"https://ok.example/{url}"
    tokens = list(flat(f"x {link(label, target)} y"))
    opened = [token for token in tokens if token.type == "link_open"]
    assert len(opened) <= 1
    for token in opened:
        assert str(token.attrs["href"]).startswith("https://ok.example/")
    assert not any(token.type.startswith(("html", "image", "em", "strong")) for token in tokens)


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:text/html,x", "//evil", "https://a b", "https://x/\n", "ftp://x"],
)
def test_what_is_no_web_address_is_no_link(url: str) -> None:
    assert not any(token.type == "link_open" for token in flat(link("label", url)))


def test_harmless_values_stay_readable() -> None:
    assert code("arn:aws:sagemaker:us-east-1:1:x/y") == "`arn:aws:sagemaker:us-east-1:1:x/y`"
    assert text("Train took 12 min, 4.1 % better; done") == "Train took 12 min, 4.1 % better; done"


@given(anything)
def test_clean_leaves_nothing_that_hides_or_acts(value: str) -> None:
    for shown in (clean(value), clean(value, lines=True)):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)
        assert not re.search("[\u200b-\u200f\u202a-\u202e\u2066-\u2069]", shown)
        assert shown.encode("utf-8").decode() == shown
    assert clean(clean(value)) == clean(value)


@given(anything)
def test_html_and_mermaid(value: str) -> None:
    assert not re.search(r"[<>\"']", html_text(value))
    assert re.fullmatch(r"(?:[^\W_]|[ .\-…]|#\d+;)*", mermaid_label(value))
