"""The loopback GitHub and the project's calls are held to GitHub's published description."""

import json
import re
from pathlib import Path

import pytest
from support import github_contract
from support.github import REPOSITORY, FakeGitHub, Fault, serve_github
from support.github_contract import EDITIONS, OPERATIONS, Contract, contract, shapes
from support.github_graphql import questions
from support.reports import COMMIT, REPORTS

from ci.errors import ForgeError
from ci.forge.checks import check_of, post_check
from ci.forge.comments import upsert_comment
from ci.forge.deploying import deployment_of, post_deployment
from ci.forge.github import GitHub
from ci.forge.http import Client
from ci.forge.labels import post_label
from ci.forge.marks import Annotation, Level
from ci.forge.status import status_of
from ci.report.markdown import render_comment

SHAPES = Path(github_contract.__file__).with_name("github_shapes.json")
PR = 42
INSTALL = "GitHub's description is not installed: make contract"


@pytest.fixture
def description() -> Contract:
    found = contract()
    assert found is not None, INSTALL
    return Contract(found.edition)


def everything(github: FakeGitHub) -> None:
    """All that the project asks of GitHub, each call at least once."""
    github.page = 20
    github.commits[PR] = [f"{number:040x}" for number in range(1, 252)]
    github.add_pull(PR, github.commits[PR][-1])
    github.roles["octocat"] = "maintain"
    github.pulls |= {
        COMMIT: [{"number": PR, "merge_commit_sha": COMMIT, "merged_at": "2026-03-02T09:00:00Z"}],
        "octocat:topic": [{"number": PR, "head": {"sha": COMMIT}}],
    }
    forge = GitHub(Client(github.address, "t0ken"), REPOSITORY)
    remarks = tuple(
        Annotation(path="a.py", line=line, level=Level.WARNING, title="t", message="m")
        for line in range(1, 60)
    )
    for name in ("running", "success", "gate-failed"):
        report = REPORTS[name]
        upsert_comment(forge, PR, render_comment(report))
        forge.set_status(COMMIT, status_of(report))
        post_check(forge, check_of(report, annotations=remarks))
        post_check(forge, check_of(report, annotations=remarks[:-1]))
        deployment = deployment_of(report)
        assert deployment is not None
        post_deployment(forge, deployment)
        post_label(forge, PR, report, alone=True)
    forge.commit_order(PR)
    forge.pull_request_of(COMMIT)
    forge.pull_request_with_head("octocat:topic", COMMIT)
    assert forge.permission_of("octocat") == "maintain"
    github.push("topic", COMMIT, "2026-03-02T09:00:00Z")
    assert forge.pushed_at("topic", COMMIT) is not None
    github.reviews[77] = [("octocat", "approved")]
    assert forge.approvers_of("77") == ("octocat",)
    comment = forge.create_comment(PR, "hello")
    forge.react(comment.id, "eyes")
    forge.react(comment.id, "eyes")
    forge.minimise_comment(comment)
    forge.delete_comment(comment)
    forge.delete_comment(comment)
    with pytest.raises(ForgeError, match="too long"):
        forge.create_comment(PR, "x" * 70_000)
    github.tokens["person"] = "octocat"
    github.faults = [Fault("POST", "graphql", 404)]
    assert GitHub(Client(github.address, "person"), REPOSITORY).whoami() == "octocat"


@pytest.mark.parametrize("edition", EDITIONS)
def test_every_call_is_as_github_describes_it(edition: str) -> None:
    described = contract(edition)
    assert described is not None, INSTALL
    with serve_github(edition) as github:
        everything(github)
        requests = [(method, path.partition("?")[0]) for method, path in github.requests]
    called = {
        described.operation(method, re.sub(f"^/repos/{REPOSITORY}", "/repos/o/r", path))
        for method, path in requests
        if path != "/graphql"
    }
    assert called == set(OPERATIONS)


def test_the_bodies_are_those_of_the_description(request: pytest.FixtureRequest) -> None:
    found = contract()
    assert found is not None, INSTALL
    told = json.dumps(shapes(found.edition), indent=1) + "\n"
    if request.config.getoption("--update-golden"):
        SHAPES.write_text(told, encoding="utf-8")
    assert SHAPES.read_text(encoding="utf-8") == told


