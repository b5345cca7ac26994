"""What goes wrong while a report is posted is told, and breaks no run."""

import math
import sys
import threading
import time
from collections.abc import Callable

import pytest
from support.github import REPOSITORY, serve_github
from support.reports import REPORTS

from ci.forge.github import GitHub
from ci.forge.http import Client
from ci.forge.model import Comment
from ci.posting.board import Board, Time
from ci.posting.errands import Errands
from ci.posting.forging import Comments
from ci.posting.refusals import Refusals
from ci.text.redact import Redactor


class Odd(GitHub):
    """Answers what nobody thought of, and then as it should."""

    errors: list[Exception]

    def comments(self, pull_request: int) -> tuple[Comment, ...]:
        if self.errors:
            raise self.errors.pop(0)
        return super().comments(pull_request)


def test_an_exception_nobody_thought_of_is_told_and_the_next_report_posted() -> None:
    told: list[str] = []
    with serve_github() as github:
        odd = Odd(Client(github.address, "t0ken"), REPOSITORY)
        odd.errors = [KeyError("destinationCommit"), ValueError("x"), ValueError("x")]
        comments = Comments(forge=odd, pull_request=42, redactor=Redactor(), warn=told.append)
        board = Board(comments=comments, marks=None, refusals=Refusals(wanted={}))
        for _ in range(4):
            board.post(REPORTS["success"])
        board.close(told.append)
        [body] = github.bodies()
    assert "4.1 % better" in body
    assert [line.partition("program: ")[2] for line in told] == [
        "KeyError: 'destinationCommit'",
        "ValueError: x",
    ]


def ending(seconds: float) -> tuple[Callable[[], float], Callable[[], None]]:
    """What gives the seconds that are left, and what begins to count them."""
    ends: list[float] = []

    def hurry() -> None:
        ends.append(time.monotonic() + seconds)

    def left() -> float:
        return max(0.0, ends[0] - time.monotonic()) if ends else math.inf

    return left, hurry


def test_a_call_that_hangs_is_left_behind_once_time_is_short() -> None:
    left, hurry = ending(0.2)
    over = threading.Event()
    errands = Errands(left)
    hanging = errands.submit(lambda: over.wait(20))
    behind = errands.submit(lambda: "made")
    threading.Timer(0.1, hurry).start()
    began = time.monotonic()
    assert not errands.wait()
    assert 0.2 < time.monotonic() - began < 5.0
    assert not hanging.done()
    over.set()
    assert behind.result(timeout=5) == "made"
    assert errands.wait()


def test_no_thread_waits_for_calls_that_may_never_come() -> None:
    """A function's process serves one call after the other for hours."""
    errands = Errands(lambda: math.inf)
    threads = [errands.submit(threading.current_thread).result(timeout=5) for _ in range(3)]
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


def test_a_call_that_asks_to_exit_is_told_to_who_waits() -> None:
    errands = Errands(lambda: math.inf)
    leaving = errands.submit(sys.exit)
    with pytest.raises(SystemExit):
        leaving.result(timeout=5)
    assert errands.submit(lambda: "made").result(timeout=5) == "made"


def test_a_job_that_is_ending_posts_the_newest_report_alone() -> None:
    left, hurry = ending(20)
    over = threading.Event()
    with serve_github() as github:
        forge = GitHub(Client(github.address, "t0ken"), REPOSITORY)
        comments = Comments(forge=forge, pull_request=42, redactor=Redactor(), warn=print)
        time_left = Time(left=left, hurry=hurry)
        board = Board(comments=comments, marks=None, refusals=Refusals(wanted={}), time=time_left)
        board.post(REPORTS["running"])
        board.commit_order()
        github.hooks["GET /repos/acme/mlops/issues/42/comments"] = lambda: bool(over.wait(20))
        board.post(REPORTS["running"])
        board.post(REPORTS["gate-failed"])
        board.post(REPORTS["success"])
        hurry()
        over.set()
        board.close(print)
        assert github.writes() == ["POST", "PATCH"]
        assert "4.1 % better" in github.bodies()[0]


class Hanging(GitHub):
    """Answers once `over` is set."""

    over: threading.Event

    def comments(self, pull_request: int) -> tuple[Comment, ...]:
        self.over.wait(20)
        return super().comments(pull_request)


def test_ctrl_c_while_the_last_report_is_posted_ends_soon() -> None:
    """`hurry` is what the shell does; the interrupt comes while there is time without end."""
    told: list[str] = []
    seconds, hurry = ending(0.2)
    interrupts = [KeyboardInterrupt()]

    def left() -> float:
        if threading.current_thread() is threading.main_thread() and interrupts:
            raise interrupts.pop()
        return seconds()

    with serve_github() as github:
        forge = Hanging(Client(github.address, "t0ken"), REPOSITORY)
        forge.over = threading.Event()
        comments = Comments(forge=forge, pull_request=42, redactor=Redactor(), warn=told.append)
        board = Board(
            comments=comments,
            marks=None,
            refusals=Refusals(wanted={}),
            time=Time(left=left, hurry=hurry),
        )
        board.post(REPORTS["success"])
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            board.close(told.append)
        forge.over.set()
        assert time.monotonic() - began < 5.0
        assert "did not answer before this job had to end" in told[0]
        board.close(told.append)
