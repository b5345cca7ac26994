"""Orders in comments: a small grammar, and who may be obeyed for which commit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.delivery.chat import Order, Unclear, Verb, parse_order, refusal, unseen
from ci.forge.model import PullRequest
from ci.trigger.model import Remark

HEAD = "a1" * 20
WRITTEN = datetime(2026, 3, 2, 9, 25, tzinfo=UTC)
REMARK = Remark(id=1, body="", author="anna", written=WRITTEN)
PULL = PullRequest(
    number=7,
    head=HEAD,
    base="b2" * 20,
    branch="topic",
    open=True,
    merged=False,
    from_fork=False,
    title="A better model",
)
BEFORE = WRITTEN - timedelta(seconds=1)


@pytest.mark.parametrize(
    ("body", "order"),
    [
        ("/sagemaker", Order(verb=Verb.HELP)),
        ("/sagemaker help\r\nmore", Order(verb=Verb.HELP)),
        ("/sagemaker approve", Order(verb=Verb.APPROVE)),
        ("/sagemaker   approve\tabalone", Order(verb=Verb.APPROVE, pipeline="abalone")),
        (
            "/sagemaker approve --environment main abalone",
            Order(verb=Verb.APPROVE, pipeline="abalone", environment="main"),
        ),
        (
            "/sagemaker reject worse for old shells --environment is text here",
            Order(verb=Verb.REJECT, reason="worse for old shells --environment is text here"),
        ),
        (
            "/sagemaker reject --pipeline abalone --commit a1a1a1a $(no) @here",
            Order(verb=Verb.REJECT, pipeline="abalone", commit="a1a1a1a", reason="$(no) @here"),
        ),
        ("/sagemaker run --again abalone", Order(verb=Verb.RUN, pipeline="abalone", again=True)),
        ("/sagemaker stop\n/sagemaker run", Order(verb=Verb.STOP)),
        (f"/sagemaker plan --commit {HEAD}", Order(verb=Verb.PLAN, commit=HEAD)),
    ],
)
def test_an_order_is_the_first_line(body: str, order: Order) -> None:
    assert parse_order(body) == order


@pytest.mark.parametrize(
    "body",
    [
        "", "\n/sagemaker run", "> /sagemaker run", " /sagemaker run", "please /sagemaker run",
        "/sagemakers run", "/sagemaker-run", "/Sagemaker run", "`/sagemaker run`", "/sage maker",
        "/sagemaker\u00a0run", "/sagemaker\u2028run",
    ],
)  # fmt: skip
def test_anything_else_is_no_order(body: str) -> None:
    assert parse_order(body) is None


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("/sagemaker launch", "no such command"),
        ("/sagemaker APPROVE", "no such command"),
        ("/sagemaker reject", "says why"),
        ("/sagemaker reject --pipeline abalone", "says why"),
        ("/sagemaker run a b", "one pipeline"),
        ("/sagemaker run ../../etc", "one pipeline"),
        ("/sagemaker run $(touch pwned)", "one pipeline"),
        ("/sagemaker run 'a", "one pipeline"),
        ("/sagemaker run --pipeline a b", "one pipeline"),
        ("/sagemaker run --environment", "one value"),
        ("/sagemaker run --environment --again", "one value"),
        ("/sagemaker run --environment a --environment b", "one value"),
        ("/sagemaker run --commit HEAD", "one value"),
        ("/sagemaker run --commit a1a1a1", "one value"),
        ("/sagemaker approve --again", "no such option"),
        ("/sagemaker run --again --again", "no such option"),
        ("/sagemaker run --role arn:aws:iam::1:role/x", "no such option"),
        ("/sagemaker run -x", "no such option"),
        ("/sagemaker reject " + "x" * 2000, "longer than"),
    ],
)
def test_what_is_meant_and_wrong_is_unclear(body: str, problem: str) -> None:
    found = parse_order(body)
    assert isinstance(found, Unclear)
    assert problem in found.problem
    assert "pwned" not in found.problem


@given(st.text())
def test_no_text_breaks_the_parser_or_names_anything_odd(text: str) -> None:
    for body in (text, f"/sagemaker {text}", f"/sagemaker reject {text}", f"/sagemaker run {text}"):
        found = parse_order(body)
        if isinstance(found, Order):
            for name in (found.pipeline, found.environment, found.commit):
                assert name is None or (name.isascii() and name[0].isalnum())
            assert "\n" not in found.reason


@pytest.mark.parametrize("verb", [Verb.RUN, Verb.PLAN])
def test_code_of_forks_and_closed_pull_requests_is_never_run(verb: Verb) -> None:
    fork = refusal(Order(verb=verb), REMARK, replace(PULL, from_fork=True), pushed=BEFORE)
    assert fork is not None
    assert "fork" in fork
    named = Order(verb=verb, commit=HEAD)
    assert refusal(named, REMARK, replace(PULL, from_fork=True), pushed=BEFORE) is not None
    assert refusal(named, REMARK, replace(PULL, open=False), pushed=BEFORE) is not None
    assert refusal(named, REMARK, PULL, pushed=None) is None


@pytest.mark.parametrize("verb", [Verb.RUN, Verb.PLAN, Verb.APPROVE, Verb.REJECT])
def test_what_was_pushed_after_the_comment_is_not_meant_by_it(verb: Verb) -> None:
    order = Order(verb=verb)
    assert refusal(order, REMARK, PULL, pushed=BEFORE) is None
    for pushed in (WRITTEN, WRITTEN + timedelta(seconds=1)):
        told = refusal(order, REMARK, PULL, pushed=pushed)
        assert told is not None
        assert "pushed after this was written" in told
    unknown = refusal(order, REMARK, PULL, pushed=None)
    assert unknown is not None
    assert f"--commit {HEAD[:12]}" in unknown
    assert refusal(order, replace(REMARK, written=None), PULL, pushed=BEFORE) is not None
    named = replace(order, commit=HEAD[:7])
    assert refusal(named, REMARK, PULL, pushed=None) is None
    other = refusal(replace(order, commit="b2b2b2b"), REMARK, PULL, pushed=BEFORE)
    assert other is not None
    assert "not b2b2b2b" in other


def test_a_merged_pull_request_moves_no_more() -> None:
    merged = replace(PULL, open=False, merged=True)
    assert refusal(Order(verb=Verb.APPROVE), REMARK, merged, pushed=None) is None


def test_a_decision_counts_for_the_report_that_stood_there() -> None:
    assert unseen(REMARK, changed=BEFORE, final=True) is None
    for changed in (WRITTEN, WRITTEN + timedelta(seconds=1)):
        told = unseen(REMARK, changed=changed, final=True)
        assert told is not None
        assert "then give the order again" in told
    running = unseen(REMARK, changed=BEFORE, final=False)
    assert running is not None
    assert "not reported yet" in running
    assert unseen(REMARK, changed=None, final=True) is not None
    assert unseen(replace(REMARK, written=None), changed=BEFORE, final=True) is not None


def test_stopping_needs_no_commit() -> None:
    fork = replace(PULL, from_fork=True)
    assert refusal(Order(verb=Verb.STOP), REMARK, fork, pushed=None) is None
