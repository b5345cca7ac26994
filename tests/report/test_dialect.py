"""Comments for forges that do not read GitHub's Markdown: every word kept, and inert there."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support.reports import REPORTS

from ci.report.dialect import without_html, without_quick_actions
from ci.report.escape import code, fence, text
from ci.report.fit import folded, size
from ci.report.markdown import render_comment
from ci.report.marker import Marker, marker_of, parse_marker, render_link_marker
from ci.report.model import State

_RENDERER = MarkdownIt("commonmark", {"html": False}).enable("table")


def shown(markdown: str) -> str:
    """What a reader sees of it, without marks that join nothing and separate nothing."""
    html = re.sub(r"<[^>]*>", " ", _RENDERER.render(markdown))
    for entity, char in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        html = html.replace(entity, char)
    return html.replace("\u200b", "")


@pytest.mark.parametrize("name", sorted(REPORTS))
def test_no_report_shows_tags_or_entities_where_html_is_text(name: str) -> None:
    plain = without_html(render_comment(REPORTS[name]))
    assert parse_marker(plain) == marker_of(REPORTS[name])
    outside = re.sub(r"(?ms)^(`{3,}).*?^\1$", "", plain)
    outside = re.sub(r"`[^`]+`", "", outside)
    assert not re.search(r"<(?=[A-Za-z/!])|&#|&[a-z]+;", outside)
    assert "mermaid" not in plain
    assert "[sagemaker-gitops]" not in _RENDERER.render(plain)


@pytest.mark.parametrize("name", sorted(REPORTS))
def test_no_mention_is_left(name: str) -> None:
    assert not re.search(r"@[\w{]", without_html(render_comment(REPORTS[name])))


def test_a_fold_is_a_heading_and_the_graph_goes_with_its_own() -> None:
    body = "\n\n".join(
        [
            folded("Steps: 3", "| a | b |\n| --- | --- |\n| x<br>y | `z` |"),
            folded("Graph", fence("flowchart LR", info="mermaid")),
            "> [!WARNING]\n> - careful",
            "<sub>one</sub><br>\n<sub>two&nbsp;three</sub>",
        ]
    )
    assert without_html(body) == (
        "**Steps: 3**\n\n| a | b |\n| --- | --- |\n| x · y | `z` |\n\n"
        "> **Warning**\n>\n> - careful\n\none\n\ntwo\u00a0three\n"
    )


@given(st.text(max_size=60))
def test_foreign_text_reads_as_on_github(value: str) -> None:
    line = f"before {text(value)} after {code(value)} end"
    plain = without_html(line)
    github = MarkdownIt("commonmark").render(line)
    expected = re.sub(r"</?(p|code|em)>", " ", github)
    for entity, char in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        expected = expected.replace(entity, char)
    squeeze = re.compile(r"[\s\u200b\u00a0]+")
    assert squeeze.sub("", shown(plain)) == squeeze.sub("", expected)


@given(st.text(max_size=80))
def test_no_text_becomes_a_quick_action(value: str) -> None:
    body = without_quick_actions(f"{text(value)}\n\n{fence(value)}\n")
    assert not re.search(r"(?m)^[ \t>]*/[A-Za-z_]+([ \t\r]|$)", body)


def test_paths_and_fences_stay_as_they_are_for_gitlab() -> None:
    body = "```\n/opt/ml/model !12\n```\n[x](https://a.example/!1)\n"
    assert without_quick_actions(body) == body


@pytest.mark.parametrize("unit", ["<!--", "<b ", "&#", "`", "](", "/a ", "![", "<summary>", "@{"])
def test_time_grows_with_the_length_alone(unit: str) -> None:
    long = unit * 40_000
    begun = time.process_time()
    without_html(long)
    without_quick_actions(long)
    assert time.process_time() - begun < 4


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(_TEXTS, _TEXTS, st.none() | _TEXTS)
def test_the_marker_round_trips(pipeline: str, commit: str, execution: str | None) -> None:
    marker = Marker(
        pipeline=pipeline,
        environment="main",
        commit=commit,
        execution=execution,
        digest=None,
        state=State.RUNNING,
        plan="p",
    )
    line = render_link_marker(marker)
    assert parse_marker(f"{line}\n\nmore") == marker
    assert parse_marker(f"{line}\r\n") == marker
    assert _RENDERER.render(line).strip() == ""


def test_a_comment_that_is_known_by_a_name_stays_known() -> None:
    plain = without_html("<!-- sagemaker-gitops-answers -->\n<sub>done</sub>\n")
    assert plain == "[sagemaker-gitops-answers]: #\n\ndone\n"
    assert "answers" not in _RENDERER.render(plain)


@pytest.mark.parametrize("broken", ["", "x", "____", "e30", "bnVsbA", "W10"])
def test_a_broken_marker_is_none(broken: str) -> None:
    assert parse_marker(f"[sagemaker-gitops]: #{broken}\n") is None


@pytest.mark.parametrize("name", sorted(REPORTS))
def test_every_report_fits_the_smallest_forge(name: str) -> None:
    sizes = [
        size(without_html(render_comment(REPORTS[name], limit=limit)))
        for limit in (12_000, 10_000, 8_000)
    ]
    assert min(sizes) <= 10_240
