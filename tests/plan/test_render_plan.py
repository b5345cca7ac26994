"""How a plan reads: golden renderings, and hostile text that does nothing."""

import copy
import dataclasses
import html.parser
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support.definitions import parsed, processing, s3_input, small_pipeline

from ci.plan.diff import plan_changes
from ci.plan.document import plan_to_json
from ci.plan.markdown import fenced, inline, render_markdown
from ci.plan.model import Files, FunctionState, Kind, PipelineState, Plan, StepChange
from ci.plan.outline import outline
from ci.plan.terminal import render_terminal
from ci.plan.words import summary, visible

HOSTILE = "x`` ```\n</details><img src=x onerror=y> @octocat \x1b[31m \u202e | [a](http://b) #1"
BEFORE = b"import sys\n\nDEPTH = 3\n\ndef main():\n    return DEPTH\n"
AFTER = BEFORE.replace(b"3", b"5") + b"\n\nmain()\n"


def reviewed(before: bytes = BEFORE, after: bytes = AFTER) -> Plan:
    """A pull request as they come: code and a hyperparameter changed, a step more, a new role."""
    old, new = small_pipeline(), small_pipeline()
    for document, sha in ((old, "a" * 64), (new, "b" * 64)):
        document["Steps"][1]["Arguments"]["InputDataConfig"].append(
            {
                "ChannelName": "code",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://b/sagemaker-gitops/{sha}/train.py",
                    }
                },
            }
        )
    new["Steps"][1]["Arguments"]["HyperParameters"] = {"depth": "5", "eta": "0.1"}
    new["Steps"][1]["Arguments"]["ResourceConfig"]["InstanceType"] = "ml.m5.xlarge"
    audit = processing("Audit", DependsOn=["Train"])
    audit["Arguments"]["ProcessingInputs"] = [s3_input("data", {"Get": "Parameters.Data"})]
    new["Steps"].append(audit)
    new["Parameters"][1]["DefaultValue"] = 5.0
    configuration = {"Handler": "deploy.handler", "Timeout": 60}
    return plan_changes(
        PipelineState(
            definition=parsed(new),
            files=one("train.py", after),
            role="arn:aws:iam::000000000000:role/new",
            functions={"deploy": FunctionState(sha256="d" * 64, configuration=configuration)},
        ),
        PipelineState(
            definition=parsed(old),
            files=one("train.py", before),
            role="arn:aws:iam::000000000000:role/old",
            functions={
                "deploy": FunctionState(
                    sha256="d" * 64, configuration=configuration | {"Timeout": 30}
                )
            },
        ),
        pipeline="abalone",
    )


def one(name: str, data: bytes) -> Files:
    return lambda address: {name: data}


def created() -> Plan:
    return plan_changes(
        PipelineState(definition=parsed(small_pipeline())), None, pipeline="abalone"
    )


def unchanged() -> Plan:
    side = PipelineState(definition=parsed(small_pipeline()))
    return plan_changes(side, side, pipeline="abalone")


def renamed() -> Plan:
    new = json.loads(json.dumps(small_pipeline()).replace("Prepare", "Split"))
    return plan_changes(
        PipelineState(definition=parsed(new)),
        PipelineState(definition=parsed(small_pipeline())),
        pipeline="abalone",
    )


def reworked() -> Plan:
    new = json.loads(json.dumps(small_pipeline()).replace("Prepare", "Split"))
    new["Steps"][0]["Arguments"]["Environment"]["LEVEL"] = "debug"
    return plan_changes(
        PipelineState(definition=parsed(new)),
        PipelineState(definition=parsed(small_pipeline())),
        pipeline="abalone",
    )


CASES: dict[str, Callable[[], Plan]] = {
    "reviewed": reviewed,
    "created": created,
    "unchanged": unchanged,
    "renamed": renamed,
    "reworked": reworked,
}


@pytest.mark.parametrize("case", CASES)
def test_renderings(case: str, golden: Callable[[str, str], None]) -> None:
    plan = CASES[case]()
    golden(f"{case}.md", render_markdown(plan))
    golden(f"{case}.txt", render_terminal(plan))
    golden(f"{case}.json", json.dumps(plan_to_json(plan), indent=1) + "\n")


def test_the_summary_is_one_line() -> None:
    assert summary(reviewed()) == (
        "1 step changed, 1 added, 1 parameter changed, 1 setting changed, 1 function changed;"
        " Train, Evaluate and Audit will run again, Prepare can come from the cache."
    )
    assert "\n" not in summary(created())


