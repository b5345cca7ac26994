"""Every rendering of every kind of report: golden files, limits, inertness, the marker."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import jsonschema
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.markdown import ACTIVE, fences_are_balanced, flat, html_of, parse, plain_text
from support.reports import HOSTILE, REPORTS, TRIGGER, renderings
from support.samples import START, execution, metric, step

from ci.metrics.facts import Facts
from ci.metrics.read import unreadable
from ci.metrics.verdict import decide_verdict
from ci.report.document import load_schema, report_to_json
from ci.report.fit import cut_markdown, size
from ci.report.html import render_html
from ci.report.markdown import COMMENT_LIMIT, SMALLEST_LIMIT, render_comment
from ci.report.marker import marker_of, parse_marker, render_marker
from ci.report.model import (
    Command,
    GraphNode,
    Link,
    LogTail,
    ParameterValue,
    PlanSection,
    Report,
    State,
)
from ci.report.sections import sections
from ci.report.terminal import list_outcomes, render_terminal
from ci.report.words import same_places
from ci.sagemaker.model import ExecutionStatus
from ci.text.redact import Redactor

Golden = Callable[[str, str], None]
NAMES = sorted(REPORTS)
_OWN_HTML = re.compile(
    r"(?:<!-- sagemaker-gitops: .*? -->|</?(?:details|summary|sub|code)>|<br>|\s"
    r"|(?<=<summary>)[^<>]*(?=</summary>))*"
)


@pytest.mark.parametrize("name", NAMES)
def test_golden(name: str, golden: Golden) -> None:
    shown = renderings(REPORTS[name])
    for ending in ("md", "txt"):
        golden(f"{name}.{ending}", shown[ending])


@pytest.mark.parametrize("name", ["success", "hostile"])
def test_golden_documents(name: str, golden: Golden) -> None:
    shown = renderings(REPORTS[name])
    golden(f"{name}.json", shown["json"] + "\n")
    golden(f"{name}.html", shown["html"])


def test_golden_sections(golden: Golden) -> None:
    """Every section in every form that it has, from whole to short."""
    told = {
        name: sections(Redactor().value(REPORTS[name]))
        for name in ("success", "step-failed", "hostile")
    }
    for name, shown in told.items():
        forms = (
            f"======== {each.title}, weight {weight}\n{variant}\n"
            for each in shown
            for weight, variant in zip(each.weights, each.variants, strict=True)
        )
        golden(f"sections-{name}.md", "\n".join(forms))
    covered = {each.title for shown in told.values() for each in shown}
    assert covered == {each.title for name in NAMES for each in sections(REPORTS[name])}


@pytest.mark.parametrize("name", NAMES)
def test_json_follows_its_published_schema(name: str) -> None:
    schema = load_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    document = json.loads(renderings(REPORTS[name])["json"])
    closed = json.loads(
        json.dumps(schema).replace(
            '"type": "object"', '"type": "object", "additionalProperties": false'
        )
    )
    jsonschema.Draft202012Validator(closed).validate(document)


def test_every_field_of_the_schema_says_what_it_holds() -> None:
    schema = load_schema()
    kinds = {"the report": schema, **schema["$defs"]}
    fields = [(kind, *field) for kind in kinds for field in kinds[kind]["properties"].items()]
    assert not [f"{kind}: {name}" for kind, name, said in fields if not said.get("description")]


@pytest.mark.parametrize("name", NAMES)
def test_every_rendering_is_stable(name: str) -> None:
    assert renderings(REPORTS[name]) == renderings(REPORTS[name])


def test_hostile_text_is_inert_in_a_comment() -> None:
    comment = render_comment(REPORTS["hostile"])
    assert ACTIVE.search(plain_text(comment)) is None
    for piece in html_of(comment):
        assert _OWN_HTML.fullmatch(piece), piece
    links = [str(t.attrs["href"]) for t in flat(comment) if t.type == "link_open"]
    assert all(link.startswith(("https://x.example/", "https://x/")) for link in links)
    assert not any(token.type == "image" for token in flat(comment))


def test_hostile_text_is_inert_in_html() -> None:
    page = render_html(REPORTS["hostile"])
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http-equiv" in page


@pytest.mark.parametrize("width", [40, 80, 200])
def test_hostile_text_gives_no_runner_command(width: int) -> None:
    output = render_terminal(REPORTS["hostile"], width=width, color=True)
    bare = re.sub(r"\x1b\[[0-9;]*m", "", output)
    assert not any(line.lstrip().startswith("::") for line in bare.split("\n"))
    assert "##[" not in bare
    assert "\x1b" not in bare
    assert "\u202e" not in bare


@pytest.mark.parametrize("width", [None, 40])
def test_commands_stay_whole_lines(width: int | None) -> None:
    report = REPORTS["approval-pending"]
    lines = render_terminal(report, width=width).split("\n")
    assert report.commands
    assert all(f"  {command.label}: {command.line}" in lines for command in report.commands)


def test_a_command_in_a_note_can_be_copied() -> None:
    command = "sagemaker-gitops attach arn:aws:sagemaker:us-east-1:000000000000:pipeline/p"
    remark = f"It runs on. To go on: {command}"
    report = replace(REPORTS["running"], notes=(remark,), problems=(remark,))
    shown = f"- It runs on. To go on: `{command}`\n"
    assert render_comment(report).count(shown) == 2


def test_where_nothing_is_known_of_main_there_is_no_column_for_it() -> None:
    here = replace(REPORTS["success"], parameters=(ParameterValue(name="Depth", value="5"),))
    there = replace(here, parameters=(ParameterValue(name="Depth", value="5", main="5"),))
    for render in (render_terminal, render_html, render_comment):
        assert "On main" not in render(here)
        assert "On main" in render(there)


def test_a_plan_of_a_pull_request_is_not_taken_for_its_run() -> None:
    there = replace(REPORTS["success"], environment="main")
    here = replace(there, environment="pull_request")
    for render in (render_terminal, render_html, render_comment):
        assert "Plan for main: 1 step changed" in render(here)
        assert "Plan: 1 step changed" in render(there)


@pytest.mark.parametrize("reason", ["ExitCode 1", "Traceback\nValueError: no", None, "w " * 200])
@pytest.mark.parametrize("form", ["md", "txt", "html"])
def test_why_a_step_failed_is_told_whole_and_once(reason: str | None, form: str) -> None:
    failed = step("Train", status="Failed", failure_reason=reason)
    ended = execution(ExecutionStatus.FAILED, (failed,))
    verdict = decide_verdict(Facts(execution=ended))
    shown = renderings(replace(REPORTS["step-failed"], execution=ended, verdict=verdict, logs=()))
    text = " ".join(shown[form].split())
    assert text.count((reason or "gives no reason").strip().replace("\n", " ")) == 1


@pytest.mark.parametrize(("lines", "folds"), [(14, 0), (15, 1)])
def test_a_short_log_is_shown_once_and_whole(lines: int, folds: int) -> None:
    text = "\n".join(f"line {number} of the log" for number in range(lines))
    shown = render_comment(
        replace(REPORTS["step-failed"], logs=(LogTail(step="Train", text=text),))
    )
    assert shown.count("<summary>Log, last") == folds
    assert shown.count(f"line {lines - 1} of the log") == 1 + folds


@pytest.mark.parametrize("form", ["md", "txt", "html"])
def test_metrics_that_a_failed_step_kept_from_being_measured_are_not_told(form: str) -> None:
    failed = step("Evaluate", status="Failed", failure_reason="ExitCode 1")
    metrics = [
        unreadable(metric().source, "step Evaluate, which writes it, failed", unmeasured=True)
    ]
    facts = Facts(execution=execution(ExecutionStatus.FAILED, (failed,)), metrics=tuple(metrics))
    verdict = decide_verdict(facts)
    assert not verdict.problems
    shown = renderings(
        replace(REPORTS["step-failed"], execution=facts.execution, verdict=verdict, problems=())
    )
    assert "rmse" not in shown[form].replace("validation-rmse", "")


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        (["2.138", "2.05"], ["2.138", "2.050"]),
        (["2", "1.5", "—"], ["2.0", "1.5", "—"]),
        (["-0.1", "12"], ["-0.1", "12.0"]),
        (["0.00001234", "2.5"], ["0.00001234", "2.5"]),
        (["1.2e-07", "0.5"], ["1.2e-07", "0.5"]),
        ([], []),
    ],
)
def test_numbers_that_are_compared_have_the_same_decimals(
    numbers: list[str], told: list[str]
) -> None:
    assert same_places(numbers) == told


@pytest.mark.parametrize("steps", [7, 100])
def test_what_folds_of_its_own_is_not_folded_again_while_it_is_short(steps: int) -> None:
    arguments = "\n".join(["<details><summary>All</summary>", "", *["+ x"] * 500, "", "</details>"])
    table = "\n".join(["| step |", "|---|", *["| `Train` |"] * steps])
    section = PlanSection(headline="new", markdown=f"{table}\n\n{arguments}\n")
    comment = render_comment(replace(REPORTS["planned"], plan=section))
    before = comment.partition("| step |")[0]
    assert (before.count("<details>") > before.count("</details>")) is (steps == 100)


def test_several_reports_end_in_a_line_for_each() -> None:
    shown = list_outcomes([REPORTS["gate-failed"], REPORTS["success"], REPORTS["planned"]])
    told = [line.rpartition(": ")[2] for line in shown.splitlines()]
    assert told == ["gate failed", "succeeded", "planned"]
    assert "\x1b" not in list_outcomes([REPORTS["hostile"]])


def test_color_only_where_it_is_wanted() -> None:
    assert "\x1b[" not in render_terminal(REPORTS["success"])
    assert "\x1b[" in render_terminal(REPORTS["success"], color=True)


def test_what_is_left_out_is_said() -> None:
    logs = tuple(LogTail(step=f"S{n}", text=("x" * 290 + "\n") * 40) for n in range(40))
    many = tuple(
        step(f"Step{n}", n, status="Failed", failure_reason="because " * 300) for n in range(400)
    )
    large = replace(
        REPORTS["step-failed"],
        execution=execution(ExecutionStatus.FAILED, many),
        plan=PlanSection(headline="much", markdown="\n".join(["* change"] * 20_000)),
        logs=logs,
    )
    comment = render_comment(large)
    assert size(comment) <= COMMENT_LIMIT
    assert re.search(
        r"_Shortened to fit: [a-z, ]*logs[a-z, ]*\. The whole report is in the job summary", comment
    )
    assert "### ❌ Step Train failed" in comment
    assert "#### ❌ Step0" in comment
    assert fences_are_balanced(comment)


def test_a_limit_below_the_smallest_is_refused() -> None:
    with pytest.raises(ValueError, match="needs room for"):
        render_comment(REPORTS["success"], limit=SMALLEST_LIMIT - 1)


def test_the_worst_names_fit_the_smallest_limit() -> None:
    worst = "😀|<@" * 5_000
    report = replace(
        REPORTS["hostile"],
        pipeline=worst,
        environment=worst,
        pipeline_name=worst,
        digest=worst,
        attach=worst,
        trigger=replace(TRIGGER, commit=worst, actor=worst, run_url="https://x/" + "*" * 480),
        execution=execution(arn=worst),
        links=(Link(label=worst, url="https://x/" + "*" * 480),) * 9,
    )
    comment = render_comment(report, limit=SMALLEST_LIMIT)
    assert size(comment) <= SMALLEST_LIMIT
    assert parse_marker(comment) == marker_of(report)


def test_a_secret_is_gone_from_the_marker_too() -> None:
    assert parse_marker(render_comment(REPORTS["success"])) == marker_of(REPORTS["success"])


_WRONG_TYPE = (
    '<!-- sagemaker-gitops: {"v":1,"pipeline":1,"environment":"a","commit":"b",'
    '"execution":null,"digest":null,"state":"final"} -->'
)


@pytest.mark.parametrize(
    "body",
    [
        "", "hello", "<!-- sagemaker-gitops: {} -->", "<!-- sagemaker-gitops: [1] -->",
        '<!-- sagemaker-gitops: {"v":2} -->', "<!-- sagemaker-gitops: {" + "[" * 99_999 + "} -->",
        _WRONG_TYPE,
        '> <!-- sagemaker-gitops: {"v":1} -->',
    ],
)  # fmt: skip
def test_what_is_no_marker(body: str) -> None:
    assert parse_marker(body) is None


# GitHub's, what is tried after a refusal, about CodeCommit's, and the least.
LIMITS = (COMMENT_LIMIT, 32_000, 8_000, 2_000, SMALLEST_LIMIT)
words = st.text(max_size=60) | st.just(HOSTILE) | st.sampled_from(["`" * 9, "~~~", "-->", "|"])
lines = st.lists(words | st.sampled_from(["```", "<details>", "<!--", "<pre>"]), max_size=12)
texts = lines.map("\n".join) | st.builds(str.__mul__, words, st.integers(1, 300))


@st.composite
def any_report(draw: st.DrawFn) -> Report:
    base = draw(st.sampled_from([REPORTS[name] for name in NAMES]))
    name, value, text = draw(words), draw(words), draw(texts)
    failed = tuple(
        step(f"{name}{n}", n, status=draw(st.sampled_from(["Failed", "Succeeded", name])),
             failure_reason=text, cache_hit=value or None)
        for n in range(draw(st.sampled_from([0, 1, 3, 40])))
    )  # fmt: skip
    return replace(
        base,
        pipeline=name,
        environment=value,
        state=draw(st.sampled_from(State)),
        execution=draw(st.sampled_from([None, execution(ExecutionStatus.FAILED, failed)])),
        plan=PlanSection(headline=name, markdown=text, terminal=text),
        parameters=(ParameterValue(name=name, value=value, main=text),) * draw(st.integers(0, 9)),
        graph=(GraphNode(name=name, kind=value, after=(name,)),),
        logs=tuple(LogTail(step=f"{name}{n}", text=text) for n in range(draw(st.integers(0, 3)))),
        commands=(Command(label=name, line=text),),
        problems=(text, name),
        notes=(value,),
    )


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(any_report(), st.sampled_from(LIMITS))
def test_any_report_becomes_a_comment(report: Report, limit: int) -> None:
    comment = render_comment(report, limit=limit)
    assert size(comment) <= limit
    assert fences_are_balanced(comment)
    assert parse_marker(comment) == marker_of(report)
    assert comment == render_comment(report, limit=limit)
    assert comment.count("\n### ") >= 1
    assert comment.encode("utf-8")
    # The footer is read as Markdown: nothing before it swallowed the rest.
    last = [token for token in parse(comment) if token.type == "inline"][-1]
    assert any(child.type == "code_inline" for child in last.children or ())
    tags = " ".join(html_of(comment))
    assert tags.count("<details>") == tags.count("</details>")


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(any_report(), st.sampled_from(LIMITS))
def test_any_report_is_inert(report: Report, limit: int) -> None:
    """But for the plan, which is made safe where it is rendered."""
    safe = replace(report, plan=PlanSection(headline=report.pipeline, markdown="fine"))
    comment = render_comment(safe, limit=limit)
    assert ACTIVE.search(plain_text(comment)) is None
    assert all(_OWN_HTML.fullmatch(piece) for piece in html_of(comment))
    assert not any(token.type == "image" for token in flat(comment))


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(any_report())
def test_any_report_has_every_other_rendering(report: Report) -> None:
    jsonschema.Draft202012Validator(load_schema()).validate(report_to_json(report))
    assert render_html(report).count("<body>") == 1
    assert "commit" in render_terminal(report, width=60)


@example("<details>\na\n~~~\n\nb", 200)
@example("<sub>\n```\n\nb", 200)
@example("<DETAILS>\n\x1f\n```\n<!--", 21)
@given(lines.map("\n".join), st.integers(0, 200))
def test_cut_markdown_closes_what_it_opens(markdown: str, limit: int) -> None:
    shown = cut_markdown(markdown, limit)
    assert fences_are_balanced(shown)
    assert not any("<!--" in piece for piece in html_of(shown))
    tokens = parse(f"{shown}\n\n# after")
    assert tokens[-1].type == "heading_close"


@pytest.mark.parametrize("tag", ["<details>", "</details>"])
def test_a_fold_that_a_name_speaks_of_is_none(tag: str) -> None:
    """A plan's file may be called anything, and stands there as code."""
    shown = cut_markdown(f"<details>\n\nCode: `{tag}.py` and `x`\n\n" + "line\n" * 99, 200)
    pieces = [piece.strip() for piece in html_of(shown)]
    assert pieces == ["<details>", "</details>"]


def test_a_marker_is_one_safe_line() -> None:
    marker = replace(marker_of(REPORTS["success"]), pipeline="a--><b>\n--!> --->", digest=None)
    line = render_marker(marker)
    assert line.count("--") == 2
    assert "\n" not in line
    assert parse_marker(f"{line}\nmore") == marker
    assert parse_marker(f"{line}\r\nmore") == marker


@pytest.mark.parametrize("name", NAMES)
def test_time_alone_changes_no_comment(name: str) -> None:
    later = replace(REPORTS[name], generated=START + timedelta(hours=3))
    assert render_comment(later) == render_comment(REPORTS[name])


def test_a_terminal_shows_how_long_it_runs() -> None:
    running = REPORTS["running"]
    assert "25 min" in render_terminal(running)
    later = replace(running, generated=START + timedelta(hours=30))
    assert "30 h 00 min" in render_terminal(later)
