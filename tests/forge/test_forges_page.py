"""The page on forges tells what the code can do, and which actions it really calls."""

import json
import re
from pathlib import Path

import pytest
from support.codecommit import FakeCodeCommit, pull_request
from support.forge_benches import KINDS, NEW, PR, CodeCommitBench, open_bench
from support.loopback_forge import serve_forge

from ci.forge.codecommit import CodeCommit
from ci.forge.form import form_of
from ci.forge.marks import CheckRuns, Deployments, Labels
from ci.forge.model import Conversation, Forge, Hiding, Members, Statuses
from ci.forge.opening import HOSTS
from ci.project.model import ForgeKind

PAGE = Path(__file__).resolve().parents[2] / "docs" / "forges.md"
NAMES = ("GitHub", "GitLab", "Bitbucket Cloud", "CodeCommit")
SAMPLE = "<details>\n<summary>s</summary>\n\nx\n\n</details>"


def table() -> str:
    columns = [column(kind) for kind in KINDS]
    lines = [["", *NAMES], ["---"] * 5]
    lines += [[name, *(each[name] for each in columns)] for name in columns[0]]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


def column(kind: str) -> dict[str, str]:
    with open_bench(kind) as bench:
        forge = bench.forge()
    form = form_of(forge)
    html = "<details>" in form.dress(SAMPLE)
    hides = ("folds the old comment" if html else "cuts the old comment to its headline",)
    return {
        "longest comment": f"{min(form.limits[0], form.largest):,} characters",
        "comment is written in": "Markdown and HTML" if html else "Markdown alone",
        "marker is": "an HTML comment" if html else "the definition of a link",
        "`hide-and-new`": "hides the old comment" if isinstance(forge, Hiding) else hides[0],
        "mark beside the commit": mark(forge),
        "deployments": told(isinstance(forge, Deployments)),
        "labels": told(isinstance(forge, Labels)),
        "what people may do is known": told(isinstance(forge, Members)),
        "chat commands": told(isinstance(forge, Conversation)),
        **variables(ForgeKind(kind)),
    }


def mark(forge: Forge) -> str:
    if isinstance(forge, CheckRuns):
        return "check run, else status"
    return "status" if isinstance(forge, Statuses) else "none"


def told(fact: bool) -> str:
    return "yes" if fact else "no"


def variables(kind: ForgeKind) -> dict[str, str]:
    if kind not in HOSTS:
        return {"token": "none: AWS credentials", "address of one's own host": "none"}
    return {
        "token": ", ".join(f"`{name}`" for name in HOSTS[kind].tokens),
        "address of one's own host": ", ".join(f"`{name}`" for name in HOSTS[kind].addresses),
    }


def policy() -> str:
    """A statement of what CodeCommit is really asked, whatever is done with it."""
    with serve_forge(FakeCodeCommit()) as fake:
        bench = CodeCommitBench(fake)
        forge: CodeCommit = bench.forge()
        made = forge.create_comment(PR, "x")
        forge.update_comment(made, "y")
        forge.delete_comment(forge.comments(PR)[0])
        forge.commit_order(PR)
        fake.pulls[3] = pull_request(3, "CLOSED", merge=NEW)
        forge.pull_request_of(NEW)
        forge.pull_request(PR)
        called = sorted({name for _, name in fake.requests if name != "STS"})
    statement = {
        "Effect": "Allow",
        "Action": [f"codecommit:{name}" for name in called],
        "Resource": "arn:aws:codecommit:REGION:ACCOUNT:REPOSITORY",
    }
    return f"```json\n{json.dumps(statement, indent=2)}\n```"


@pytest.mark.parametrize(("name", "part"), [("forges", table), ("codecommit-policy", policy)])
def test_the_page_is_true(request: pytest.FixtureRequest, name: str, part: object) -> None:
    assert callable(part)
    settled = f"<!-- part: {name} -->\n{part()}\n<!-- end -->"
    page = PAGE.read_text(encoding="utf-8")
    place = re.compile(rf"<!-- part: {name} -->\n.*?\n<!-- end -->", re.DOTALL)
    if request.config.getoption("--update-golden"):
        page = place.sub(lambda _: settled, page)
        PAGE.write_text(page, encoding="utf-8")
    assert settled in page