def test_a_new_pipeline_is_outlined_and_all_of_it_is_a_flag_away() -> None:
    plan = created()
    short, whole = render_terminal(plan), render_terminal(plan, verbose=True)
    lines = [line for line in whole.splitlines() if line.startswith("    + ")]
    assert len(short.splitlines()) < len(whole.splitlines()) / 3
    assert f"all {len(lines)} lines" in short
    for step in plan.steps:
        assert f"+ {step.name} ({step.type})" in short
    markdown = render_markdown(plan)
    shown, _, folded = markdown.partition("<details>")
    assert not any(line.strip() in shown for line in lines)
    assert all(line.strip() in folded for line in lines)


def test_a_change_is_whole_with_and_without_the_flag() -> None:
    assert render_terminal(reviewed(), verbose=True) == render_terminal(reviewed())


def test_a_parameter_tells_the_value_it_is_given() -> None:
    line = "parameter Bound: Float = 6.0; given 2.5"
    assert line in render_terminal(created(), given={"Bound": 2.5})
    assert line in render_markdown(created(), given={"Bound": 2.5})


def test_a_value_that_is_given_is_told_where_the_pipeline_stands() -> None:
    line = "parameter Data: given s3://b/new"
    for shown in (
        render_terminal(reviewed(), given={"Data": "s3://b/new"}),
        render_markdown(reviewed(), given={"Data": "s3://b/new"}),
    ):
        assert line in shown.replace('"', "")


