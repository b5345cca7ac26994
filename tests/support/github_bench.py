"""A fake GitHub with one pull request, and a forge that speaks to it and waits for nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

from ci.forge.github import PERMISSIONS, GitHub
from ci.forge.http import Client
from ci.report.marker import Marker, render_marker
from ci.report.model import State
from support.forge_benches import NEW, NEWEST, OLD, PR
from support.github import REPOSITORY, FakeGitHub, serve_github


class Bench:
    """A fake GitHub, a forge that speaks to it, and the waits the forge would have made."""

    def __init__(self, github: FakeGitHub) -> None:
        self.github = github
        self.waits: list[float] = []

    def forge(self, token: str = "t0ken") -> GitHub:
        client = Client(
            self.github.address,
            token,
            sleep=self.waits.append,
            clock=lambda: 1_000.0,
            jitter=lambda: 0.0,
            permissions=PERMISSIONS,
        )
        return GitHub(client, REPOSITORY)


@contextmanager
def github_bench() -> Iterator[Bench]:
    with serve_github() as github:
        github.commits[PR] = [OLD, NEW, NEWEST]
        yield Bench(github)


def body(
    commit: str = NEW,
    text: str = "report",
    *,
    state: State = State.FINAL,
    pipeline: str = "abalone",
    execution: str | None = "arn:1",
) -> str:
    marker = Marker(
        pipeline=pipeline,
        environment="main",
        commit=commit,
        execution=execution,
        digest=None,
        state=state,
    )
    return f"{render_marker(marker)}\n{text}"