GOOD_CHECK = {"name": "n", "head_sha": "a" * 40}
GOOD_LABEL = {
    "id": 1, "node_id": "x", "url": "u", "name": "n", "description": None, "color": "fff",
    "default": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "status", "answer", "complaint"),
    [
        (("GET", "/issues/1/labels", "", None), 200, [GOOD_LABEL], None),
        (("GET", "/issues/1/labels", "page=2", None), 200, [], None),
        (("GET", "/issues/1/labels", "pages=2", None), 200, [], "no parameter pages"),
        (("GET", "/issues/1/lables", "", None), 200, [], "no such operation"),
        (("PUT", "/issues/1/labels", "", None), 200, [], "no such operation"),
        (("GET", "/issues/1/labels", "", None), 200, {}, "not of type 'array'"),
        (("GET", "/issues/1/labels", "", None), 200, [{"name": "n"}], "required property"),
        (("GET", "/issues/1/labels", "", None), 206, [], "no such status"),
        (("GET", "/issues/1/labels", "", {"x": 1}), 200, [], "request's body"),
        (("POST", "/check-runs", "", {"name": "n"}), 403, {}, "'head_sha' is a required"),
        (("POST", "/check-runs", "", GOOD_CHECK | {"status": "done"}), 403, {}, "request"),
        (("POST", "/check-runs", "", None), 403, {}, "request's body"),
        (("POST", "/check-runs", "", GOOD_CHECK), 403, {}, None),
        (("POST", "/check-runs", "", GOOD_CHECK), 201, {"id": 1}, "required property"),
    ],
)
def test_what_is_wrong_is_found(
    description: Contract,
    asked: tuple[str, str, str, object],
    status: int,
    answer: object,
    complaint: str | None,
) -> None:
    method, path, query, body = asked
    found = description.complaints(method, f"/repos/o/r{path}", query, body, status, answer)
    assert bool(found) is (complaint is not None), found
    assert complaint is None or complaint in found[0]


VIEWER = "query { viewer { login } }"
FOLD = (
    "mutation($id: ID!) { minimizeComment(input: {subjectId: $id, classifier: OUTDATED})"
    " { minimizedComment { isMinimized } } }"
)
FOLDED = {"minimizeComment": {"minimizedComment": {"isMinimized": True}}}


@pytest.mark.parametrize(
    ("query", "variables", "data", "complaint"),
    [
        (VIEWER, {}, {"viewer": {"login": "octocat"}}, None),
        (FOLD, {"id": "IC_1"}, FOLDED, None),
        (VIEWER.replace("login", "logins"), {}, {}, "Cannot query field 'logins'"),
        (VIEWER.replace("login", "login("), {}, {}, "Syntax Error"),
        (VIEWER, {}, {"viewer": {"name": "octocat"}}, "User.login"),
        (VIEWER, {}, {"viewer": {"login": "octocat", "id": "1"}}, "the answer"),
        (FOLD, {}, FOLDED, "'$id' has invalid value"),
        (FOLD.replace("OUTDATED", "OLD"), {"id": "IC_1"}, FOLDED, "'OLD' does not exist"),
        (FOLD.replace("subjectId", "id"), {"id": "IC_1"}, FOLDED, "unknown field 'id'"),
        (FOLD.replace("ID!", "Int!"), {"id": 1}, FOLDED, "expecting type 'ID!'"),
        (FOLD, {"id": "IC_1"}, {"minimizeComment": {"minimizedComment": {}}}, "isMinimized"),
    ],
)
def test_what_is_wrong_with_a_question_is_found(
    query: str, variables: object, data: object, complaint: str | None
) -> None:
    held = questions()
    assert held is not None, INSTALL
    found = held.complaints({"query": query, "variables": variables}, {"data": data})
    assert bool(found) is (complaint is not None), found
    assert complaint is None or complaint in " ".join(found)


def test_a_question_that_github_does_not_know_is_told() -> None:
    def ask() -> None:
        with serve_github() as github:
            body = {"query": "query { viewer { nickname } }"}
            Client(github.address, "t0ken").request("POST", "/graphql", body=body, purpose="ask")

    with pytest.raises(AssertionError, match="nickname"):
        ask()


def test_a_loopback_that_drifts_is_told() -> None:
    def drift() -> None:
        with serve_github() as github:
            github.labels["odd"] = {"color": "fff", "description": "", "node_id": 7}
            client = Client(github.address, "t0ken")
            client.request("GET", f"/repos/{REPOSITORY}/labels/odd", purpose="look")

    with pytest.raises(AssertionError, match="node_id"):
        drift()