def outlined(*steps: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    document = small_pipeline()
    document["Steps"].extend(steps)
    plan = plan_changes(PipelineState(definition=parsed(document)), None, pipeline="p")
    return {each.name: each.does for each in outline(plan)}


def test_conditions_read_as_sentences() -> None:
    bound = {"Get": "Parameters.Bound"}
    below = {"Type": "LessThan", "LeftValue": bound, "RightValue": 1}
    either = {"Type": "Or", "Conditions": [below, {"Type": "Not", "Condition": below}]}
    inside = {"Type": "In", "QueryValue": bound, "Values": ["a", 2]}
    arguments = {"Conditions": [either, inside], "IfSteps": [], "ElseSteps": []}
    found = outlined({"Name": "Odd", "Type": "Condition", "Arguments": arguments})
    assert found["Odd"] == ("asks (Bound < 1 or not (Bound < 1)) and Bound in a, 2",)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
MEMBERS = ("Conditions", "ProcessingOutputConfig", "HyperParameters", "TransformOutput")


@given(
    st.sampled_from(["Condition", "Processing", "Training", "Transform", "Lambda", "Fail", "New"]),
    st.dictionaries(st.sampled_from((*MEMBERS, "ErrorMessage", "Outputs")), JSON),
)
@settings(max_examples=60)
def test_no_shape_of_arguments_breaks_an_outline(kind: str, arguments: dict[str, Any]) -> None:
    step = StepChange(
        name="x", type=kind, kind=Kind.ADDED, content={"Type": kind, "Arguments": arguments}
    )
    plan = dataclasses.replace(created(), steps=(step,))
    assert render_terminal(plan).count("+ x (") == 1
    render_markdown(plan)


def test_color_is_the_only_difference_of_a_colored_terminal() -> None:
    plain = render_terminal(reviewed())
    colored = render_terminal(reviewed(), color=True)
    assert "\x1b[32m" in colored
    assert re.sub(r"\x1b\[\d+m", "", colored) == plain


@pytest.mark.parametrize("width", [40, 80, 200])
def test_sentences_take_the_width_of_the_terminal_and_lose_no_word(width: int) -> None:
    plain, wrapped = render_terminal(reviewed()), render_terminal(reviewed(), width=width)
    assert wrapped.split() == plain.split()
    sentence = wrapped.partition("\n")[2].partition("\n\n")[0]
    assert max(map(len, sentence.splitlines())) <= width
    assert summary(reviewed()) in plain.splitlines()


@pytest.mark.parametrize("width", [None, 40])
def test_what_differs_far_to_the_right_is_shown(width: int | None) -> None:
    old, new = (f"{'x = 1; ' * 40}depth = {depth}" for depth in (5, 6))
    text = render_terminal(reviewed(f"{old}\n".encode(), f"{new}\n".encode()), width=width)
    assert f"-{old}" in text
    assert f"+{new}" in text


def hostile(text: str) -> Plan:
    """The text wherever a stranger's text may stand."""
    old = small_pipeline()
    for step in (0, 1):
        old["Steps"][step]["Arguments"]["ProcessingInputs" if not step else "Tags"] = [
            s3_input("code", f"s3://b/p/{'a' * 64}/x.py")
        ]
    new = json.loads(json.dumps(old).replace("a" * 64, "b" * 64))
    new["Steps"][0]["Arguments"]["Environment"] = {text: text}
    new["Steps"].append(processing(text))
    new["Steps"].append({"Name": f"{text}2", "Type": text, "Arguments": {text: [text]}})
    new["Parameters"].append({"Name": text, "Type": "String", "DefaultValue": text})
    return plan_changes(
        PipelineState(
            definition=parsed(new),
            files=lambda _: {f"{text}.py": f"a\n{text}\n".encode()},
            role=text,
            tags={text: text},
        ),
        PipelineState(definition=parsed(old), files=lambda _: {"x.py": b"a\n"}, role="r"),
        pipeline=text,
        volatile=(text,),
    )


class Rendered(html.parser.HTMLParser):
    """What a reader's browser gets: the tags, and the text outside of code."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self._code = 0
        self.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self._code += tag in {"code", "pre"}

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in {"code", "pre"}

    def handle_data(self, data: str) -> None:
        self.text += data if not self._code else ""


TAGS = {
    *("h3", "h4", "p", "strong", "pre", "code", "details", "summary", "sub"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30) | st.just(HOSTILE))
@settings(max_examples=60)
def test_hostile_text_is_inert(text: str) -> None:
    plan = hostile(text)
    markdown = render_markdown(plan)
    for char in ("\x1b", "\u202e", "\r", "\0", "\u2028"):
        assert char not in markdown
        assert char not in render_terminal(plan)
    page = Rendered(markdown)
    assert page.tags <= TAGS
    assert not re.search(r"@\w|#\d|www\.|https?://", page.text)
    json.dumps(plan_to_json(plan))
    new = dataclasses.replace(plan, exists=False, runs=())
    page = Rendered(render_markdown(new))
    assert page.tags <= TAGS
    assert not re.search(r"@\w|#\d|www\.|https?://", page.text)
    assert not re.search(r"[\x1b\u202e\r\0\u2028]", render_terminal(new))


@pytest.mark.parametrize(
    "name", ["GH-12", "gh-7", "deadbeef", "0a1b2c3", ":tada:", "WWW.x.example"]
)
def test_a_name_refers_to_nothing(name: str) -> None:
    """Names that a step may have: no issue, commit, picture or address is made of them."""
    plan = hostile(name)
    for each in (plan, dataclasses.replace(plan, exists=False, runs=())):
        shown = Rendered(render_markdown(each)).text
        assert not re.search(rf"\b{name}\b" if name.isalnum() else re.escape(name), shown)


@given(st.text(max_size=40))
def test_inline_code_and_fences_hold_their_text(text: str) -> None:
    code = inline(text)
    ticks = re.match(r"`+", code)
    assert ticks is not None
    inner = code[len(ticks[0]) : -len(ticks[0])]
    assert ticks[0] not in re.findall(r"`+", inner)
    lines = visible(text).split("\n")
    block = fenced(lines).split("\n")
    assert block[0] == block[-1] + "diff"
    assert not any(line.startswith(block[-1]) for line in block[1:-1])


@pytest.mark.parametrize("limit", [1_500, 6_000, 60_000])
def test_a_plan_fits_into_a_comment(limit: int) -> None:
    old, new = small_pipeline(), small_pipeline()
    for n in range(120):
        step = processing(f"Extra{n}")
        old["Steps"].append(copy.deepcopy(step))
        step["Arguments"]["Environment"] = {f"K{i}": "v" * 200 for i in range(20)}
        new["Steps"].append(step)
    plan = plan_changes(
        PipelineState(definition=parsed(new)),
        PipelineState(definition=parsed(old)),
        pipeline="large",
    )
    text = render_markdown(plan, limit=limit)
    assert len(text) <= limit
    assert text.startswith("### Plan for `large`\n\n**120 steps changed")
    assert text.count("```") % 2 == 0


def test_long_values_show_where_they_differ() -> None:
    old, new = small_pipeline(), small_pipeline()
    old["Steps"][0]["Arguments"]["Environment"]["LEVEL"] = "x" * 250 + "old"
    new["Steps"][0]["Arguments"]["Environment"]["LEVEL"] = "x" * 250 + "new"
    plan = plan_changes(
        PipelineState(definition=parsed(new)),
        PipelineState(definition=parsed(old)),
        pipeline="p",
    )
    text = render_markdown(plan)
    assert 'old"' in text
    assert 'new"' in text
    assert "x" * 60 not in text
