"""What a run looks like in a CI log and on a terminal."""

import io
from datetime import UTC, datetime

import pytest

from ci.execution.model import Change, ChangeKind
from ci.execution.show import LiveShow, PlainShow, open_show

ARN = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/demo/execution/abc"
NOW = datetime(2026, 1, 1, 12, 30, 15, tzinfo=UTC)
TRAIN = Change(
    kind=ChangeKind.STEP,
    arn=ARN,
    step="train",
    step_kind="Training",
    status="Failed",
    seconds=61,
    detail="exit 1\n::error::forged",
    at=NOW,
)


def shown(*, groups: bool) -> list[str]:
    out = io.StringIO()
    with PlainShow(out, title="Execution\n::error::x", groups=groups, now=lambda: NOW) as show:
        show.change(TRAIN)
        show.lines("train", ["::set-output name=a::b", "plain", "x ##[error]y", "\x1b[31mred"])
        show.change(Change(kind=ChangeKind.RECOVERED, arn=ARN))
    return out.getvalue().splitlines()


def test_lines_in_log_groups() -> None:
    assert shown(groups=True) == [
        "::group::Execution ::error::x",
        "12:30:15Z  train (Training): Failed, 1 min 01 s: exit 1 ::error::forged",
        "train | :\u200b:set-output name=a::b",
        "train | plain",
        "train | x ##\u200b[error]y",
        "train | red",
        "12:30:15Z  AWS answers again",
        "::endgroup::",
    ]


def test_without_groups_nothing_looks_like_a_command() -> None:
    assert not [line for line in shown(groups=False) if line.lstrip().startswith("::")]


def test_an_output_that_knows_no_unicode_still_gets_its_lines() -> None:
    raw = io.BytesIO()
    with (
        io.TextIOWrapper(raw, encoding="ascii", write_through=True) as out,
        PlainShow(out, title="é", groups=False, now=lambda: NOW),
    ):
        pass
    assert raw.closed


def test_what_is_told_above_the_table_stays_whole(capsys: pytest.CaptureFixture[str]) -> None:
    told = f"Started {ARN}/{'x' * 300}"
    with LiveShow(title="demo") as show:
        show.say(told)
    assert told in capsys.readouterr().err.splitlines()


def test_the_table_holds_a_row_for_each_step() -> None:
    from rich.console import Console

    show = LiveShow(title="[red]demo", clock=NOW.timestamp)
    show.change(TRAIN)
    show.change(
        Change(kind=ChangeKind.CACHE_HIT, arn=ARN, step="prepare [bold]", status="Succeeded")
    )
    show.change(Change(kind=ChangeKind.STATUS, arn=ARN, status="Failed", seconds=3600))
    out = io.StringIO()
    Console(file=out, width=110, color_system=None).print(show.render())
    text = out.getvalue()
    assert "Duration" in text
    assert "❌ train" in text
    assert "1 min 01 s" in text
    assert "prepare [bold]" in text
    assert "from cache" in text
    assert "Execution of demo: Failed, 1 h 00 min" in text


def test_lines_where_nobody_watches() -> None:
    assert isinstance(open_show(io.StringIO(), {"CI": "true"}, title="x"), PlainShow)
    assert isinstance(open_show(io.StringIO(), {"TERM": "dumb"}, title="x"), PlainShow)
