"""What goes wrong while a report is posted is told, and breaks no run."""

from support.github import REPOSITORY, serve_github
from support.reports import REPORTS

from ci.forge.github import GitHub
from ci.forge.http import Client
from ci.forge.model import Comment
from ci.posting.board import Board
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
